-- ready -> ready: jobs whose message has not been seen for a while are offered again, and no more of
-- them than there can be messages missing. A score of 1 marks a job that is known to have no message:
-- refused for now, or never published.
-- KEYS: 1 ready  2 paused  3 leased  4 pace  5 looked (set while jobs behind a backlog were looked for)
-- ARGV: 1 grace (ms), or "urgent" for those that are known to have none  2 at most
--       3 prefix of job keys  4 most jobs of this queue at once (0 is no limit)
--       5 most starts within an interval (0 is no limit)  6 messages that wait in the broker
--       7 how long a job may wait behind a backlog (ms)
-- Returns a flat list of job id, message, attempt; their clocks start anew.
if redis.call('EXISTS', KEYS[2]) == 1 then return {} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local most, limit = tonumber(ARGV[2]), tonumber(ARGV[4])
if limit > 0 then most = math.min(most, limit - redis.call('ZCARD', KEYS[3])) end
local pace = tonumber(ARGV[5])
if pace > 0 then most = math.min(most, pace - tonumber(redis.call('GET', KEYS[4]) or 0)) end
local upto = 1
if ARGV[1] ~= 'urgent' then
  upto = now - tonumber(ARGV[1])
  local waiting = tonumber(ARGV[6])
  local none = redis.call('ZCOUNT', KEYS[1], '-inf', 1)
  local unseen = redis.call('ZCOUNT', KEYS[1], '(1', upto)
  if unseen > waiting then
    -- So many at the least have no message.
    most = math.min(most, none + unseen - waiting)
  elseif none > 0 then
    most, upto = math.min(most, none), 1
  else
    -- A message may be lost while others keep coming. What has waited for very long is offered, if
    -- messages are missing at all; by one who looks at a time, or each would make up for the same.
    upto = now - tonumber(ARGV[7])
    local messages = redis.call('ZCOUNT', KEYS[1], '(1', now)
    most = math.min(most, messages - waiting, redis.call('ZCOUNT', KEYS[1], '(1', upto))
    if most > 0 and not redis.call('SET', KEYS[5], 1, 'NX', 'PX', math.max(1, ARGV[1])) then return {} end
  end
end
if most <= 0 then return {} end
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', upto, 'LIMIT', 0, most)
local offers = {}
for _, id in ipairs(ids) do
  local job = redis.call('HMGET', ARGV[3] .. id, 'message', 'attempt')
  if job[1] then
    redis.call('ZADD', KEYS[1], now, id)
    offers[#offers + 1] = id
    offers[#offers + 1] = job[1]
    offers[#offers + 1] = job[2]
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return offers
