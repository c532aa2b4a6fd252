-- leased -> leased: the holder writes down progress or a checkpoint.
-- KEYS: 1 job
-- ARGV: 1 fence  2 field ("progress", "checkpoint" or "" to look only)  3 value
-- Returns {"held", "1" if cancel was asked} or {"lost", state}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'cancelRequestedAt')
if job[1] ~= 'leased' or job[2] ~= ARGV[1] then return {'lost', job[1] or ''} end
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3], 'updatedAt', now)
end
return {'held', job[3] and '1' or '0'}
