-- With holder. leased -> scheduled: what hindered this attempt is not the job's fault, so it does not count; another
-- follows when that may have passed. The delay doubles with each time that the job was hindered.
-- KEYS: 1 job  2 leased  3 scheduled
-- ARGV: 1 job id  2 fence  3 first delay (ms)  4 longest delay (ms)  5 reason  6 error
-- Returns {"done", delay (ms)} (also for a repeat by the holder), {"lost", state}, or {"cancel"} as
-- retry.lua does.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'settledBy', 'cancelRequestedAt',
  'hindered', 'retryAt', 'worker')
if job[1] == 'scheduled' and job[3] == ARGV[2] then
  return {'done', math.max(0, tonumber(job[6]) - now)}
end
if job[1] ~= 'leased' or job[2] ~= ARGV[2] then return {'lost', job[1] or ''} end
if job[4] then return {'cancel'} end
local times = math.min(tonumber(job[5] or 0), 30)
local delay = math.min(tonumber(ARGV[3]) * 2 ^ times, tonumber(ARGV[4]))
redis.call('HINCRBY', KEYS[1], 'attempt', -1)
redis.call('HSET', KEYS[1], 'state', 'scheduled', 'reason', ARGV[5], 'error', ARGV[6],
  'retryAt', now + delay, 'updatedAt', now, 'hindered', times + 1, 'settledBy', ARGV[2])
redis.call('HDEL', KEYS[1], 'fence', 'worker', 'leaseExpiresAt')
let_go(KEYS[2], job[7], ARGV[1])
redis.call('ZADD', KEYS[3], now + delay, ARGV[1])
return {'done', delay}
