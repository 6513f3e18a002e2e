-- The stream as it is, in a look that knows no group.
-- ARGV: the place at which to look
local log = look()
if not log then
  return { 'missing' }
end
return view(log, '', ARGV[1])
