-- Reads which leased jobs have no living holder: their lease has passed, or their worker is dead.
-- KEYS: 1 leased
-- ARGV: 1 at most  2 prefix of job keys  3... workers known to be dead
-- Returns a flat list of job id, fence, worker, message, attempt, max attempts, window start,
--          redrives, reason of the failures before, how often in a row.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local most = tonumber(ARGV[1])
local found = {}
local count = 0

local function add(id, dead_only)
  local key = ARGV[2] .. id
  local job = redis.call('HMGET', key, 'fence', 'worker', 'message', 'attempt', 'maxAttempts',
    'windowStart', 'redrives', 'failedFor', 'failedTimes')
  if not job[1] then
    if redis.call('EXISTS', key) == 0 then redis.call('ZREM', KEYS[1], id) end
    return
  end
  if dead_only and not dead_only[job[2]] then return end
  found[#found + 1] = id
  for i = 1, 9 do found[#found + 1] = job[i] or '' end
  count = count + 1
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, most)) do
  add(id)
end
if #ARGV > 2 and count < most then
  local dead = {}
  for i = 3, #ARGV do dead[ARGV[i]] = true end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
    if count >= most then break end
    add(id, dead)
  end
end
return found
