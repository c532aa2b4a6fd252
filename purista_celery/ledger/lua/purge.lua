-- dead -> (none): a dead letter is deleted for good.
-- KEYS: 1 job  2 dead
-- ARGV: 1 job id
-- Returns 1 if it was a dead letter, else 0.
local state = redis.call('HGET', KEYS[1], 'state')
if state and state ~= 'dead' then return 0 end
redis.call('DEL', KEYS[1])
return redis.call('ZREM', KEYS[2], ARGV[1])
