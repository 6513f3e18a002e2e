-- The stream as it is, for a group.
-- ARGV: group, the place at which to look
local group, id = ARGV[1], ARGV[2]

local log = look()
if not log then
  return { 'missing' }
end
local held = redis.call('HGET', side, 'group:' .. group)
local token = held and has(group) and held:match('^%S+') or ''
return view(log, token, id)
