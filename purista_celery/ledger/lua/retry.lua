-- With holder. leased -> scheduled | ready: this attempt failed, another will follow.
-- KEYS: 1 job  2 leased  3 scheduled  4 ready  5 stats
-- ARGV: 1 job id  2 fence  3 delay (ms)  4 reason  5 error
--       6 not by the holder: until when (ms) it was seen that the lease has passed, or that its
--       worker is ARGV[7]; else ""  7 worker known to be dead
-- Returns {"done", new state} (also for a repeat by the holder), {"lost", state}, or {"cancel"}:
-- somebody asked to cancel the job, so there is no other attempt; the caller cancels it.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'leaseExpiresAt', 'worker', 'settledBy',
  'cancelRequestedAt', 'failedFor', 'failedTimes')
if ARGV[6] == '' and job[5] == ARGV[2] and (job[1] == 'scheduled' or job[1] == 'ready') then
  return {'done', job[1]}
end
if job[2] ~= ARGV[2] then return {'lost', job[1] or ''} end
if job[1] ~= 'leased' then return {'lost', job[1] or ''} end
if not may_settle(ARGV[6], ARGV[7], job[3], job[4], now) then return {'lost', job[1]} end
if job[6] then return {'cancel'} end
local delay = tonumber(ARGV[3])
local state = delay > 0 and 'scheduled' or 'ready'
redis.call('HSET', KEYS[1], 'state', state, 'reason', ARGV[4], 'error', ARGV[5],
  'retryAt', now + delay, 'updatedAt', now, 'failedFor', ARGV[4],
  'failedTimes', job[7] == ARGV[4] and tonumber(job[8]) + 1 or 1)
if ARGV[6] == '' then redis.call('HSET', KEYS[1], 'settledBy', ARGV[2]) end
redis.call('HDEL', KEYS[1], 'fence', 'worker', 'leaseExpiresAt')
let_go(KEYS[2], job[4], ARGV[1])
redis.call('ZADD', delay > 0 and KEYS[3] or KEYS[4], now + delay, ARGV[1])
redis.call('HINCRBY', KEYS[5], 'retries', 1)
return {'done', state}
