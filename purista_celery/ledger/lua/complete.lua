-- With line and holder. leased -> completed. Output, state and result event in one step; refused to all but the holder.
-- KEYS: 1 job  2 leased  3 outbox  4 outbox times  5 stats  6 ready  7 lines
-- ARGV: 1 job id  2 fence  3 output  4 keep record for (ms)  5 keep idempotency key for (ms)
--       6 event id or ""  7 event  8 prefix of job keys
-- Returns {"done"} (also for a repeat) or {"lost", state}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'idempotency', 'line', 'worker')
if job[2] ~= ARGV[2] then return {'lost', job[1] or ''} end
if job[1] == 'completed' then return {'done'} end
if job[1] ~= 'leased' then return {'lost', job[1] or ''} end
redis.call('HSET', KEYS[1], 'state', 'completed', 'output', ARGV[3], 'completedAt', now,
  'updatedAt', now)
redis.call('HDEL', KEYS[1], 'error', 'reason')
let_go(KEYS[2], job[5], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if job[3] then redis.call('PEXPIRE', job[3], ARGV[5]) end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[6], ARGV[7])
  redis.call('ZADD', KEYS[4], now, ARGV[6])
end
redis.call('HINCRBY', KEYS[5], 'completed', 1)
leave_line(job[4], KEYS[7], ARGV[1], ARGV[8], KEYS[6], now)
return {'done'}
