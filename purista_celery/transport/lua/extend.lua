-- Makes leases end so many seconds from now.
--
-- KEYS[1]  sorted set: delivery tag -> score; the lease ends at score + visibility_timeout
-- ARGV[1]  visibility_timeout in seconds
-- ARGV[2…] tag, seconds, tag, seconds, …
-- Returns  the tags that are held no more: settled, or put back because their lease had ended

local time = redis.call('TIME')
local base = tonumber(time[1]) + tonumber(time[2]) / 1000000 - tonumber(ARGV[1])
local lost = {}

for i = 2, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    redis.call('ZADD', KEYS[1], 'XX', string.format('%.6f', base + tonumber(ARGV[i + 1])), ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end

return lost
