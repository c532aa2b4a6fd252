-- a beat looks: when it has been looking is written down, with what others have said. And, as it
-- wants: nobody leads -> this beat leads; this beat leads -> for longer; or -> nobody leads.
-- All by this server's clock, the only one that beats share.
-- KEYS: 1 lock  2 waiting  3 looked
-- ARGV: 1 token  2 "lead", "look" (and not lead) or "leave"  3 length of the lock (ms)
--       4 longest pause between looks (ms)  5 now (ms), "" by this server
--       6 when this beat was last answered (ms), "" if never  7 "1" if it has been looking ever since
--       8.. how long ago each of this beat's spells began and ended (ms), the last one ended 0
-- Returns {verdict, now (ms), by how much the clock has gone back since somebody looked (ms), then
-- when each spell of any beat began and ended (ms), the oldest first}. Verdict: "kept"; "taken";
-- "refused" while another leads; "looked"; "left".
local KEPT = 100
local patience, now = tonumber(ARGV[4]), tonumber(ARGV[5])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local spells, back = {}, 0
for began, ended in (redis.call('GET', KEYS[3]) or ''):gmatch('(%d+)%-(%d+)') do
  back = math.max(0, ended - now)
  spells[#spells + 1] = {math.min(began, now), math.min(ended, now)}
end
for at = 8, #ARGV, 2 do spells[#spells + 1] = {now - ARGV[at], now - ARGV[at + 1]} end
-- Where the clock went forward, nobody has slept through the time that never was. And who was held
-- up for less than its lock is late.
local holder, mine = redis.call('GET', KEYS[1]), spells[#spells]
if ARGV[7] == '1' or holder == ARGV[1] then
  mine[1] = math.min(mine[1], tonumber(ARGV[6]) or now)
end
table.sort(spells, function(a, b) return a[1] < b[1] end)

local union = {}
for _, spell in ipairs(spells) do
  local last = union[#union]
  if last and spell[1] - last[2] <= patience then
    last[2] = math.max(last[2], spell[2])
  else
    union[#union + 1] = spell
  end
end
local texts, answer = {}, {'', string.format('%d', now), string.format('%d', back)}
for at = math.max(1, #union - KEPT + 1), #union do
  local began, ended = string.format('%d', union[at][1]), string.format('%d', union[at][2])
  texts[#texts + 1] = began .. '-' .. ended
  answer[#answer + 1] = began
  answer[#answer + 1] = ended
end
redis.call('SET', KEYS[3], table.concat(texts, ' '))

if ARGV[2] == 'look' then
  answer[1] = 'looked'
elseif ARGV[2] == 'leave' then
  if holder == ARGV[1] then redis.call('DEL', KEYS[1]) end
  answer[1] = 'left'
elseif holder and holder ~= ARGV[1] then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
  answer[1] = 'refused'
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
  answer[1] = holder and 'kept' or 'taken'
end
return answer
