-- With line. ready -> leased. Grants exactly one holder, and counts the attempt. A lease that has passed
-- is the rescuer's to end: who asks for one job can not tell a dead holder from an outage.
-- KEYS: 1 job  2 ready  3 leased  4 paused  5 lines  6 pace
-- ARGV: 1 job id  2 fence  3 worker  4 lease (ms)  5 longest hold (ms)
--       6 most jobs of this queue at once (0 is no limit)  7 prefix of job keys
--       8 interval (ms, 0 is none)  9 most starts within an interval  10 the process that asks
-- Returns {verdict, attempt, max attempts, created at, checkpoint, window start, fence, state,
--          redrives, reason of the failures before, how often in a row}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'leaseExpiresAt', 'attempt',
  'maxAttempts', 'createdAt', 'checkpoint', 'windowStart', 'redrives', 'line', 'failedFor',
  'failedTimes', 'process')
local state, fence = job[1], job[2] or ''

local function answer(verdict, attempt)
  return {verdict, attempt or tonumber(job[4] or 0), tonumber(job[5] or 0), tonumber(job[6] or 0),
    job[7] or '', tonumber(job[8] or 0), fence, state or '', tonumber(job[9] or 0),
    job[11] or '', tonumber(job[12] or 0)}
end

if not state then return answer('unknown') end
if state == 'completed' or state == 'cancelled' or state == 'dead' then return answer('settled') end
if state == 'scheduled' then return answer('not_due') end
if state == 'leased' then
  -- The same claim again: its first answer got lost on the way. Another process that Celery has given
  -- the same delivery to, after the first one died, does not begin an attempt that is counted already.
  return answer(fence == ARGV[2] and job[13] == ARGV[10] and 'granted' or 'held')
end
local line = job[10]
if line then
  join_line(line, KEYS[5], ARGV[1], now)
  if first_in_line(line, KEYS[5], ARGV[7]) ~= ARGV[1] then
    -- It has no message any more: it is to be offered when its turn comes.
    redis.call('ZADD', KEYS[2], 'XX', WAITING, ARGV[1])
    call_first(line, KEYS[5], ARGV[7], KEYS[2], now)
    return answer('behind')
  end
end
if redis.call('EXISTS', KEYS[4]) == 1 then
  -- It has no message any more: it is to be offered as soon as the queue goes on.
  redis.call('ZADD', KEYS[2], 'XX', 1, ARGV[1])
  return answer('paused')
end
local limit, interval = tonumber(ARGV[6]), tonumber(ARGV[8])
local full = limit > 0 and redis.call('ZCARD', KEYS[3]) >= limit
if interval > 0 and tonumber(redis.call('GET', KEYS[6]) or 0) >= tonumber(ARGV[9]) then
  full = true
end
if full then
  redis.call('ZADD', KEYS[2], 1, ARGV[1])
  return answer('limited')
end
local attempt = tonumber(job[4]) + 1
if attempt > tonumber(job[5]) then return answer('exhausted') end

local expires = now + tonumber(ARGV[4])
fence = ARGV[2]
redis.call('HSET', KEYS[1], 'state', 'leased', 'fence', fence, 'worker', ARGV[3], 'process', ARGV[10],
  'attempt', attempt, 'leasedAt', now, 'leaseExpiresAt', expires,
  'holdUntil', now + tonumber(ARGV[5]), 'updatedAt', now)
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], expires, ARGV[1])
redis.call('SADD', KEYS[3] .. ':' .. ARGV[3], ARGV[1])
if interval > 0 and redis.call('INCR', KEYS[6]) == 1 then
  redis.call('PEXPIRE', KEYS[6], interval)
end
return answer('granted', attempt)
