-- Gives a sink's connection the word, and takes it from the sink's older ones. May be repeated.
-- ARGV: sink, epoch, after how many seconds a sink that is silent is forgotten, the last entry that the sink knows or ''
local sink, epoch, forget, known = 'sink:' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

local log = look()
local now = tonumber(redis.call('TIME')[1])
local held = redis.call('HGET', side, sink)
if held and tonumber(held:match('^%d+')) > epoch then
  return { 'stale' }
end
local all = redis.call('HGETALL', side)
for i = 1, #all, 2 do
  local seen = all[i]:match('^sink:') and tonumber(all[i + 1]:match('%d+$'))
  if seen and now - seen > forget then
    redis.call('HDEL', side, all[i])
  end
end
redis.call('HSET', side, sink, epoch .. ' ' .. now)
if not log then
  return { 'missing' }
end
return view(log, '', known)
