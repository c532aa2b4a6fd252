-- With line. scheduled -> ready, for what is due.
-- KEYS: 1 scheduled  2 ready  3 lines
-- ARGV: 1 at most  2 prefix of job keys
-- Returns a flat list of job id, message, attempt; they are to be offered now.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))
local offers = {}
for _, id in ipairs(ids) do
  redis.call('ZREM', KEYS[1], id)
  local key = ARGV[2] .. id
  local job = redis.call('HMGET', key, 'message', 'attempt', 'line')
  if job[1] then
    redis.call('HSET', key, 'state', 'ready', 'updatedAt', now)
    redis.call('ZADD', KEYS[2], now, id)
    join_line(job[3], KEYS[3], id, now)
    offers[#offers + 1] = id
    offers[#offers + 1] = job[1]
    offers[#offers + 1] = job[2]
  end
end
return offers
