-- With holder. any state -> (none): a job that is somewhere else by now is taken off its queue.
-- KEYS: 1 job  2 ready  3 scheduled  4 leased  5 dead
-- ARGV: 1 job id  2 the state and 3 the fence that it had when it was read
-- Returns 1, or 0 if something has happened to it since; nothing was changed then.
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'idempotency', 'worker')
if job[1] ~= ARGV[2] or (job[2] or '') ~= ARGV[3] then return 0 end
let_go(KEYS[4], job[4], ARGV[1])
for i = 2, 5 do redis.call('ZREM', KEYS[i], ARGV[1]) end
if job[3] and redis.call('HGET', job[3], 'id') == ARGV[1] then redis.call('DEL', job[3]) end
redis.call('DEL', KEYS[1])
return 1
