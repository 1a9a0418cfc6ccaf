-- SPDX-License-Identifier: MIT
-- Only those who have logged in get a websocket: a form gives them a cookie, and on_upgrade looks at it.
-- Usage: lua login.lua [port]
local websockets = require 'websockets'

local port = arg[1] or 8080
local passwords = { ada = 'lovelace', alan = 'turing' } -- keep hashes in a real one
local sessions = {} -- token -> name

local form = [[
<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Log in</title>
<form method="post" action="/login">
  <p><label>Name <input name="name" autocomplete="username"></label>
  <p><label>Password <input name="password" type="password" autocomplete="current-password"></label>
  <p><button>Log in</button> (ada has the password lovelace)
</form>]]
local page = [[
<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Logged in</title>
<p id="said">Connecting …
<script>
const socket = new WebSocket(location.href.replace('http', 'ws'), 'private')
socket.onmessage = (event) => { said.textContent = event.data }
socket.onclose = (event) => { said.textContent = `closed: ${event.code}` }
</script>]]

local function new_token()
  local random = assert(io.open('/dev/urandom', 'rb'))
  local bytes = random:read(16)
  random:close()
  return (bytes:gsub('.', function(byte)
    return ('%02x'):format(byte:byte())
  end))
end

local function decode_field(text)
  return (text:gsub('+', ' '):gsub('%%(%x%x)', function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

local function decode_form(body)
  local fields = {}
  for name, value in body:gmatch '([^&=]+)=([^&]*)' do
    fields[decode_field(name)] = decode_field(value)
  end
  return fields
end

local function name_of(request)
  return sessions[request.cookies.session or '']
end

local function log_in(ws, request)
  local fields = decode_form(request.body)
  local password = passwords[fields.name or '']
  if not password or password ~= fields.password then
    return ws:respond(403, { ['Content-Type'] = 'text/html' }, 'Wrong name or password.' .. form)
  end
  local token = new_token()
  sessions[token] = fields.name
  -- Over TLS, as it should be: add Secure.
  ws:respond(303, { Location = '/', ['Set-Cookie'] = 'session=' .. token .. '; HttpOnly; SameSite=Strict; Path=/' })
end

local context = websockets.context {
  port = port,

  on_http = function(ws)
    local request = ws:request()
    if request.method == 'POST' and request.path == '/login' then
      log_in(ws, request)
    elseif request.path == '/' then
      ws:respond(200, { ['Content-Type'] = 'text/html' }, name_of(request) and page or form)
    end
  end,

  on_upgrade = function(request)
    if name_of(request) then
      return true
    end
    return 401, 'Log in first.\n'
  end,

  protocols = {
    private = function(ws)
      ws:write('Hello, ' .. name_of(ws:request()) .. '!')
    end,
  },
}

print(('Open http://localhost:%s/ in a browser'):format(port))
io.stdout:flush()
os.exit((context:run()))
