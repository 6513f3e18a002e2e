-- The stream as it is, and what follows a position, in one look that knows no group.
-- ARGV: position, how many entries at most (0: none)
local log = look()
if not log then
  return { 'missing' }
end
return view(log, '', ARGV[1], tonumber(ARGV[2]))
