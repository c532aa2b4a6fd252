-- Lines: jobs of one partition run one after the other, in the order in which they became ready.
-- Not a transition; the scripts that say "With line" begin with it. A line is a sorted set of job ids
-- by their place. Its first job stands in it until it has ended, whatever becomes of its attempts.
-- Keys of jobs, lines and the list of lines share one slot, so that they may be computed here.

-- The score, in the ready set, of a job that waits for its turn: neither urgent nor lost.
local WAITING = 9e15

local function join_line(line, lines, id, now)
  if not line or redis.call('ZSCORE', line, id) then return end
  local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', line, tonumber(last or 0) + 1, id)
  redis.call('ZADD', lines, now, line)
end

-- The first job of a line that has not ended; what has ended, or is lost, is taken out of it.
local function first_in_line(line, lines, job_prefix)
  local id = redis.call('ZRANGE', line, 0, 0)[1]
  while id do
    local state = redis.call('HGET', job_prefix .. id, 'state')
    if state == 'ready' or state == 'leased' or state == 'scheduled' then return id end
    redis.call('ZREM', line, id)
    id = redis.call('ZRANGE', line, 0, 0)[1]
  end
  redis.call('ZREM', lines, line)
end

-- Has the first job offered, if it waits for its turn.
local function call_first(line, lines, job_prefix, ready, now)
  local id = first_in_line(line, lines, job_prefix)
  if not id then return end
  redis.call('ZADD', lines, now, line)
  local score = tonumber(redis.call('ZSCORE', ready, id) or 0)
  if score >= WAITING / 2 then redis.call('ZADD', ready, 1, id) end
end

local function leave_line(line, lines, id, job_prefix, ready, now)
  if not line then return end
  redis.call('ZREM', line, id)
  call_first(line, lines, job_prefix, ready, now)
end
