-- The generic cell rate algorithm of chat/limits, in whole microseconds of Redis's clock.
-- KEYS[1] holds when the next one is due; ARGV: microseconds for each, burst, patience, and how many, or as many less than 0 to give them back.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local every, burst, patience, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4] or 1)
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local wait = math.max(due - now - every * (burst - math.max(count, 1)), 0)
if wait <= patience or count < 0 then
  local next = due + every * count
  if next > now then
    redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
  else
    redis.call('DEL', KEYS[1])
  end
end
return wait
