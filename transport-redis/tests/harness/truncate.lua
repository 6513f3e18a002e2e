-- Takes the newest entries away, as if the server had come back without them: numbers and positions are as they were then and now.
local stream, count = KEYS[1], tonumber(ARGV[1])

local function map(flat)
  local named = {}
  for i = 1, #flat, 2 do
    named[flat[i]] = flat[i + 1]
  end
  return named
end

local info = map(redis.call('XINFO', 'STREAM', stream))
local entries = redis.call('XRANGE', stream, '-', '+')
local groups = redis.call('XINFO', 'GROUPS', stream)
redis.call('DEL', stream)
redis.call('XGROUP', 'CREATE', stream, 'x', '0', 'MKSTREAM')
redis.call('XGROUP', 'DESTROY', stream, 'x')
local last = '0-0'
for i = 1, #entries - count do
  last = entries[i][1]
  redis.call('XADD', stream, last, unpack(entries[i][2]))
end
redis.call('XSETID', stream, last, 'ENTRIESADDED', info['entries-added'] - count, 'MAXDELETEDID', info['max-deleted-entry-id'])
for _, group in ipairs(groups) do
  group = map(group)
  redis.call('XGROUP', 'CREATE', stream, group['name'], group['last-delivered-id'], 'ENTRIESREAD', group['entries-read'] or -1)
end
