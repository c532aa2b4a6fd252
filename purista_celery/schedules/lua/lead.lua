-- nobody leads -> this beat leads; this beat leads -> for longer. Refused while another leads.
-- KEYS: 1 lock  2 evaluated  3 waiting  4 awake
-- ARGV: 1 token  2 length of the lock (ms)  3 until when this leader has looked at all (ms), or ""
--       4 now (ms)  5 since when this beat has been looking (ms)  6 longest pause between looks (ms)
-- Returns {verdict, until when a leader has looked at all (ms) or "", since when there has always
-- been a beat that looked (ms)}: "kept"; "taken"; "refused".
local awake = redis.call('HMGET', KEYS[4], 'since', 'last')
local now, since = tonumber(ARGV[4]), tonumber(ARGV[5])
if awake[2] and now - tonumber(awake[2]) <= tonumber(ARGV[6]) then
  since = math.min(since, tonumber(awake[1]))
end
redis.call('HSET', KEYS[4], 'since', string.format('%d', since), 'last', ARGV[4])
local looking = string.format('%d', since)

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
  return {'refused', '', looking}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if holder and ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3]) end
return {holder and 'kept' or 'taken', redis.call('GET', KEYS[2]) or '', looking}
