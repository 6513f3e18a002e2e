-- The first server that tells scripts its version is 7.0, the first that counts what was added to a stream.
if not redis.REDIS_VERSION_NUM then
  return redis.error_reply('TOOOLD the server is older than Redis 7.0, which is needed')
end

-- KEYS[1] is the stream, KEYS[2] the hash beside it, which an observer leaves out.
local stream, side = KEYS[1], KEYS[2]

