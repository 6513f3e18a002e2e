-- Moves a group's position, and never back.
-- ARGV: group, token, position, how many entries were ever added up to it, what identifies the entry there or '', and the
-- application if the session has claimed the group
local group, token, position, read, print, application = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local field = 'group:' .. group

local held = redis.call('HGET', side, field)
local log = held and look()
local row = log and find(group)
-- A server that came back without the entry has no such position.
if not row or held:match('^%S+') ~= token or less(log.last, position) then
  return 'gone'
end
local owner = application and bind(group, application)
if owner ~= application then
  return 'taken ' .. owner
end
local old = row['last-delivered-id']
if less(position, old) then
  return 'ahead'
end
if old ~= position or row['entries-read'] ~= tonumber(read) then
  redis.call('XGROUP', 'SETID', stream, group, position, 'ENTRIESREAD', read)
end
if held ~= token .. ' committed' then
  redis.call('HSET', side, field, token .. ' committed')
end
-- A field of its own, because earlier versions write the group's field as a whole.
if print ~= '' then
  redis.call('HSET', side, 'entry:' .. group, position .. ' ' .. print)
end
return 'moved'
