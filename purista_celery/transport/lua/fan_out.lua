-- Stores a message in the queues that the publisher found in an exchange's bindings, if these are
-- still what it read; else tells what they are now.
--
-- KEYS[1]  bindings of the exchange
-- KEYS[2…] for each queue: its list for the message's priority, its wake list
-- ARGV[1]  version of the bindings that the publisher read, '' = none
-- ARGV[2]  message
-- ARGV[3]  hints that a wake list keeps
-- ARGV[4]  milliseconds that a wake list lives
-- Returns nothing if it is stored; else the bindings' version, and then the bindings.

local bindings = redis.call('SMEMBERS', KEYS[1])
table.sort(bindings)
local version = redis.sha1hex(table.concat(bindings, '\n'))
if version ~= ARGV[1] then
  table.insert(bindings, 1, version)
  return bindings
end
for i = 2, #KEYS, 2 do
  redis.call('LPUSH', KEYS[i], ARGV[2])
  redis.call('LPUSH', KEYS[i + 1], '1')
  redis.call('LTRIM', KEYS[i + 1], 0, tonumber(ARGV[3]) - 1)
  redis.call('PEXPIRE', KEYS[i + 1], ARGV[4])
end
return false
