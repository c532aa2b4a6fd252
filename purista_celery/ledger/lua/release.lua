-- With holder. leased -> ready: the holder stops before it is done and gives the attempt back.
-- KEYS: 1 job  2 leased  3 ready
-- ARGV: 1 job id  2 fence  3 reason
-- Returns {"done"} (also for a repeat), {"lost", state}, or {"cancel"} as retry.lua does.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'settledBy',
  'cancelRequestedAt', 'worker')
if job[1] == 'ready' and job[3] == ARGV[2] then return {'done'} end
if job[1] ~= 'leased' or job[2] ~= ARGV[2] then return {'lost', job[1] or ''} end
if job[4] then return {'cancel'} end
redis.call('HINCRBY', KEYS[1], 'attempt', -1)
redis.call('HSET', KEYS[1], 'state', 'ready', 'reason', ARGV[3], 'settledBy', ARGV[2],
  'updatedAt', now)
redis.call('HDEL', KEYS[1], 'fence', 'worker', 'leaseExpiresAt')
let_go(KEYS[2], job[5], ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[1])
return {'done'}
