-- SPDX-License-Identifier: MIT
-- TLS: what a context can be configured with, and the handshake.
local client = require 'spec.support.client'
local command = require 'spec.support.command'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local socket = require 'socket'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

-- What a context with this configuration answers.
local function failure(config)
  config.protocols = { p = function() end }
  local ok, why = pcall(websockets.context, config)
  assert.is_false(ok)
  assert.equal('websocket could not create context: ', why:match '^websocket could not create context: ')
  return why
end

local function contains(text, ...)
  for _, part in ipairs { ... } do
    assert.is_truthy(text:find(part, 1, true), ('%q lacks %q'):format(text, part))
  end
end

describe('the certificate of a context', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  it('is given in either spelling', function()
    local folder = tls.folder 'ours'
    local certificate, key, ca = folder .. '/server.pem', folder .. '/server.key', folder .. '/ca.pem'
    for _, config in ipairs {
      { ssl_cert_path = certificate, ssl_private_key_path = key, ssl_ca_path = ca, on_error = function() end },
      { ssl_cert_filepath = certificate, ssl_private_key_filepath = key, ssl_ca_filepath = ca, on_error = function() end },
      { ssl_cert_path = certificate, ssl_private_key_filepath = key },
    } do
      local c, ws = pair.open(config, nil, { tls = {} })
      ws:write 'x'
      c:expect_text 'x'
      c:finish(1000)
      c:close()
    end
  end)

  it('takes its key, and the other way round', function()
    local folder = tls.folder 'ours'
    contains(failure { ssl_cert_path = folder .. '/server.pem' }, 'ssl_cert_path', 'ssl_private_key_path')
    contains(failure { ssl_private_key_path = folder .. '/server.key' }, 'ssl_cert_path', 'ssl_private_key_path')
    contains(failure { ssl_ca_path = folder .. '/ca.pem' }, 'ssl_ca_path', 'ssl_cert_path')
    contains(failure { ssl_cert_path = true, ssl_private_key_path = 7 }, 'ssl_cert_path', 'true', 'a string')
  end)

  it('has to be readable', function()
    local folder = tls.folder 'ours'
    contains(failure(tls.config { ssl_cert_path = folder .. '/none.pem' }), folder .. '/none.pem', 'No such file')
    contains(failure(tls.config { ssl_private_key_path = folder .. '/none.key' }), folder .. '/none.key',
      'No such file')
    contains(failure(tls.config { ssl_ca_path = folder .. '/none.pem' }), folder .. '/none.pem', 'No such file')
    contains(failure(tls.config { ssl_cert_path = folder }), folder)
  end)

  it('has to be PEM', function()
    local folder = tls.folder 'ours'
    local text = tls.write(folder .. '/text', 'no certificate\n')
    contains(failure(tls.config { ssl_cert_path = text }), text, 'no start line')
    contains(failure(tls.config { ssl_private_key_path = text }), text)
    contains(failure(tls.config { ssl_ca_path = text }), text)
    local cut = tls.write(folder .. '/cut', tls.read(folder .. '/server.pem'):sub(1, 300))
    contains(failure(tls.config { ssl_cert_path = cut }), cut, 'bad end line')
  end)

  it('has to belong to its key', function()
    local key = tls.folder 'theirs' .. '/server.key'
    contains(failure(tls.config { ssl_private_key_path = key }), key, 'key values mismatch')
  end)

  it('may not have an encrypted key: nobody is asked for a passphrase', function()
    local key = tls.folder 'ours' .. '/encrypted.key'
    local output, status = command.run({}, ('openssl ec -in %s/server.key -aes128 -passout pass:secret -out %s'):format(
      tls.folder 'ours', key))
    assert.equal(0, status, output)
    contains(failure(tls.config { ssl_private_key_path = key }), key, 'it is encrypted')
  end)

  it('leaves nothing behind when it is not good', function()
    local port = loop.free_port()
    failure(tls.config { port = port, ssl_cert_path = '/nowhere' })
    local ctx = pair.context(tls.config { port = port })
    client.open(ctx, port, { protocol = 'p', tls = {} })
  end)
end)

describe('the TLS handshake', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
    it('takes place in ' .. version, function()
      local c, ws = pair.open(tls.config(), function(ws)
        ws:on_receive(function(_, data) ws:write(data) end)
      end, { tls = { protocol = version } })
      assert.equal(version, c.sock.secure:info('protocol'):lower():gsub('%.', '_'), nil)
      c:text 'x'
      c:expect_text 'x'
      local closed
      ws:on_closed(function(_, code) closed = code end)
      c:finish(1000)
      assert.equal(1000, closed)
    end)
  end

  -- A client whose bytes the server gets to see one by one, those of frames too.
  local function open_by_bytes(ctx, port, options)
    local server = assert(socket.bind('127.0.0.1', 0))
    local host, number = server:getsockname()
    local plain = assert(socket.connect(host, number))
    local behind = assert(server:accept())
    server:close()
    plain:settimeout(0)
    behind:settimeout(0)
    local inner = client.connect(ctx, port)
    options.pump = function()
      local data, why, partial = behind:receive(65536)
      inner:send_split(data or partial, 1)
      if why == 'closed' then inner:shutdown() end
      while inner:pump() do end
      if inner.buffered > 0 then assert(behind:send(inner:read(inner.buffered))) end
    end
    local c = client.adopt(ctx, assert(tls.wrap(ctx, plain, options)))
    return c, function() behind:close() end
  end

  for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
    it('may come in single bytes in ' .. version, function()
      local ctx, port = pair.context(tls.config(), function(ws)
        ws:on_receive(function(_, data) ws:write(data) end)
      end)
      local c, close = open_by_bytes(ctx, port, { protocol = version })
      assert.equal(101, (c:handshake { protocol = 'p' }))
      c:text 'x'
      c:expect_text 'x'
      c:text(('y'):rep(100))
      c:expect_text(('y'):rep(100))
      close()
    end)
  end

  it('agrees on http/1.1 and nothing else', function()
    local ctx, port = pair.context(tls.config())
    for _, offered in ipairs { { 'http/1.1' }, { 'h2', 'http/1.1' }, { 'http/1.1', 'h2', 'x' } } do
      local c = client.open(ctx, port, { protocol = 'p', tls = { alpn = offered } })
      assert.equal('http/1.1', (c.sock.secure:getalpn()))
    end
    assert.is_nil((client.open(ctx, port, { protocol = 'p', tls = {} }).sock.secure:getalpn()))
    local ok, why = pcall(client.connect, ctx, port, { tls = { alpn = { 'h2' } } })
    assert.is_false(ok)
    contains(tostring(why), 'no application protocol')
  end)

  it('refuses old versions and weak ciphers', function()
    local ctx, port = pair.context(tls.config())
    for _, options in ipairs { '-tls1', '-tls1_1', '-tls1_2 -cipher AES128-SHA:AES128-GCM-SHA256',
      '-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:aNULL:eNULL' } do
      local output, status = command.run(ctx, ('openssl s_client -connect 127.0.0.1:%d %s:@SECLEVEL=0'):format(port,
        options:find 'cipher' and options or options .. ' -cipher ALL'))
      assert.equal(1, status, output)
      contains(output, 'alert')
    end
  end)

  it('is not talked into an older version (RFC 7507)', function()
    local ctx, port = pair.context(tls.config())
    local output, status = command.run(ctx,
      ('openssl s_client -connect 127.0.0.1:%d -tls1_2 -fallback_scsv'):format(port))
    assert.equal(1, status, output)
    contains(output, 'inappropriate fallback')
  end)

  it('is not done anew', function()
    local c, _, ctx, port = pair.open(tls.config(), nil, { tls = {} })
    local output, status = command.run(ctx, ([[
folder=$(mktemp -d)
mkfifo $folder/input
openssl s_client -connect 127.0.0.1:%d -tls1_2 <$folder/input &
exec 3>$folder/input
echo R >&3
wait $!
status=$?
rm -r $folder
exit $status]]):format(port))
    contains(output, 'RENEGOTIATING', 'no renegotiation')
    assert.not_equal(0, status)
    c:expect_nothing()
  end)

  it('has to end in time', function()
    local ctx, port = pair.context(tls.config { handshake_timeout = 0.05 })
    local silent, half = client.connect(ctx, port), client.connect(ctx, port)
    half:send '\22\3\1\2\0\1\0'
    silent:expect_end()
    half:expect_end()
  end)

  it('is not waited for by others, or for those who are gone', function()
    local ctx, port = pair.context(tls.config())
    for _, bytes in ipairs { '\22', '\22\3\1', '\22\3\1\2\0\1\0\1\252', '\22\3\1\2\0\1\0\1\252\3\3' .. ('x'):rep(40) } do
      local gone, reset, waiting = client.connect(ctx, port), client.connect(ctx, port), client.connect(ctx, port)
      for _, c in ipairs { gone, reset, waiting } do
        c:send(bytes)
      end
      client.open(ctx, port, { protocol = 'p', tls = {} })
      gone:shutdown()
      gone:read_all()
      reset:reset()
      client.open(ctx, port, { protocol = 'p', tls = {} })
    end
  end)

  it('is not imitated', function()
    local ctx, port = pair.context(tls.config())
    for _, bytes in ipairs { '\22\3\1\0\5xxxxx', '\22' .. ('\0'):rep(100), '\22' .. ('\255'):rep(20000) } do
      local c = client.connect(ctx, port)
      c:send_some(bytes)
      c:read_all()
    end
    client.open(ctx, port, { protocol = 'p', tls = {} })
  end)
end)

describe('a client that does not speak TLS to a TLS port', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  it('is told so', function()
    local ctx, port = pair.context(tls.config())
    for _, bytes in ipairs { client.request(), http.request('/', { method = 'POST', body = ('x'):rep(1e5) }), 'x' } do
      local _, body = http.expect_refusal(ctx, port, bytes, 400)
      contains(body, 'TLS')
    end
  end)

  it('is told so also when its first byte comes later', function()
    local _, _, ctx, port = pair.open(tls.config(), nil, { tls = {} })
    local before = leaks.descriptors()
    local c = client.connect(ctx, port)
    loop.serve_until(ctx, function()
      local tried = 0
      for fd in pairs(leaks.descriptors()) do
        if not before[fd] then
          ctx:service_fd(fd, websockets.POLLIN) -- nothing is there yet
          tried = tried + 1
        end
      end
      return tried == 2 -- and one is the client's
    end)
    c:send(client.request())
    assert.equal(400, (c:read_response()))
    c:expect_end()
  end)

  it('can be served over a unix socket, which needs no TLS', function()
    local path = os.tmpname()
    os.remove(path)
    local seen
    local ctx = http.context(function(_, uri) seen = uri end, tls.config { port = 0, listen = { 'unix:' .. path } })
    local output, status = command.run(ctx, ('curl -s -i --unix-socket %s http://localhost/x'):format(path))
    assert.equal(0, status, output)
    assert.equal('/x', seen)
  end)
end)
