-- schedules' progress -> their next, one after the other. Refused to all but the leader, and each
-- from any other progress.
-- KEYS: 1 lock  2 schedule  3.. entries, each once
-- ARGV: 1 token; then for each entry: meta as it was read, new meta, when to look at it next (s), -1
--       never, "" as is, and "1" if an occurrence of it is to be published after this
-- Returns {} if another leads; else for each entry "done"; "again" for a repeat whose answer got lost;
-- "moved"; "paused".
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {} end
local verdicts = {}
for at = 3, #KEYS do
  local first = 4 * at - 10
  local read, meta, look, publishing = ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 3]
  local entry = redis.call('HMGET', KEYS[at], 'meta', 'paused')
  if entry[1] == meta and read ~= meta then
    verdicts[at - 2] = 'again'
  elseif entry[1] ~= read then
    verdicts[at - 2] = 'moved'
  elseif entry[2] and publishing == '1' then
    verdicts[at - 2] = 'paused'
  else
    redis.call('HSET', KEYS[at], 'meta', meta)
    if look ~= '' then redis.call('ZADD', KEYS[2], entry[2] and -1 or look, KEYS[at]) end
    verdicts[at - 2] = 'done'
  end
end
return verdicts
