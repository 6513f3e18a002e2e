-- The stream as it is, in a look that knows no group.
local log = look()
if not log then
  return { 'missing' }
end
return view(log, '')
