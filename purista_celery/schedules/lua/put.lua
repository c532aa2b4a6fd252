-- an entry of the manifest -> stored; an operator's pause stays. Refused to all but the leader.
-- KEYS: 1 lock  2 entry  3 schedule  4 statics
-- ARGV: 1 token  2 definition  3 meta  4 when to look at it next (s), -1 never  5 entry's name
-- Returns "done"; "not leading".
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'not leading' end
redis.call('HSET', KEYS[2], 'definition', ARGV[2], 'meta', ARGV[3])
redis.call('HDEL', KEYS[2], 'rejected')
local paused = redis.call('HEXISTS', KEYS[2], 'paused') == 1
redis.call('ZADD', KEYS[3], paused and -1 or ARGV[4], KEYS[2])
redis.call('SADD', KEYS[4], ARGV[5])
return 'done'
