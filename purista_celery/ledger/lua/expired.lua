-- Reads which leased jobs have no living holder: their lease has passed, or their worker is dead.
-- KEYS: 1 leased
-- ARGV: 1 at most  2 prefix of job keys  3 only leases that were renewed since (ms): one before may have
--       passed because nobody could renew it  4... workers known to be dead
-- Returns a flat list of job id, fence, worker, message, attempt, max attempts, window start,
--          redrives, reason of the failures before, how often in a row.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local most, since = tonumber(ARGV[1]), tonumber(ARGV[3])
local found, seen, count = {}, {}, 0

-- Whether the job is held (by a worker, if one is named); if so it is told, once.
local function add(id, worker)
  local job = redis.call('HMGET', ARGV[2] .. id, 'fence', 'worker', 'message', 'attempt',
    'maxAttempts', 'windowStart', 'redrives', 'failedFor', 'failedTimes', 'state', 'updatedAt')
  if job[10] ~= 'leased' or (worker and job[2] ~= worker) then return false end
  if seen[id] or (not worker and tonumber(job[11]) < since) then return true end
  seen[id], count = true, count + 1
  found[#found + 1] = id
  for i = 1, 9 do found[#found + 1] = job[i] or '' end
  return true
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, most)) do
  if not add(id) then redis.call('ZREM', KEYS[1], id) end
end
for i = 4, #ARGV do
  if count >= most then break end
  local held = KEYS[1] .. ':' .. ARGV[i]
  for _, id in ipairs(redis.call('SRANDMEMBER', held, most - count)) do
    -- Settled by a version of this that knew no such sets, or deleted by hand.
    if not add(id, ARGV[i]) then redis.call('SREM', held, id) end
  end
end
return found
