-- Stores a message in the queues that the publisher found in an exchange's bindings, if these are
-- still what it read; else tells what they are now. With a condition (a function, defined before
-- this), the message is stored if its answer begins with "done".
--
-- KEYS[1]  bindings of the exchange
-- KEYS[2…] for each queue: its list for the message's priority, its wake list
-- KEYS[…]  the condition's
-- ARGV[1]  version of the bindings that the publisher read, '' = none
-- ARGV[2]  message
-- ARGV[3]  hints that a wake list keeps
-- ARGV[4]  milliseconds that a wake list lives
-- ARGV[5…] with a condition: how many keys it has, its arguments
-- Returns nothing if it is stored; the bindings' version, and then the bindings, if they have changed;
-- '', and then the condition's answer, if it refused.

local bindings = redis.call('SMEMBERS', KEYS[1])
table.sort(bindings)
local version = redis.sha1hex(table.concat(bindings, '\n'))
if version ~= ARGV[1] then
  table.insert(bindings, 1, version)
  return bindings
end
local last = #KEYS
if condition then
  last = last - tonumber(ARGV[5])
  -- Whatever else lies where a queue should be must be found before the condition writes.
  for i = 2, last do redis.call('LLEN', KEYS[i]) end
  local answer = condition({unpack(KEYS, last + 1)}, {unpack(ARGV, 6)})
  if answer[1] ~= 'done' then
    table.insert(answer, 1, '')
    return answer
  end
end
for i = 2, last, 2 do
  redis.call('LPUSH', KEYS[i], ARGV[2])
  redis.call('LPUSH', KEYS[i + 1], '1')
  redis.call('LTRIM', KEYS[i + 1], 0, tonumber(ARGV[3]) - 1)
  redis.call('PEXPIRE', KEYS[i + 1], ARGV[4])
end
return false
