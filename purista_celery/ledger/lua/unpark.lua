-- dead -> (none): a kept message goes back to the broker, in two steps with its publication between
-- them, so that it is in one of the two places at least.
-- KEYS: 1 job  2 dead
-- ARGV: 1 id  2 "begin" or "end"
-- Returns {"done", raw bytes, where it came from} or {"lost"}: no such message, or it was parked
-- again meanwhile.
local job = redis.call('HMGET', KEYS[1], 'state', 'raw', 'source', 'redriving')
if job[1] ~= 'dead' or not job[2] then return {'lost'} end
if ARGV[2] == 'begin' then
  redis.call('HSET', KEYS[1], 'redriving', 1)
elseif not job[4] then
  return {'lost'}
else
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return {'done', job[2], job[3]}
