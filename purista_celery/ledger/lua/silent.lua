-- Looks which workers are dead: silent for longer than they announced, while others were heard.
-- KEYS: 1 workers  2 heard
-- ARGV: 1 longest gap (ms)  2 for how long the ledger must have been heard from (ms)  3 forget after (ms)
-- Returns {"deaf"}: nobody has been heard for a while, so that nobody could say that he lives. Else
-- {"doubt", now (ms), since when there has been no gap (ms)}: not all have had the time to say so; or
-- {"sure", now, since, dead worker, …}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local heard = redis.call('HMGET', KEYS[2], 'since', 'last')
local since, last = tonumber(heard[1] or 0), tonumber(heard[2] or 0)
if now - last > tonumber(ARGV[1]) or now < last then return {'deaf'} end
local at, from = string.format('%d', now), string.format('%d', since)
if now - since < tonumber(ARGV[2]) then return {'doubt', at, from} end
-- By then its jobs have been taken from it, or their leases have run out.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[3]))
return {'sure', at, from, unpack(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000))}
