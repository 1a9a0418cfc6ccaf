-- SPDX-License-Identifier: MIT
-- Strings, numbers, booleans and nil as a string, and back.

local values = {}

function values.pack(...)
  local parts = {}
  for i = 1, select('#', ...) do
    local value = select(i, ...)
    local text = tostring(value)
    parts[i] = ('%s %d\n%s'):format(type(value), #text, text)
  end
  return table.concat(parts)
end

local readers = {
  string = function(text) return text end,
  number = tonumber,
  boolean = function(text) return text == 'true' end,
  ['nil'] = function() return nil end,
}

function values.unpack(text)
  local list, count, position = {}, 0, 1
  while position <= #text do
    local kind, size, first = text:match('^(%l+) (%d+)\n()', position)
    count = count + 1
    position = first + tonumber(size)
    list[count] = assert(readers[kind], kind)(text:sub(first, position - 1))
  end
  return (unpack or table.unpack)(list, 1, count) -- luacheck: ignore
end

return values
