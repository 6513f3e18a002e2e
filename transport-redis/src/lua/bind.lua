-- Binds a group to an application, unless it is bound already, and returns the one to which it is bound then. It stands in a
-- field of its own, because earlier versions write the group's field as a whole.
local function bind(group, application)
  local field = 'application:' .. group
  local owner = redis.call('HGET', side, field)
  if not owner then
    redis.call('HSET', side, field, application)
  end
  return owner or application
end

