-- SPDX-License-Identifier: MIT
-- Payloads of compressed messages (RFC 7692 7.2, RFC 1951): a few that are easily written, and a reader of all.

local deflate = {}

-- RFC 7692 7.2.3.1 and 7.2.3.2: 'Hello', and what says the same again when the window was kept.
deflate.hello = '\242\72\205\201\201\7\0'
deflate.hello_again = '\242\0\17\0\0'

-- --- Writing ---

local function little_endian(number) return string.char(number % 256, (number - number % 256) / 256) end

-- Blocks of bytes as they are (RFC 1951 3.2.4).
function deflate.stored(text)
  local parts = {}
  for position = 1, #text, 65535 do
    local piece = text:sub(position, position + 65534)
    parts[#parts + 1] = '\0' .. little_endian(#piece) .. little_endian(65535 - #piece) .. piece
  end
  return table.concat(parts) .. '\0'
end

-- At least `count` times an 'x', in one block with fixed codes (3.2.6): the letter, and 258 times the byte before, as
-- often as it takes. Returns the payload, and the exact number.
function deflate.bomb(count)
  local parts, bits, size, total = {}, 0, 0, 1
  local function put(value, width) -- least significant bit first
    bits, size = bits + value * 2 ^ size, size + width
    while size >= 8 do
      parts[#parts + 1] = string.char(bits % 256)
      bits, size = (bits - bits % 256) / 256, size - 8
    end
  end
  local function put_code(code, width) -- most significant bit first
    for shift = width - 1, 0, -1 do
      local half = 2 ^ shift
      put(code >= half and 1 or 0, 1)
      code = code % half
    end
  end
  put(2, 3) -- fixed codes
  put_code(0x30 + ('x'):byte(), 8)
  local eight = #parts
  while total < count or size ~= 3 do -- until the bits begin anew: 8 matches are 13 bytes
    put_code(0xC5, 8) -- 258 bytes
    put_code(0, 5) -- 1 byte back
    total = total + 258
    if size == 3 and #parts - eight == 13 and total < count then
      local period = table.concat(parts, '', eight + 1)
      local times = math.ceil((count - total) / (8 * 258))
      parts[#parts + 1] = period:rep(times)
      total = total + times * 8 * 258
    end
  end
  put_code(0, 7) -- the end of the block
  put(0, 3) -- an empty block without compression, of which the last bytes are left out
  if size > 0 then put(0, 8 - size) end
  return table.concat(parts), total
end

-- --- Reading ---

local length_bases = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
  163, 195, 227, 258 }
local length_bits = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 }
local code_order = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 }

-- symbol -> how many bits its code has; becomes width -> code -> symbol (RFC 1951 3.2.2).
local function codes_of(widths, count)
  local codes, code = {}, 0
  for width = 1, 15 do
    code = code * 2
    for symbol = 0, count - 1 do
      if widths[symbol] == width then
        codes[width] = codes[width] or {}
        codes[width][code] = symbol
        code = code + 1
      end
    end
  end
  return codes
end

local reader = {}
reader.__index = reader

function reader:bit()
  if self.left == 0 then
    self.position = self.position + 1
    self.byte = assert(self.data:byte(self.position), 'the data ends within a block')
    self.left = 8
  end
  local bit = self.byte % 2
  self.byte, self.left = (self.byte - bit) / 2, self.left - 1
  return bit
end

function reader:number(width)
  local number = 0
  for shift = 0, width - 1 do
    number = number + self:bit() * 2 ^ shift
  end
  return number
end

function reader:symbol(codes)
  local code = 0
  for width = 1, 15 do
    code = code * 2 + self:bit()
    local symbol = codes[width] and codes[width][code]
    if symbol then return symbol end
  end
  error 'no such code'
end

local function fixed_codes()
  local widths, distances = {}, {}
  for symbol = 0, 287 do
    widths[symbol] = symbol < 144 and 8 or symbol < 256 and 9 or symbol < 280 and 7 or 8
  end
  for symbol = 0, 29 do
    distances[symbol] = 5
  end
  return codes_of(widths, 288), codes_of(distances, 30)
end

function reader:dynamic_codes()
  local literals, distances, lengths = self:number(5) + 257, self:number(5) + 1, self:number(4) + 4
  local widths = {}
  for i = 1, lengths do
    widths[code_order[i]] = self:number(3)
  end
  local codes = codes_of(widths, 19)
  local all, count = {}, 0
  local function add(width, times)
    for _ = 1, times do
      all[count] = width
      count = count + 1
    end
  end
  while count < literals + distances do
    local symbol = self:symbol(codes)
    if symbol < 16 then add(symbol, 1)
    elseif symbol == 16 then add(all[count - 1], 3 + self:number(2))
    elseif symbol == 17 then add(0, 3 + self:number(3))
    else add(0, 11 + self:number(7)) end
  end
  local rest = {}
  for symbol = 0, distances - 1 do
    rest[symbol] = all[literals + symbol]
  end
  return codes_of(all, literals), codes_of(rest, distances)
end

function reader:stored_block(window)
  self.left = 0
  local low, high = self.data:byte(self.position + 1, self.position + 2)
  local size = low + 256 * high
  for i = 1, size do
    window[#window + 1] = self.data:byte(self.position + 4 + i)
  end
  self.position = self.position + 4 + size
end

function reader:compressed_block(window, codes, distances)
  while true do
    local symbol = self:symbol(codes)
    if symbol == 256 then return end
    if symbol < 256 then
      window[#window + 1] = symbol
    else
      local length = length_bases[symbol - 256] + self:number(length_bits[symbol - 256])
      local code = self:symbol(distances)
      local extra = code < 4 and 0 or (code - code % 2) / 2 - 1
      local distance = 1 + self:number(extra) + (code < 4 and code or (2 + code % 2) * 2 ^ extra)
      assert(distance <= #window, 'farther back than the beginning')
      for _ = 1, length do
        window[#window + 1] = window[#window + 1 - distance]
      end
    end
  end
end

-- A function that decompresses one payload after the other; each may refer to those before if `keeps_window`.
function deflate.inflater(keeps_window)
  local window = {}
  return function(payload)
    if not keeps_window then window = {} end
    local first = #window + 1
    local self = setmetatable({ data = payload .. '\0\0\255\255', position = 0, byte = 0, left = 0 }, reader)
    repeat
      local _, kind = self:bit(), self:number(2)
      if kind == 0 then self:stored_block(window)
      elseif kind == 1 then self:compressed_block(window, fixed_codes())
      else self:compressed_block(window, self:dynamic_codes()) end
    until self.position >= #self.data
    local text = {}
    for i = first, #window do
      text[#text + 1] = string.char(window[i])
    end
    return table.concat(text)
  end
end

return deflate
