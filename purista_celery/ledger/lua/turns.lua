-- With line. ready -> ready: a safety net for lines in which nothing has happened for a while, so that
-- nobody waits behind a job whose end was not written down.
-- KEYS: 1 lines  2 ready
-- ARGV: 1 quiet for at least (ms)  2 at most  3 prefix of job keys
-- Returns how many lines were looked at.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local quiet = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]), 'LIMIT', 0,
  tonumber(ARGV[2]))
for _, line in ipairs(quiet) do call_first(line, KEYS[1], ARGV[3], KEYS[2], now) end
return #quiet
