-- Takes result events that wait for longer than a while; their clocks start anew, so that of
-- several relays one publishes.
-- KEYS: 1 outbox  2 outbox times
-- ARGV: 1 waiting for at least (ms)  2 at most
-- Returns a flat list of event id, event.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[1]),
  'LIMIT', 0, tonumber(ARGV[2]))
local events = {}
for _, id in ipairs(ids) do
  local event = redis.call('HGET', KEYS[1], id)
  if event then
    redis.call('ZADD', KEYS[2], now, id)
    events[#events + 1] = id
    events[#events + 1] = event
  else
    redis.call('ZREM', KEYS[2], id)
  end
end
return events
