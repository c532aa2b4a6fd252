-- a stored entry -> gone. Refused to all but the leader.
-- KEYS: 1 lock  2 entry  3 schedule  4 statics
-- ARGV: 1 token  2 entry's name
-- Returns "done"; "not leading".
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'not leading' end
redis.call('ZREM', KEYS[3], KEYS[2])
redis.call('SREM', KEYS[4], ARGV[2])
redis.call('DEL', KEYS[2])
return 'done'
