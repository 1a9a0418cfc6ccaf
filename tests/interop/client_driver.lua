-- SPDX-License-Identifier: MIT
-- Usage: lua client_driver.lua DEADLINE_S
--
-- The client of client_*.py, see clients.py. Runs each program that it is given: a line that is its length, then its
-- text. Answers by a line of JSON: { "result": what it returns } or { "error": why }. To a program the functions of
-- `environment` are global. What it has not closed is dropped at its end.

local websockets = require 'websockets'

local deadline_s = tonumber(arg[1])
local context = websockets.context {}
local all = {} -- of this program
local environment = setmetatable({ websockets = websockets, context = context, all = all }, { __index = _G })

-- Serves until the function returns something, and returns that.
function environment.wait_for(condition, what)
  local is_late = false
  local timer = context:after(deadline_s, function() is_late = true end)
  local result = condition()
  while not result and not is_late do
    context:service(-1)
    result = condition()
  end
  timer:cancel()
  if result then return result end
  local log = {}
  for i, client in ipairs(all) do
    log[i] = table.concat(client.events, ', ')
  end
  error(('waited %g s for %s; events: %s'):format(deadline_s, what, table.concat(log, ' | ')), 2)
end

local function copied(failure)
  if not failure then return nil end
  local copy = { text = tostring(failure) }
  for _, name in ipairs { 'kind', 'phase', 'message', 'code', 'close_code', 'address', 'status', 'body' } do
    copy[name] = failure[name]
  end
  if failure.headers then
    copy.headers = {}
    for name, value in pairs(failure.headers) do
      copy.headers[name:lower()] = tostring(value)
    end
  end
  return copy
end

local Client = {}
Client.__index = Client

-- Begins to connect. Fields of a client: `ws`; `events`, a list of words; `response`, of the latest opening; `ended`:
-- the code, reason and failure.
function environment.connect(url, options)
  local client = setmetatable({ events = {}, messages = {}, pongs = {}, taken = 0, pongs_taken = 0 }, Client)
  client.ws = context:connect(url, options)
  all[#all + 1] = client
  client.ws:on_open(function(_, response)
    client.events[#client.events + 1] = 'open'
    client.response = response
  end)
  client.ws:on_receive(function(_, data, type)
    client.events[#client.events + 1] = 'message'
    client.messages[#client.messages + 1] = { data, type }
  end)
  client.ws:on_pong(function(_, data)
    client.pongs[#client.pongs + 1] = data
  end)
  client.ws:on_closed(function(_, code, reason, failure)
    client.events[#client.events + 1] = 'closed'
    assert(not client.ended, 'closed twice')
    client.ended = { code = code, reason = reason, failure = copied(failure) }
  end)
  return client
end

function Client:describe()
  local failure = self.ended and self.ended.failure
  return ('%s (%s)'):format(table.concat(self.events, ', '), failure and failure.kind .. ': ' .. failure.text or 'fine')
end

-- A client that is open.
function environment.opened(url, options)
  local client = environment.connect(url, options)
  environment.wait_for(function() return client.response or client.ended end, 'the opening')
  if not client.response then error('it did not open: ' .. client:describe(), 2) end
  return client
end

-- How it ended, of a client that never opens.
function environment.refused(url, options)
  local client = environment.connect(url, options)
  local ended = client:wait_closed()
  if client.response then error('it opened', 2) end
  return ended
end

-- The next message, and its type.
function Client:receive()
  environment.wait_for(function() return self.messages[self.taken + 1] or self.ended end, 'a message')
  self.taken = self.taken + 1
  local message = self.messages[self.taken]
  if not message then error('no message: ' .. self:describe(), 2) end
  self.messages[self.taken] = false
  return message[1], message[2]
end

function Client:receive_pong()
  environment.wait_for(function() return self.pongs[self.pongs_taken + 1] or self.ended end, 'a pong')
  self.pongs_taken = self.pongs_taken + 1
  return self.pongs[self.pongs_taken]
end

function Client:wait_closed()
  environment.wait_for(function() return self.ended end, 'the end')
  return self.ended
end

function Client:write(...)
  assert(self.ws:write(...) == 0)
end

function Client:close(code, reason)
  self.ws:close(code, reason)
  return self:wait_closed()
end

-- Writes it, and expects it back.
function Client:echo(data, type)
  self:write(data, type)
  local answer, answer_type = self:receive()
  if answer ~= data or answer_type ~= (type or websockets.WRITE_TEXT) then
    error(('%d bytes came back for %d, as type %d'):format(#answer, #data, answer_type), 2)
  end
end

local escapes = {}
for byte = 0, 255 do
  local character = string.char(byte)
  escapes[character] = character:find '^[%w%p ]$' and not character:find '["\\\128-\255]' and character
    or ('\\u%04x'):format(byte)
end

-- As JSON; bytes of strings become the characters U+0000 to U+00FF.
local function encode(value)
  if type(value) == 'table' and (#value > 0 or next(value) == nil) then
    local parts = {}
    for i = 1, #value do
      parts[i] = encode(value[i])
    end
    return '[' .. table.concat(parts, ',') .. ']'
  elseif type(value) == 'table' then
    local parts = {}
    for name, field in pairs(value) do
      parts[#parts + 1] = encode(tostring(name)) .. ':' .. encode(field)
    end
    return '{' .. table.concat(parts, ',') .. '}'
  elseif value == nil then
    return 'null'
  elseif type(value) == 'number' or type(value) == 'boolean' then
    return tostring(value)
  end
  return '"' .. tostring(value):gsub('.', escapes) .. '"'
end

for length in io.lines() do
  local program = io.read(tonumber(length))
  local run, why = load(program, '=program', 't', environment)
  local ok, result = false, why
  if run then ok, result = xpcall(run, debug.traceback) end
  for i, client in ipairs(all) do
    client.ws:terminate()
    all[i] = nil
  end
  context:service(0)
  print(encode { [ok and 'result' or 'error'] = result == nil and 'nil' or result })
  io.stdout:flush()
end
