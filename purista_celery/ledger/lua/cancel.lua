-- With line and holder. scheduled | ready -> cancelled, at once; leased -> cancelled by its holder, else a request.
-- KEYS: 1 job  2 ready  3 scheduled  4 leased  5 outbox  6 outbox times  7 stats
--       8 lines
-- ARGV: 1 job id  2 fence of the holder who asks, or ""  3 reason  4 keep record for (ms)
--       5 keep idempotency key for (ms)  6 event id or ""  7 event  8 prefix of job keys
-- Returns {"done"} (also for a repeat), {"requested"} or {"settled"|"lost", state}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'idempotency', 'line', 'worker')
local state = job[1]
if not state then return {'lost', ''} end
if state == 'cancelled' then return {'done'} end
if state == 'completed' or state == 'dead' then return {'settled', state} end
if ARGV[2] ~= '' and (state ~= 'leased' or job[2] ~= ARGV[2]) then return {'lost', state} end
if state == 'leased' and ARGV[2] == '' then
  redis.call('HSETNX', KEYS[1], 'cancelRequestedAt', now)
  redis.call('HSET', KEYS[1], 'reason', ARGV[3])
  return {'requested'}
end
redis.call('HSET', KEYS[1], 'state', 'cancelled', 'reason', ARGV[3], 'cancelledAt', now,
  'updatedAt', now)
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
let_go(KEYS[4], job[5], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if job[3] then redis.call('PEXPIRE', job[3], ARGV[5]) end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[5], ARGV[6], ARGV[7])
  redis.call('ZADD', KEYS[6], now, ARGV[6])
end
redis.call('HINCRBY', KEYS[7], 'cancelled', 1)
leave_line(job[4], KEYS[8], ARGV[1], ARGV[8], KEYS[2], now)
return {'done'}
