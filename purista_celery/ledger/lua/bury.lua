-- With line and holder. leased | ready (then without a fence) -> dead: a dead letter, kept until it is redriven or purged.
-- KEYS: 1 job  2 leased  3 dead  4 outbox  5 outbox times  6 stats  7 ready
--       8 paused  9 lines
-- ARGV: 1 job id  2 fence  3 reason  4 error  5 keep idempotency key for (ms)
--       6 not by the holder: until when (ms) it was seen that the lease has passed, or that its
--       worker is ARGV[7]; else ""  7 worker known to be dead
--       8 why to pause the queue, or ""  9 prefix of job keys  10... pairs of event id and event
-- Returns {"done"} (also for a repeat) or {"lost", state}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'idempotency', 'leaseExpiresAt', 'worker',
  'line')
if (job[2] or '') ~= ARGV[2] then return {'lost', job[1] or ''} end
if job[1] == 'dead' then return {'done'} end
if job[1] ~= 'leased' and job[1] ~= 'ready' then return {'lost', job[1] or ''} end
if job[1] == 'leased' and not may_settle(ARGV[6], ARGV[7], job[4], job[5], now) then
  return {'lost', job[1]}
end
redis.call('HSET', KEYS[1], 'state', 'dead', 'reason', ARGV[3], 'error', ARGV[4],
  'failedAt', now, 'updatedAt', now)
let_go(KEYS[2], job[5], ARGV[1])
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[1])
if job[3] then redis.call('PEXPIRE', job[3], ARGV[5]) end
for i = 10, #ARGV, 2 do
  redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[5], now, ARGV[i])
end
redis.call('HINCRBY', KEYS[6], 'dead', 1)
if ARGV[8] ~= '' then redis.call('SET', KEYS[8], ARGV[8]) end
leave_line(job[6], KEYS[9], ARGV[1], ARGV[9], KEYS[7], now)
return {'done'}
