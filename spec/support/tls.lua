-- SPDX-License-Identifier: MIT
-- Certificates for the specs, and TLS for the client.

local loop = require 'spec.support.loop'
local ssl = require 'ssl'

local tls = {}

local folders = {}

local function run(command)
  local status = os.execute(command)
  assert(status == true or status == 0, 'failed: ' .. command)
end

-- A folder with what script/demo-certificate makes, kept as long as this process; another one for each name.
function tls.folder(name)
  if folders[name] then return folders[name] end
  local path = os.tmpname()
  os.remove(path)
  run(('env -u LD_PRELOAD script/demo-certificate %s >/dev/null'):format(path))
  folders[name] = path
  return path
end

function tls.remove_folders()
  for _, path in pairs(folders) do
    run('rm -r ' .. path)
  end
  folders = {}
end

function tls.read(path)
  local file = assert(io.open(path, 'rb'))
  local contents = file:read '*a'
  file:close()
  return contents
end

function tls.write(path, contents)
  local file = assert(io.open(path, 'wb'))
  assert(file:write(contents))
  file:close()
  return path
end

-- The fields of a context's config; `more` is added.
function tls.config(more, folder)
  folder = folder or tls.folder 'ours'
  local config = { ssl_cert_path = folder .. '/server.pem', ssl_private_key_path = folder .. '/server.key' }
  for name, value in pairs(more or {}) do
    config[name] = value
  end
  return config
end

-- --- What takes the place of a client's socket ---

local secure_socket = {}
secure_socket.__index = secure_socket

local waits = { wantread = true, wantwrite = true, timeout = true }

local function as_socket(why)
  return waits[why] and 'timeout' or why
end

-- ended with 'closed': the server said so by TLS, too; else an error.
function secure_socket:receive(count)
  if self.pump then self.pump() end
  local data, why, partial = self.secure:receive(count)
  return data, as_socket(why), partial
end

function secure_socket:send(bytes, from)
  if self.pump then self.pump() end
  local last, why, partial = self.secure:send(bytes, from)
  return last, as_socket(why), partial
end

-- Calls a function with the socket beneath.
function secure_socket:beneath(fn)
  self.plain:setfd(self.secure:getfd())
  local first, second = fn(self.plain)
  self.plain:setfd(-1)
  return first, second
end

function secure_socket:getfd() return self.secure:getfd() end
function secure_socket:close() self.secure:close() end
function secure_socket:shutdown(how) self:beneath(function(plain) plain:shutdown(how) end) end
function secure_socket:setoption(...)
  local name, value = ...
  self:beneath(function(plain) plain:setoption(name, value) end)
end

-- TLS on a connected socket. Options: protocol ('tlsv1_2', 'tlsv1_3'; default: what both have), name (of the server,
-- sent to it), alpn (a list), certificate and key (paths), pump (a function to call before anything is tried). nil and
-- why when there is no handshake.
function tls.wrap(ctx, plain, options)
  local secure = assert(ssl.wrap(plain, { mode = 'client', protocol = options.protocol or 'any',
    verify = 'none', alpn = options.alpn, certificate = options.certificate, key = options.key }))
  secure:settimeout(0)
  if options.name then secure:sni(options.name) end
  local done, failure
  loop.serve_until(ctx, function()
    if options.pump then options.pump() end
    local why
    done, why = secure:dohandshake()
    failure = not done and not waits[why] and why
    return done or failure
  end, 'the TLS handshake')
  if failure then
    secure:close()
    return nil, failure
  end
  return setmetatable({ secure = secure, plain = plain, pump = options.pump }, secure_socket)
end

return tls
