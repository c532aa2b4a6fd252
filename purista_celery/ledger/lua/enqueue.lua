-- With line. (none) -> ready | scheduled. Idempotent by job id and, if one is given, by idempotency key.
-- KEYS: 1 job  2 ready  3 scheduled  4 idempotency key (the job's own key when there is none)
--       5 lines
-- ARGV: 1 job id  2 message  3 max attempts  4 due at (ms, 0 is now)  5 "1" if KEYS[4] is in use
--       6 prefix of job keys  7 the line of the job's partition, or ""
-- Returns {outcome, job id, due at (0 for ready)}: "accepted", "duplicate" (of another id) or "repeated".
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = tonumber(ARGV[4])

if ARGV[5] == '1' then
  local original = redis.call('HMGET', KEYS[4], 'id', 'due')
  -- A key outlives its job's record only while it has a time to live. One that has none and whose
  -- job is gone stands for a job that was lost: this one takes its place.
  local lost = original[1] and redis.call('PTTL', KEYS[4]) == -1
    and redis.call('EXISTS', ARGV[6] .. original[1]) == 0
  if original[1] and not lost then
    local outcome = original[1] == ARGV[1] and 'repeated' or 'duplicate'
    return {outcome, original[1], original[2]}
  end
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'repeated', ARGV[1], redis.call('HGET', KEYS[1], 'due') or '0'}
end

local state = due > now and 'scheduled' or 'ready'
if state == 'ready' then due = 0 end
redis.call('HSET', KEYS[1],
  'state', state, 'message', ARGV[2], 'attempt', 0, 'maxAttempts', ARGV[3],
  'due', due, 'createdAt', now, 'windowStart', now, 'updatedAt', now)
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'line', ARGV[7]) end
if ARGV[5] == '1' then
  redis.call('HSET', KEYS[1], 'idempotency', KEYS[4])
  redis.call('HSET', KEYS[4], 'id', ARGV[1], 'due', due)
end
if state == 'scheduled' then
  redis.call('ZADD', KEYS[3], due, ARGV[1])
else
  redis.call('ZADD', KEYS[2], now, ARGV[1])
  join_line(ARGV[7] ~= '' and ARGV[7], KEYS[5], ARGV[1], now)
end
return {'accepted', ARGV[1], tostring(due)}
