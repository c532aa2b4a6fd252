-- With line. dead -> ready | scheduled: tried again from the first attempt, on the queue it came from.
-- KEYS: 1 job  2 dead  3 ready  4 scheduled  5 lines
-- ARGV: 1 job id  2 delay (ms)
-- Returns {"done", message} or {"lost", state}; what has no message can not run.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'message', 'idempotency', 'due', 'line')
if job[1] ~= 'dead' or not job[2] then return {'lost', job[1] or ''} end
local delay = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'state', delay > 0 and 'scheduled' or 'ready', 'attempt', 0,
  'windowStart', now, 'retryAt', now + delay, 'updatedAt', now)
redis.call('HINCRBY', KEYS[1], 'redrives', 1)
redis.call('HDEL', KEYS[1], 'fence', 'worker', 'leaseExpiresAt', 'failedAt', 'cancelRequestedAt',
  'failedFor', 'failedTimes')
if job[3] then
  -- The job has not ended any more, so its idempotency key must not end either.
  local owner = redis.call('HGET', job[3], 'id')
  if not owner then
    redis.call('HSET', job[3], 'id', ARGV[1], 'due', job[4])
  elseif owner == ARGV[1] then
    redis.call('PERSIST', job[3])
  else
    redis.call('HDEL', KEYS[1], 'idempotency')
  end
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', delay > 0 and KEYS[4] or KEYS[3], now + delay, ARGV[1])
if delay <= 0 then join_line(job[5], KEYS[5], ARGV[1], now) end
return {'done', job[2]}
