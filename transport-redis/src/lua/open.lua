-- Finds a group, or creates it with a start that is fixed from then on.
-- ARGV: group, 'earliest' or 'latest', 'create' or '', a fresh token
local group, start, create, token = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local field = 'group:' .. group

local log = look()
if not log and create ~= 'create' then
  return { 'missing' }
end
local row = log and find(group)
local held = redis.call('HGET', side, field)
-- What the group's position is worth: a start, a commit, or a start after a loss that nobody has committed yet.
local state = 'started'
if not row then
  -- A group that is known beside the stream, and that the stream does not have, went with an earlier stream.
  if held then
    state = 'lost'
  end
  log = log or { added = 0, length = 0, first = '', tail = '', last = '0-0', deleted = '0-0' }
  local position, read = log.last, log.added
  if (start == 'earliest' or held) and log.first ~= '' then
    position, read = before(log.first), log.added - log.length
  end
  redis.call('XGROUP', 'CREATE', stream, group, position, 'MKSTREAM', 'ENTRIESREAD', read)
  row = { ['last-delivered-id'] = position, ['entries-read'] = read }
  held = nil
end
if not held then
  -- New, or made by hand: its position is a start, and what stood at an earlier one counts no more.
  redis.call('HDEL', side, 'entry:' .. group)
  held = token .. ' ' .. state
  redis.call('HSET', side, field, held)
end
local position = row['last-delivered-id']
-- How many entries there are behind the position, up to 100: worth counting only when the group does not say.
local read = row['entries-read'] or -1
local behind = -1
if read < 0 then
  behind = #redis.call('XRANGE', stream, '(' .. position, '+', 'COUNT', 100)
end
local known
known, state = held:match('^(%S+) (%S+)$')
-- Where the last commit was, what identifies the entry that stood there, and what stands there now.
local noted, print = (redis.call('HGET', side, 'entry:' .. group) or ''):match('^(%d+%-%d+) (%x+)$')
noted, print = noted or '', print or ''
return {
  'found', known, state, position, read, behind,
  log.added, log.length, log.first, log.tail, log.last, log.deleted,
  noted, print, at(noted),
}
