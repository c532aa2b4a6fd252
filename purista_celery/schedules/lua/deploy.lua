-- which deployment's manifest a group keeps. Refused to all but the leader.
-- KEYS: 1 lock  2 deployment
-- ARGV: 1 token  2 deployment (JSON)
-- Returns "done"; "not leading".
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'not leading' end
redis.call('SET', KEYS[2], ARGV[2])
return 'done'
