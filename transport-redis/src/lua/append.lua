-- Appends an entry for the connection that has the word. A request that was held up on an older one is refused, so that
-- it cannot come after what was sent later.
-- ARGV: sink, epoch, the arguments of XADD
local sink, epoch = 'sink:' .. ARGV[1], ARGV[2]

local held = redis.call('HGET', side, sink)
if not held or held:match('^%d+') ~= epoch then
  return 'stale'
end
return redis.call('XADD', stream, unpack(ARGV, 3)) or 'missing'
