-- leased -> leased, for longer. Refused to all but the holder.
-- KEYS: 1 job  2 leased  3 ready
-- ARGV: 1 job id  2 fence  3 lease (ms)
-- Returns {verdict, lease expires at, "1" if cancel was asked}: "held"; "waiting" (a message that
-- waits in a live worker: its job is not offered again meanwhile); "lost".
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'holdUntil', 'cancelRequestedAt')
if job[1] == 'ready' then
  redis.call('ZADD', KEYS[3], 'XX', now, ARGV[1])
  return {'waiting', 0, '0'}
end
if job[1] ~= 'leased' or job[2] ~= ARGV[2] then return {'lost', 0, '0'} end
local expires = math.min(now + tonumber(ARGV[3]), tonumber(job[3]))
redis.call('HSET', KEYS[1], 'leaseExpiresAt', expires, 'updatedAt', now)
redis.call('ZADD', KEYS[2], expires, ARGV[1])
return {'held', expires, job[4] and '1' or '0'}
