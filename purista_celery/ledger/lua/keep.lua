-- leased -> leased: the holder keeps parts of what it is about to hand over, or forgets some.
-- KEYS: 1 job
-- ARGV: 1 fence  2 checkpoint (JSON), or "" to leave it  3 … pairs of part and text ("" forgets it)
-- Returns {"held", "1" if cancel was asked} or {"lost", state}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'cancelRequestedAt')
if job[1] ~= 'leased' or job[2] ~= ARGV[1] then return {'lost', job[1] or ''} end
for i = 3, #ARGV, 2 do
  local field = 'kept:' .. ARGV[i]
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], field)
  else
    redis.call('HSET', KEYS[1], field, ARGV[i + 1])
  end
end
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'checkpoint', ARGV[2]) end
redis.call('HSET', KEYS[1], 'updatedAt', now)
return {'held', job[3] and '1' or '0'}
