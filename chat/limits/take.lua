-- The generic cell rate algorithm of chat/limits, in whole microseconds of Redis's clock.
-- KEYS[1] holds when the next one is due; ARGV: microseconds for each, burst, patience.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local every, burst, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local wait = math.max(due - now - every * (burst - 1), 0)
if wait <= patience then
  local next = due + every
  redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
end
return wait
