-- a stored entry that can not be fired -> kept, but not looked at. Refused to all but the leader.
-- KEYS: 1 lock  2 entry  3 schedule
-- ARGV: 1 token  2 code of why it can not be fired
-- Returns "done"; "not leading".
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'not leading' end
redis.call('ZADD', KEYS[3], 'XX', -1, KEYS[2])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], 'rejected', ARGV[2]) end
return 'done'
