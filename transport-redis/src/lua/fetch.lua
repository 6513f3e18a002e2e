-- The stream as it is, and what follows a position, in one look.
-- ARGV: group, position, how many entries at most (0: none)
local group, position, count = ARGV[1], ARGV[2], tonumber(ARGV[3])

local log = look()
if not log then
  return { 'missing' }
end
local held = redis.call('HGET', side, 'group:' .. group)
local token = held and find(group) and held:match('^%S+') or ''
return view(log, token, position, count)
