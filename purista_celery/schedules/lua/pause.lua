-- a stored entry -> paused: not looked at until it is resumed. Anybody may; the first pause counts.
-- KEYS: 1 entry  2 schedule
-- ARGV: 1 since when and why (JSON)
-- Returns "done" (also for a repeat); "missing".
if redis.call('EXISTS', KEYS[1]) == 0 then return 'missing' end
redis.call('HSETNX', KEYS[1], 'paused', ARGV[1])
redis.call('ZADD', KEYS[2], 'XX', -1, KEYS[1])
return 'done'
