-- A worker says that it lives. With it the ledger remembers since when it has been heard from without
-- a gap: in a stall or an outage nobody can say anything, and the silence of all is nobody's death.
-- KEYS: 1 workers  2 heard
-- ARGV: 1 worker id  2 alive for (ms)  3 longest gap (ms)
-- Returns since when there has been no gap (ms).
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local heard = redis.call('HMGET', KEYS[2], 'since', 'last')
local last = tonumber(heard[2] or 0)
local since = tonumber(heard[1] or 0)
-- A clock that was set back, too.
if now - last > tonumber(ARGV[3]) or now < last then since = now end
redis.call('HSET', KEYS[2], 'since', string.format('%d', since), 'last', string.format('%d', now))
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return string.format('%d', since)
