-- The first server that tells scripts its version is 7.0, the first that counts what was added to a stream.
if not redis.REDIS_VERSION_NUM then
  return redis.error_reply('TOOOLD the server is older than Redis 7.0, which is needed')
end

-- KEYS[1] is the stream, KEYS[2] the hash beside it, which an observer leaves out. Identifiers are compared as text: their halves have 64 bits, and
-- Lua's numbers have 53.
local stream, side = KEYS[1], KEYS[2]

local function pairs_of(flat)
  local map = {}
  for i = 1, #flat, 2 do
    map[flat[i]] = flat[i + 1]
  end
  return map
end

-- The stream as it is; nil when there is none. A key that is no stream raises WRONGTYPE.
local function look()
  if redis.call('EXISTS', stream) == 0 then
    return nil
  end
  local info = pairs_of(redis.call('XINFO', 'STREAM', stream))
  return {
    added = info['entries-added'],
    length = info['length'],
    first = info['first-entry'] and info['first-entry'][1] or '',
    tail = info['last-entry'] and info['last-entry'][1] or '',
    last = info['last-generated-id'],
  }
end

-- The group as XINFO GROUPS shows it; nil when there is none.
local function find(group)
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local row = pairs_of(flat)
    if row['name'] == group then
      return row
    end
  end
  return nil
end

-- What a look answers: the stream as it is, and what follows a position, so many entries at most (0: none).
local function view(log, token, position, count)
  local entries = {}
  if count > 0 then
    entries = redis.call('XRANGE', stream, '(' .. position, '+', 'COUNT', count)
  end
  return { 'found', token, log.added, log.length, log.first, log.tail, log.last, entries }
end

local function less_number(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end

local function less(a, b)
  local am, as = a:match('^(%d+)-(%d+)$')
  local bm, bs = b:match('^(%d+)-(%d+)$')
  if am ~= bm then
    return less_number(am, bm)
  end
  return less_number(as, bs)
end

-- A decimal number, one less; it is not 0.
local function decrement(number)
  local zeros = #number:match('0*$')
  local digit = #number - zeros
  local text = number:sub(1, digit - 1) .. (number:byte(digit) - 49) .. ('9'):rep(zeros)
  return (text:gsub('^0+(%d)', '%1'))
end

local function before(id)
  local ms, seq = id:match('^(%d+)-(%d+)$')
  if seq ~= '0' then
    return ms .. '-' .. decrement(seq)
  end
  if ms == '0' then
    return '0-0'
  end
  return decrement(ms) .. '-18446744073709551615'
end
