-- Appends an entry for the connection that has the word. A request that was held up on an older one is refused, so that
-- it cannot come after what was sent later.
-- ARGV: sink, epoch, seconds after which the time of the last send is written again, the arguments of XADD
local sink, epoch, refresh = 'sink:' .. ARGV[1], ARGV[2], tonumber(ARGV[3])

local held = redis.call('HGET', side, sink)
local current, seen = (held or ''):match('^(%d+) (%d+)$')
if current ~= epoch then
  return 'stale'
end
local now = tonumber(redis.call('TIME')[1])
if now - tonumber(seen) > refresh then
  redis.call('HSET', side, sink, epoch .. ' ' .. now)
end
return redis.call('XADD', stream, unpack(ARGV, 4)) or 'missing'
