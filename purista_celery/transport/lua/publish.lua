-- Stores a message and leaves a hint for workers that wait on the queue.
--
-- KEYS[1]  list of the queue and priority step
-- KEYS[2]  wake list of the queue
-- KEYS[3…] with x-expires: the queue's list for every priority step
-- ARGV[1]  message
-- ARGV[2]  hints that a wake list keeps
-- ARGV[3]  milliseconds that a wake list lives
-- ARGV[4]  x-expires in ms, '' = none

redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LPUSH', KEYS[2], '1')
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[2]) - 1)
redis.call('PEXPIRE', KEYS[2], ARGV[3])
for i = 3, #KEYS do
  redis.call('PEXPIRE', KEYS[i], ARGV[4])
end
