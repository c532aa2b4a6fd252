-- (none) | what was before the claim -> leased: the ledger has lost what it was told (a replica
-- that lagged was promoted, a crash took the last second), and the holder tells it again.
-- KEYS: 1 job  2 leased  3 ready  4 scheduled  5 idempotency key (the job's own key when there is none)
--       6 lines
-- ARGV: 1 job id  2 fence  3 worker  4 lease (ms)  5 longest hold (ms)  6 attempt  7 redrives
--       8 window start (ms)  9 message  10 max attempts  11 "1" if KEYS[5] is in use
--       12 the line of the job's partition, or ""
-- Returns {"done"}, or {"lost", state}: somebody has claimed or ended it since, so it is theirs.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'attempt', 'redrives', 'settledBy',
  'worker')
local state = job[1]
if state == 'leased' and job[2] == ARGV[2] then return {'done'} end
if state then
  -- Attempts only grow, but for one that was given back, which its holder knows.
  local before = tonumber(job[3] or 0) < tonumber(ARGV[6])
    and tonumber(job[4] or 0) == tonumber(ARGV[7]) and job[5] ~= ARGV[2]
  if not before or state == 'completed' or state == 'cancelled' or state == 'dead' then
    return {'lost', state}
  end
  if state == 'leased' then redis.call('SREM', KEYS[2] .. ':' .. job[6], ARGV[1]) end
else
  redis.call('HSET', KEYS[1], 'message', ARGV[9], 'maxAttempts', ARGV[10], 'due', 0,
    'createdAt', now, 'windowStart', ARGV[8], 'redrives', ARGV[7])
  if ARGV[11] == '1' and redis.call('EXISTS', KEYS[5]) == 0 then
    redis.call('HSET', KEYS[1], 'idempotency', KEYS[5])
    redis.call('HSET', KEYS[5], 'id', ARGV[1], 'due', 0)
  end
end
if ARGV[12] ~= '' then
  redis.call('HSET', KEYS[1], 'line', ARGV[12])
  if not redis.call('ZSCORE', ARGV[12], ARGV[1]) then
    local first = redis.call('ZRANGE', ARGV[12], 0, 0, 'WITHSCORES')[2]
    redis.call('ZADD', ARGV[12], tonumber(first or 1) - 1, ARGV[1])
    redis.call('ZADD', KEYS[6], now, ARGV[12])
  end
end
local expires = now + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], 'state', 'leased', 'fence', ARGV[2], 'worker', ARGV[3],
  'attempt', ARGV[6], 'leasedAt', now, 'leaseExpiresAt', expires,
  'holdUntil', now + tonumber(ARGV[5]), 'updatedAt', now)
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[2], expires, ARGV[1])
redis.call('SADD', KEYS[2] .. ':' .. ARGV[3], ARGV[1])
return {'done'}
