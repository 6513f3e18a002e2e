-- Identifiers are compared as text: their halves have 64 bits, and Lua's numbers have 53.
local function less_number(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end

local function less(a, b)
  local am, as = a:match('^(%d+)-(%d+)$')
  local bm, bs = b:match('^(%d+)-(%d+)$')
  if am ~= bm then
    return less_number(am, bm)
  end
  return less_number(as, bs)
end

-- A decimal number, one less; it is not 0.
local function decrement(number)
  local zeros = #number:match('0*$')
  local digit = #number - zeros
  local text = number:sub(1, digit - 1) .. (number:byte(digit) - 49) .. ('9'):rep(zeros)
  return (text:gsub('^0+(%d)', '%1'))
end

local function before(id)
  local ms, seq = id:match('^(%d+)-(%d+)$')
  if seq ~= '0' then
    return ms .. '-' .. decrement(seq)
  end
  if ms == '0' then
    return '0-0'
  end
  return decrement(ms) .. '-18446744073709551615'
end
