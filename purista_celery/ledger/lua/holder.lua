-- Holders: whose a job is, and when somebody else may settle it. Not a transition; the scripts that say
-- "holder" begin with it. The jobs that a worker holds are a set of their own, named like the leases:
-- what a dead worker held is found without a look at what the others hold.

local function let_go(leased, worker, id)
  redis.call('ZREM', leased, id)
  if worker then redis.call('SREM', leased .. ':' .. worker, id) end
end

-- An observation is as good as it is fresh: who saw a worker silent, and was then frozen, sees nothing.
local function may_settle(seen_until, dead_worker, lease_expires, worker, now)
  if seen_until == '' then return true end
  if now > tonumber(seen_until) then return false end
  return tonumber(lease_expires) <= now or worker == dead_worker
end
