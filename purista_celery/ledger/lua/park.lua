-- (none) -> dead: a message that is no job of ours, kept as it came.
-- KEYS: 1 job  2 dead  3 stats
-- ARGV: 1 id  2 raw bytes (base64)  3 where it came from (JSON)  4 reason  5 error
-- Returns {"done"} (also for a repeat).
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 1 then
  -- It has come back from a redrive, if it was in one: it stays a dead letter.
  redis.call('HDEL', KEYS[1], 'redriving')
  return {'done'}
end
redis.call('HSET', KEYS[1], 'state', 'dead', 'raw', ARGV[2], 'source', ARGV[3],
  'reason', ARGV[4], 'error', ARGV[5], 'attempt', 0, 'maxAttempts', 0,
  'createdAt', now, 'failedAt', now, 'updatedAt', now)
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('HINCRBY', KEYS[3], 'dead', 1)
return {'done'}
