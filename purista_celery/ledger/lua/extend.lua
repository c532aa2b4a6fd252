-- leased -> leased, for longer. Refused to all but the holder.
-- KEYS: 1 job  2 leased  3 ready
-- ARGV: 1 job id  2 fence  3 lease (ms)
-- Returns {verdict, lease expires at, "1" if cancel was asked, attempt, redrives, window start}:
-- "held"; "waiting" (a message that waits in a live worker: its job is not offered again meanwhile);
-- "unknown" (no record); "lost".
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'holdUntil', 'cancelRequestedAt',
  'attempt', 'redrives', 'windowStart')
local function answer(verdict, expires, cancel)
  return {verdict, expires or 0, cancel and '1' or '0', job[5] or 0, job[6] or 0, job[7] or 0}
end
if not job[1] then return answer('unknown') end
if job[1] == 'ready' then
  redis.call('ZADD', KEYS[3], 'XX', now, ARGV[1])
  return answer('waiting')
end
if job[1] ~= 'leased' or job[2] ~= ARGV[2] then return answer('lost') end
local expires = math.min(now + tonumber(ARGV[3]), tonumber(job[3]))
redis.call('HSET', KEYS[1], 'leaseExpiresAt', expires, 'updatedAt', now)
redis.call('ZADD', KEYS[2], expires, ARGV[1])
return answer('held', expires, job[4])
