-- What the commands of a read answer, one after the other, for a server that takes no transaction.
-- ARGV: group or '' for an observer, position, how many entries at most
local group, position, count = ARGV[1], ARGV[2], ARGV[3]

local info = redis.call('XINFO', 'STREAM', stream)
local entries = redis.call('XRANGE', stream, position, '+', 'COUNT', count)
if group == '' then
  return { info, entries }
end
return { redis.call('HGET', side, 'group:' .. group), redis.call('XINFO', 'CONSUMERS', stream, group), info, entries }
