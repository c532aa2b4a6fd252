-- Puts deliveries back into the queue that they came from: the given tags or, when none are given,
-- those whose lease has ended. A tag that is no longer recorded puts nothing back.
--
-- KEYS[1]  hash: delivery tag -> '[message,"","queue"]'
-- KEYS[2]  sorted set: delivery tag -> score
-- ARGV[1]  prefix of all keys
-- ARGV[2]  separator between queue and priority step
-- ARGV[3]  priority steps, ascending, joined by commas
-- ARGV[4]  'next': consumed before what waits; 'last': after it
-- ARGV[5]  '1': this was a delivery, count it; '0': nobody has seen the message
-- ARGV[6]  hints that a wake list keeps
-- ARGV[7]  milliseconds that a wake list lives
-- ARGV[8]  visibility_timeout in seconds
-- ARGV[9]  with no tags given: how many to put back at most
-- ARGV[10…] tags, the one to be consumed first in front
-- Returns  {number put back, tags that were published through an exchange by stock Kombu, …}
--
-- The message is edited as text: decoding and encoding it again would change numbers and empty
-- arrays. cjson only reads the priority.

local unacked, index = KEYS[1], KEYS[2]
local prefix, sep, place, counts = ARGV[1], ARGV[2], ARGV[4], ARGV[5] == '1'
local restored, foreign = 0, {}

local steps = {}
for step in string.gmatch(ARGV[3], '%d+') do
  steps[#steps + 1] = tonumber(step)
end

local function step_of(message)
  local ok, priority = pcall(function()
    return math.floor(tonumber(cjson.decode(message).properties.priority))
  end)
  priority = ok and math.max(0, math.min(9, priority)) or 0
  local found = steps[#steps]
  for i = #steps, 1, -1 do
    if steps[i] <= priority then
      found = steps[i]
      break
    end
  end
  return found
end

local function counted(message)
  local count, rest = string.match(message, '^{"deliveries": (%d+), (.*)$')
  if count then
    return string.format('{"deliveries": %d, ', tonumber(count) + 1) .. rest
  end
  if string.sub(message, 1, 2) == '{"' then
    return '{"deliveries": 1, ' .. string.sub(message, 2)
  end
  return message
end

local function put_back(message, queue)
  local step = step_of(message)
  local list = prefix .. queue
  if step ~= 0 then
    list = list .. sep .. step
  end
  if counts then
    message = counted(message)
  end
  redis.call(place == 'next' and 'RPUSH' or 'LPUSH', list, message)
  local wake = prefix .. queue .. sep .. 'wake'
  redis.call('LPUSH', wake, '1')
  redis.call('LTRIM', wake, 0, tonumber(ARGV[6]) - 1)
  redis.call('PEXPIRE', wake, ARGV[7])
  restored = restored + 1
end

local function restore(tag)
  local record = redis.call('HGET', unacked, tag)
  if not record then
    redis.call('ZREM', index, tag)
    return
  end
  local message, name = string.match(record, '^%[(.*),%s*"",%s*("[^"]*")%]$')
  if not message then
    foreign[#foreign + 1] = tag
    return
  end
  redis.call('HDEL', unacked, tag)
  redis.call('ZREM', index, tag)
  put_back(message, cjson.decode('[' .. name .. ']')[1])
end

local tags = {}
if #ARGV > 9 then
  for i = 10, #ARGV do
    tags[#tags + 1] = ARGV[i]
  end
else
  local time = redis.call('TIME')
  local ended = tonumber(time[1]) + tonumber(time[2]) / 1000000 - tonumber(ARGV[8])
  tags = redis.call('ZRANGEBYSCORE', index, '-inf', string.format('%.6f', ended),
    'LIMIT', 0, tonumber(ARGV[9]))
end

-- What is pushed to the consuming end last is consumed first.
local from, to, by = 1, #tags, 1
if place == 'next' then
  from, to, by = #tags, 1, -1
end
for i = from, to, by do
  restore(tags[i])
end

return {restored, unpack(foreign)}
