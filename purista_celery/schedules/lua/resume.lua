-- a paused entry -> looked at again, its progress decided by who resumes. Anybody may.
-- KEYS: 1 entry  2 schedule
-- ARGV: 1 meta as it was read  2 new meta  3 when to look at it next (s), -1 never
--       4 channel on which beats listen for changes
-- Returns "done" (also for a repeat); "moved".
if redis.call('HEXISTS', KEYS[1], 'paused') == 0 then return 'done' end
if redis.call('HGET', KEYS[1], 'meta') ~= ARGV[1] then return 'moved' end
redis.call('HDEL', KEYS[1], 'paused')
redis.call('HSET', KEYS[1], 'meta', ARGV[2])
redis.call('ZADD', KEYS[2], 'XX', ARGV[3], KEYS[1])
redis.call('PUBLISH', ARGV[4], 'resumed')
return 'done'
