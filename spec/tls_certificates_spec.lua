-- SPDX-License-Identifier: MIT
-- TLS: the certificates of clients and of several names, reload_certificates, and sessions that are resumed.
local client = require 'spec.support.client'
local command = require 'spec.support.command'
local leaks = require 'spec.support.leaks'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

local required = websockets.SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT

local function contains(text, part)
  assert.is_truthy(text:find(part, 1, true), ('%q lacks %q'):format(text, part))
end

local function connect(ctx, port, options)
  return client.open(ctx, port, { protocol = 'p', tls = options or {} })
end

-- The certificate that a connection was shown, as in its file.
local function shown(c)
  return c.sock.secure:getpeercertificate():pem()
end

local function server_certificate(folder)
  return tls.read(tls.folder(folder) .. '/server.pem')
end

local function copy(from, to)
  tls.write(to, tls.read(from))
end

describe('the certificate of a client', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  local function with_authority(more)
    local config = tls.config { ssl_ca_path = tls.folder 'ours' .. '/ca.pem', options = required }
    for name, value in pairs(more or {}) do
      config[name] = value
    end
    return config
  end

  local function of_client(folder, version)
    local path = tls.folder(folder)
    return { certificate = path .. '/client.pem', key = path .. '/client.key', protocol = version }
  end

  -- The request of a client, which TLS 1.3 lets be sent before the server has said what it thinks of the certificate.
  local function refused(ctx, port, options)
    local ok, c = pcall(client.connect, ctx, port, { tls = options })
    if not ok then return tostring(c) end
    c:send_some(client.request { protocol = 'p' })
    assert.equal('', c:read_all())
    return c.ended
  end

  for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
    describe('in ' .. version, function()
      it('is accepted when the authority has signed it', function()
        local ctx, port = pair.context(with_authority())
        local c = connect(ctx, port, of_client('ours', version))
        c:expect_nothing()
        c:finish(1000)
      end)

      it('has to be there', function()
        local opened = false
        local ctx, port = pair.context(with_authority(), function() opened = true end)
        local why = refused(ctx, port, { protocol = version })
        assert.is_truthy(why:find 'certificate required' or why:find 'handshake failure', why)
        assert.is_false(opened)
      end)

      it('has to be of this authority', function()
        local opened = false
        local ctx, port = pair.context(with_authority(), function() opened = true end)
        contains(refused(ctx, port, of_client('theirs', version)), 'unknown ca')
        assert.is_false(opened)
      end)

      it('has to be one for clients', function()
        local ctx, port = pair.context(with_authority())
        local path = tls.folder 'ours'
        local why = refused(ctx, port,
          { certificate = path .. '/server.pem', key = path .. '/server.key', protocol = version })
        contains(why, 'unsupported certificate')
      end)

    end)
  end

  it('is not accepted because the system trusts its authority', function()
    local theirs = tls.folder 'theirs'
    -- OpenSSL takes this for the system's store.
    local variable = ('SSL_CERT_FILE=%s/ca.pem'):format(theirs)
    local output = command.run({}, ('%s openssl verify %s/client.pem'):format(variable, theirs))
    contains(output, 'OK')
    local server = remote.start { command = variable }
    local ours = tls.folder 'ours'
    local port = tonumber(server:call([[
      local context = require('websockets').context {
        listen = { '127.0.0.1:0' },
        options = %d,
        ssl_cert_path = '%s/server.pem',
        ssl_private_key_path = '%s/server.key',
        ssl_ca_path = '%s/ca.pem',
        protocols = { p = function() end },
      }
      contexts[1] = context
      return (context:addresses()[1]:match '%%d+$')
    ]], required, ours, ours, ours))
    contains(refused({}, port, of_client 'theirs'), 'unknown ca')
    connect({}, port, of_client 'ours'):expect_nothing()
    server:close()
  end)

  it('takes an authority and a certificate of the server', function()
    local protocols = { p = function() end }
    for _, config in ipairs { tls.config { options = required }, { options = required } } do
      config.protocols = protocols
      local ok, why = pcall(websockets.context, config)
      assert.is_false(ok)
      contains(why, 'ssl_ca_path')
    end
  end)

  it('is asked for by every name', function()
    local theirs = tls.folder 'theirs'
    local ctx, port = pair.context(with_authority {
      ssl_names = { ['example.org'] = tls.config({}, theirs) } })
    contains(refused(ctx, port, { name = 'example.org' }), 'certificate required')
    local options = of_client 'ours'
    options.name = 'example.org'
    local c = connect(ctx, port, options)
    assert.equal(server_certificate 'theirs', shown(c))
  end)
end)

describe('a certificate for a name', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  it('is shown to those who ask for that name', function()
    local ctx, port = pair.context(tls.config { ssl_names = {
      ['example.org'] = tls.config({}, tls.folder 'second'),
      ['*.example.org'] = tls.config({}, tls.folder 'third'),
    } })
    for name, folder in pairs {
      ['localhost'] = 'ours', ['example.org'] = 'second', ['EXAMPLE.org'] = 'second', ['www.example.org'] = 'third',
      ['a.b.example.org'] = 'ours', ['xexample.org'] = 'ours', ['example.com'] = 'ours',
    } do
      for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
        local c = connect(ctx, port, { name = name, protocol = version })
        assert.equal(server_certificate(folder), shown(c), name)
        c:expect_nothing()
      end
    end
    assert.equal(server_certificate 'ours', shown(connect(ctx, port)))
  end)

  -- The order of a table's fields is another one in each process.
  it('that is exact counts more than a pattern', function()
    local names = {}
    for i = 1, 30 do
      names[('*.d%d.example.org'):format(i)] = tls.config({}, tls.folder 'third')
      names[('a.d%d.example.org'):format(i)] = tls.config({}, tls.folder 'second')
    end
    local ctx, port = pair.context(tls.config { ssl_names = names })
    for i = 1, 30 do
      local c = connect(ctx, port, { name = ('a.d%d.example.org'):format(i) })
      assert.equal(server_certificate 'second', shown(c), i)
      c:close()
    end
    assert.equal(server_certificate 'third', shown(connect(ctx, port, { name = 'b.d1.example.org' })))
  end)

  it('has to be whole', function()
    local ours = tls.folder 'ours'
    for message, names in pairs {
      ["ssl_names"] = 7,
      ['ssl_names.example.org'] = { ['example.org'] = 7 },
      ['not all names'] = { tls.config() },
      ['need each other'] = { ['example.org'] = { ssl_cert_path = ours .. '/server.pem' } },
      ["' twice"] = { ['example.org'] = tls.config(), ['EXAMPLE.org'] = tls.config() },
      ['no ssl_cert_path'] = { ['example.org'] = {} },
      ['No such file'] = { ['example.org'] = tls.config { ssl_cert_path = ours .. '/none' } },
    } do
      local config = tls.config { ssl_names = names, protocols = { p = function() end } }
      local ok, why = pcall(websockets.context, config)
      assert.is_false(ok)
      contains(why, message)
    end
    local ok, why = pcall(websockets.context, {
      protocols = { p = function() end }, ssl_names = { ['example.org'] = tls.config() } })
    assert.is_false(ok)
    contains(why, 'ssl_names needs ssl_cert_path')
  end)
end)

-- The files of a server that are exchanged while it runs.
local function exchangeable()
  local folder = tls.folder 'exchanged'
  local function put(from)
    copy(tls.folder(from) .. '/server.pem', folder .. '/server.pem')
    copy(tls.folder(from) .. '/server.key', folder .. '/server.key')
  end
  put 'ours'
  return tls.config({}, folder), put, folder
end

-- A request by openssl, whose session is kept in a file, or comes from there. Returns whether it was resumed.
local function resumes(ctx, port, version, session, options)
  local output, status = command.run(ctx, ([[
printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' |
openssl s_client -connect 127.0.0.1:%d -ign_eof %s %s %s]]):format(port, version, session, options or ''))
  contains(output, 'HTTP/1.1 404')
  assert.equal(0, status, output)
  return output:find('Reused, TLSv1', 1, true) ~= nil
end

describe('reload_certificates', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  it('shows new connections a new certificate; the others go on', function()
    local config, put = exchangeable()
    local before, ws, ctx, port = pair.open(config, nil, { tls = {} })
    put 'theirs'
    assert.equal(server_certificate 'ours', shown(connect(ctx, port)))
    assert.is_true(ctx:reload_certificates())
    local after = connect(ctx, port)
    assert.equal(server_certificate 'ours', shown(before))
    assert.equal(server_certificate 'theirs', shown(after))
    before:expect_nothing()
    ws:write 'x'
    before:expect_text 'x'
    after:expect_nothing()
  end)

  it('does not disturb a handshake', function()
    local config, put = exchangeable()
    local ctx, port = pair.context(config)
    local reloaded = 0
    for _ = 1, 5 do
      local c = connect(ctx, port, { pump = function()
        put(reloaded % 2 == 0 and 'theirs' or 'ours')
        reloaded = reloaded + 1
        assert(ctx:reload_certificates())
      end })
      c:expect_nothing()
    end
    assert.is_true(reloaded > 5)
  end)

  it('leaves all as it was when a file is not good', function()
    local config, put, folder = exchangeable()
    local ctx, port = pair.context(config)
    local function fails(message)
      local ok, why, code = ctx:reload_certificates()
      assert.is_nil(ok)
      contains(why, message)
      assert.is_number(code)
      assert.equal(server_certificate 'ours', shown(connect(ctx, port)))
      return code
    end
    os.remove(folder .. '/server.pem')
    assert.equal(2, fails 'No such file')
    tls.write(folder .. '/server.pem', 'x')
    fails 'no start line'
    put 'ours'
    copy(tls.folder 'theirs' .. '/server.key', folder .. '/server.key')
    fails 'key values mismatch'
    put 'theirs'
    assert.is_true(ctx:reload_certificates())
    assert.equal(server_certificate 'theirs', shown(connect(ctx, port)))
  end)

  it('reads those of names, too', function()
    local config, put = exchangeable()
    local ctx, port = pair.context(tls.config { ssl_names = { ['example.org'] = {
      ssl_cert_path = config.ssl_cert_path, ssl_private_key_path = config.ssl_private_key_path } } })
    put 'theirs'
    assert.is_true(ctx:reload_certificates())
    assert.equal(server_certificate 'theirs', shown(connect(ctx, port, { name = 'example.org' })))
    assert.equal(server_certificate 'ours', shown(connect(ctx, port)))
  end)

  it('needs some', function()
    local ok, why, code = pair.context():reload_certificates()
    assert.is_nil(ok)
    contains(why, 'certificate')
    assert.is_number(code)
  end)
end)

describe('a TLS session', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  for _, version in ipairs { '-tls1_2', '-tls1_3' } do
    it('is resumed, also after reload_certificates (' .. version .. ')', function()
      local config, put = exchangeable()
      local ctx, port = pair.context(config)
      local session = tls.folder 'ours' .. '/session'
      assert.is_false(resumes(ctx, port, version, '-sess_out ' .. session))
      assert.is_true(resumes(ctx, port, version, '-sess_in ' .. session))
      assert.is_true(ctx:reload_certificates())
      assert.is_true(resumes(ctx, port, version, '-sess_in ' .. session))
      put 'theirs'
      assert.is_true(ctx:reload_certificates())
      assert.is_true(resumes(ctx, port, version, '-sess_in ' .. session))
    end)

    it('is not resumed when its authority is not trusted any more (' .. version .. ')', function()
      local config, _, folder = exchangeable()
      config.options, config.ssl_ca_path = required, folder .. '/ca.pem'
      copy(tls.folder 'ours' .. '/ca.pem', folder .. '/ca.pem')
      local ctx, port = pair.context(config)
      local session = tls.folder 'ours' .. '/session'
      local as_client = ('-cert %s/client.pem -key %s/client.key'):gsub('%%s', (tls.folder 'ours'))
      assert.is_false(resumes(ctx, port, version, '-sess_out ' .. session, as_client))
      assert.is_true(resumes(ctx, port, version, '-sess_in ' .. session))
      copy(tls.folder 'theirs' .. '/ca.pem', folder .. '/ca.pem')
      assert.is_true(ctx:reload_certificates())
      local output, status = command.run(ctx, ([[
printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' |
openssl s_client -connect 127.0.0.1:%d -ign_eof %s -sess_in %s %s]]):format(port, version, session, as_client))
      assert.not_equal(0, status)
      assert.is_nil(output:find('HTTP/1.1', 1, true))
      contains(output, 'unknown ca')
    end)
  end

  it('is not resumed by another server', function()
    local session = tls.folder 'ours' .. '/session'
    local ctx, port = pair.context(tls.config())
    assert.is_false(resumes(ctx, port, '-tls1_3', '-sess_out ' .. session))
    local other, other_port = pair.context(tls.config())
    assert.is_false(resumes(other, other_port, '-tls1_3', '-sess_in ' .. session))
  end)
end)
