-- Moves a group's position, and never back.
-- ARGV: group, token, position, how many entries were ever added up to it, and the application if the session has claimed the group
local group, token, position, read, application = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local field = 'group:' .. group

local held = redis.call('HGET', side, field)
local row = held and redis.call('EXISTS', stream) == 1 and find(group)
if not row or held:match('^%S+') ~= token then
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
return 'moved'
