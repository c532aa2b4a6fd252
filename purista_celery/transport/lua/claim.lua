-- Pops up to `limit` messages and records each one as unacknowledged, in one step. Acknowledgements
-- that were waiting are settled first. Priority steps are the outer loop, so a message of a higher
-- step in any queue comes before one of a lower step in another.
--
-- KEYS[1]  hash: delivery tag -> '[message,"","queue"]', as Kombu writes it
-- KEYS[2]  sorted set: delivery tag -> score; the lease ends at score + visibility_timeout
-- KEYS[3…] per queue: its list for every priority step, then its wake list
-- ARGV[1]  limit
-- ARGV[2]  token; the tags are token.1, token.2, …
-- ARGV[3]  number of queues
-- ARGV[4]  number of priority steps
-- ARGV[5]  '1': one message of each queue in turn; '0': drain the queues in their order
-- ARGV[6]  number of acknowledgements
-- ARGV[7…] the acknowledged tags; then per queue: its name as JSON, its lease minus
--          visibility_timeout in seconds ('' = not recorded), its x-expires in ms ('' = none)
-- Returns  {queue number, tag, message, queue number, tag, message, …}
--
-- Memory: Redis refuses to grow only before a script's first write (maxmemory, noeviction), so the
-- pop must come before the record; the record is then never refused.

local unacked, index = KEYS[1], KEYS[2]
local limit, token = tonumber(ARGV[1]), ARGV[2]
local queues, steps = tonumber(ARGV[3]), tonumber(ARGV[4])
local in_turn, acks = ARGV[5] == '1', tonumber(ARGV[6])
local claimed, failure = 0, nil
local reply, scores, records = {}, {}, {}

for from = 7, 6 + acks, 1000 do
  local to = math.min(from + 999, 6 + acks)
  redis.call('ZREM', index, unpack(ARGV, from, to))
  redis.call('HDEL', unacked, unpack(ARGV, from, to))
end

-- A client that resends after a timeout must not overwrite what the first call recorded.
if redis.call('HEXISTS', unacked, token .. '.1') == 1 then
  return reply
end

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function key(queue, place)
  return KEYS[2 + (queue - 1) * (steps + 1) + place]
end

local function about(queue, field)
  return ARGV[6 + acks + (queue - 1) * 3 + field]
end

-- One at a time: with a count, Redis 6.2 walks through the whole list.
local function pop(queue, step)
  local message = redis.pcall('RPOP', key(queue, step))
  if not message then
    return false
  end
  if type(message) == 'table' then
    failure = message.err
    return false
  end
  claimed = claimed + 1
  local tag, offset = token .. '.' .. claimed, tonumber(about(queue, 2))
  if offset then
    scores[#scores + 1] = string.format('%.6f', now + offset)
    scores[#scores + 1] = tag
    records[#records + 1] = tag
    records[#records + 1] = '[' .. message .. ',"",' .. about(queue, 1) .. ']'
  end
  reply[#reply + 1] = queue
  reply[#reply + 1] = tag
  reply[#reply + 1] = message
  return true
end

for step = 1, steps do
  local dry = {}
  local more = true
  while more and claimed < limit do
    more = false
    for queue = 1, queues do
      while claimed < limit and not dry[queue] do
        dry[queue] = not pop(queue, step)
        if in_turn then
          break
        end
      end
      more = more or not dry[queue]
    end
  end
end

if #scores > 0 then
  redis.call('ZADD', index, unpack(scores))
  redis.call('HSET', unacked, unpack(records))
end

for queue = 1, queues do
  -- Fewer than allowed: every list is empty now, so every hint is stale.
  if claimed < limit then
    redis.call('DEL', key(queue, steps + 1))
  end
  local expires = about(queue, 3)
  if expires ~= '' then
    for step = 1, steps do
      redis.call('PEXPIRE', key(queue, step), expires)
    end
  end
end

if claimed == 0 and failure then
  return redis.error_reply(failure)
end
return reply
