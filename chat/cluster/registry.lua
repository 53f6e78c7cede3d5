-- Who is present, over all nodes. All keys have the hash tag of KEYS[1], so each call is atomic.
--
-- ROOT:nodes            ZSET    node -> when its lease ends
-- ROOT:last             string  time of the last exchange of any node
-- ROOT:pause            string  exists while leases do not count, since no node could renew its own
-- ROOT:sweep            string  exists until the log is to be compared with the registry again
-- ROOT:seq              string  counts changes of rooms
-- ROOT:changed          ZSET    room -> seq of its last change
-- ROOT:room:CODE        HASH    "number node" -> the member as JSON
-- ROOT:gone:CODE        SET     seats that a node said are empty while leases do not count
-- ROOT:seats:NODE       SET     "CODE number"
-- ROOT:claim:CODE:n     string  the node that is writing the notice that seat n left
-- ROOT:person:PERSON    ZSET    "node connection" -> when it was opened
-- ROOT:tabs:NODE        SET     "connection person"
-- ROOT:surplus:NODE     SET     connections that this node is to close

local root, verb, node = KEYS[1], ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000  -- ms, by the one clock that all nodes share

local function key(kind, name) return root .. ':' .. kind .. ':' .. name end

local function pair(text) return string.match(text, '^(%S+) (.+)$') end

local function touch(code)
  local seq = redis.call('INCR', root .. ':seq')
  redis.call('ZADD', root .. ':changed', seq, code)
end

local function live(name)
  local lease = redis.call('ZSCORE', root .. ':nodes', name)
  return lease and tonumber(lease) > now
end

local function add(code, number, member)
  local seat = number .. ' ' .. node
  if redis.call('HGET', key('room', code), seat) ~= member then
    redis.call('HSET', key('room', code), seat, member)
    redis.call('SADD', key('seats', node), code .. ' ' .. number)
    touch(code)
  end
end

local function remove(owner, code, number)
  redis.call('SREM', key('seats', owner), code .. ' ' .. number)
  if redis.call('HDEL', key('room', code), number .. ' ' .. owner) == 1 then touch(code) end
end

-- While leases do not count, a seat that is missing may have yet to be sent again: this one is not.
local function empty(code, number, life)
  redis.call('SADD', key('gone', code), number)
  redis.call('PEXPIRE', key('gone', code), life)
  touch(code)
end

-- Whether a live node has this seat.
local function taken(code, number, nodes)
  for _, name in ipairs(nodes) do
    if redis.call('HEXISTS', key('room', code), number .. ' ' .. name) == 1 then return true end
  end
  return false
end

local function living()
  return redis.call('ZRANGEBYSCORE', root .. ':nodes', '(' .. string.format('%.3f', now), '+inf')
end

local function close_tab(owner, connection, person)
  redis.call('ZREM', key('person', person), owner .. ' ' .. connection)
  redis.call('SREM', key('tabs', owner), connection .. ' ' .. person)
end

local function remove_node(dead)
  for _, seat in ipairs(redis.call('SMEMBERS', key('seats', dead))) do
    local code, number = pair(seat)
    remove(dead, code, number)
  end
  for _, tab in ipairs(redis.call('SMEMBERS', key('tabs', dead))) do
    local connection, person = pair(tab)
    close_tab(dead, connection, person)
  end
  redis.call('DEL', key('surplus', dead))
  redis.call('ZREM', root .. ':nodes', dead)
  redis.call('DEL', root .. ':sweep')
end

local function open_tab(connection, person, age, most)
  redis.call('ZADD', key('person', person), string.format('%.3f', now - age), node .. ' ' .. connection)
  redis.call('SADD', key('tabs', node), connection .. ' ' .. person)
  local over = redis.call('ZCARD', key('person', person)) - most
  if over <= 0 then return end
  for _, tab in ipairs(redis.call('ZRANGE', key('person', person), 0, over - 1)) do
    local owner, oldest = pair(tab)
    close_tab(owner, oldest, person)
    if live(owner) then redis.call('SADD', key('surplus', owner), oldest) end
  end
end

-- Applies the changes of a node's entries and returns what changed on other nodes.
-- Returns {0} if the node was removed, or if its lease here ends earlier than it knows: then this Redis was
-- restored or lags behind, and has lost later changes. The node has to send everything again.
local function exchange(request)
  local lease = redis.call('ZSCORE', root .. ':nodes', node)
  if not request.join and (not lease or tonumber(lease) < request.lease) then
    remove_node(node)
    return {0}
  end
  local last = tonumber(redis.call('GET', root .. ':last') or 0)
  if now - last > request.gap then redis.call('SET', root .. ':pause', '1', 'PX', request.ttl) end
  redis.call('SET', root .. ':last', string.format('%.0f', now))
  lease = string.format('%.3f', now + request.ttl)
  redis.call('ZADD', root .. ':nodes', lease, node)
  local paused = redis.call('EXISTS', root .. ':pause')
  if paused == 0 then
    local dead = redis.call('ZRANGEBYSCORE', root .. ':nodes', '-inf', string.format('%.3f', now))
    for _, name in ipairs(dead) do remove_node(name) end
  end
  local held = {}
  for _, seat in ipairs(request.seats) do
    local code, number, member = seat[1], seat[2], seat[3]
    if member == '' then
      remove(node, code, number)
      if paused == 1 then empty(code, number, request.ttl) end
    else
      add(code, number, member)
      redis.call('SREM', key('gone', code), number)
      if redis.call('EXISTS', key('claim', code .. ':' .. number)) == 1 then
        held[#held + 1] = code .. ' ' .. number
      end
    end
  end
  for _, tab in ipairs(request.closed) do
    close_tab(node, tab[1], tab[2])
    redis.call('SREM', key('surplus', node), tab[1])
  end
  for _, tab in ipairs(request.opened) do open_tab(tab[1], tab[2], tab[3], request.most) end
  local sweep = 0
  if paused == 0 and redis.call('SET', root .. ':sweep', node, 'NX', 'PX', request.sweep) then sweep = 1 end
  local seq = tonumber(redis.call('GET', root .. ':seq') or 0)
  redis.call('ZREMRANGEBYSCORE', root .. ':changed', '-inf', seq - request.memory)
  local since = string.format('%d', request.join and seq or request.since)
  local changed = redis.call('ZRANGEBYSCORE', root .. ':changed', '(' .. since, '+inf')
  return {1, lease, #living(), seq, paused, sweep, held, redis.call('SMEMBERS', key('surplus', node)), changed}
end

-- Removes seats of this node. Those that no node has any more are claimed for it and returned.
local function leave(code, life, numbers)
  if redis.call('EXISTS', root .. ':pause') == 1 or not redis.call('ZSCORE', root .. ':nodes', node) then
    return false
  end
  local nodes, ours = living(), {}
  for _, number in ipairs(numbers) do
    remove(node, code, number)
    local claim = key('claim', code .. ':' .. number)
    local claimant = redis.call('GET', claim)
    if (not claimant or claimant == node) and not taken(code, number, nodes) then
      redis.call('SET', claim, node, 'PX', life)
      ours[#ours + 1] = number
    end
  end
  return ours
end

local function release(code, numbers)
  for _, number in ipairs(numbers) do
    local claim = key('claim', code .. ':' .. number)
    if redis.call('GET', claim) == node then redis.call('DEL', claim) end
  end
end

local function rosters(codes)
  local found = {}
  for i, code in ipairs(codes) do
    found[i] = {redis.call('HGETALL', key('room', code)), redis.call('SMEMBERS', key('gone', code))}
  end
  return found
end

local function missing(seats)
  local nodes, found = living(), {}
  for i, seat in ipairs(seats) do
    if not taken(seat[1], seat[2], nodes) then found[#found + 1] = i - 1 end
  end
  return found
end

local request = cjson.decode(ARGV[3])
if verb == 'exchange' then return exchange(request) end
if verb == 'leave' then return leave(request.code, request.life, request.numbers) end
if verb == 'release' then return release(request.code, request.numbers) end
if verb == 'rosters' then return rosters(request) end
if verb == 'missing' then return missing(request) end
return redis.error_reply('unknown verb ' .. verb)
