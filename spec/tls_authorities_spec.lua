-- SPDX-License-Identifier: MIT
-- TLS: what ssl_ca_path may hold, intermediate authorities and revocation lists among it, and who is asked for a
-- certificate.
local client = require 'spec.support.client'
local command = require 'spec.support.command'
local leaks = require 'spec.support.leaks'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

local required = websockets.SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT

local function contains(text, part)
  assert.is_truthy(text:find(part, 1, true), ('%q lacks %q'):format(text, part))
end

local function run(text)
  local output, status = command.run({}, 'set -e\n' .. text)
  assert.equal(0, status, output)
end

-- A folder with what script/demo-certificate makes, and an authority below its own: middle.pem, and leaf.pem, which that
-- has signed; and another authority, other.pem, which has signed friend.pem. Revocation lists of the first: root.crl is
-- empty, client.crl has client.pem, both.crl has middle.pem; of the second: middle.crl is empty, leaf.crl has leaf.pem.
local prepared = {}
local function folder(name)
  local path = tls.folder(name)
  if prepared[path] then return path end
  prepared[path] = true
  run(([[
cd '%s'
new() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  openssl req -new -key "$1.key" -subj "/CN=$1 of %s" -out "$1.csr"
}
sign() { # name, authority, lines
  printf "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial "0x$(openssl rand -hex 8)" \
    -days 9 -extfile "$1.ext" -out "$1.pem"
}
list() { # file, authority, who is revoked
  : >"$1.index"; echo 01 >"$1.number"
  printf "[ca]\ndefault_ca=d\n[d]\ndatabase=$1.index\ncrlnumber=$1.number\n" >"$1.cnf"
  printf "default_md=sha256\ndefault_crl_days=9\n" >>"$1.cnf"
  [ -z "$3" ] || openssl ca -config "$1.cnf" -cert "$2.pem" -keyfile "$2.key" -revoke "$3.pem"
  openssl ca -config "$1.cnf" -cert "$2.pem" -keyfile "$2.key" -gencrl -out "$1.crl"
}
new middle; sign middle ca 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=other \
  -keyout other.key -out other.pem
new friend; sign friend other 'extendedKeyUsage=clientAuth\n'
new leaf; sign leaf middle 'extendedKeyUsage=clientAuth\n'
cat leaf.pem middle.pem >chain.pem
list root ca ''; list client ca client; list both ca middle; list middle middle ''; list leaf middle leaf
]]):format(path, name))
  return path
end

-- The path of a file that holds these of a folder, one after the other.
local function bundle(path, ...)
  local parts = {}
  for i, name in ipairs { ... } do
    parts[i] = tls.read(path .. '/' .. name)
  end
  return tls.write(path .. '/bundle.pem', table.concat(parts))
end

local function context(ca, more)
  local config = tls.config { ssl_ca_path = ca, options = required }
  for name, value in pairs(more or {}) do
    config[name] = value
  end
  return pair.context(config)
end

-- Whether the client gets its websocket; else why not. The name of its files, without endings: see folder().
local function try(ctx, port, path, name, version)
  local files = { chain = 'leaf' }
  local options = { protocol = version or 'tlsv1_2' }
  if name then
    options.certificate = ('%s/%s.pem'):format(path, name)
    options.key = ('%s/%s.key'):format(path, files[name] or name)
  end
  local ok, c = pcall(client.connect, ctx, port, { tls = options })
  if not ok then return tostring(c) end
  c:send_some(client.request { protocol = 'p' })
  local got, status = pcall(c.read_head, c)
  if not got then return c.ended or tostring(status) end
  assert.equal(101, status)
  c:finish(1000)
  return true
end

describe('ssl_ca_path', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
    it('may hold an intermediate authority alone: ' .. version, function()
      local path = folder 'ours'
      local ctx, port = context(path .. '/middle.pem')
      assert.is_true(try(ctx, port, path, 'leaf', version))
      assert.is_true(try(ctx, port, path, 'chain', version))
      contains(try(ctx, port, path, 'client', version), 'unknown ca') -- that the root has signed
      contains(try(ctx, port, folder 'theirs', 'leaf', version), 'unknown ca')
    end)
  end

  it('may hold the root, for whoever sends the authorities between', function()
    local path = folder 'ours'
    local ctx, port = context(path .. '/ca.pem')
    assert.is_true(try(ctx, port, path, 'chain'))
    contains(try(ctx, port, path, 'leaf'), 'unknown ca')
  end)

  for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
    it('may hold revocation lists, which count: ' .. version, function()
      local path = folder 'ours'
      local ctx, port = context(bundle(path, 'ca.pem', 'client.crl'))
      contains(try(ctx, port, path, 'client', version), 'certificate revoked')
      ctx, port = context(bundle(path, 'ca.pem', 'root.crl'))
      assert.is_true(try(ctx, port, path, 'client', version))
    end)
  end

  it('may hold the revocation lists of some of its authorities', function()
    local ours = folder 'ours'
    local ctx, port = context(bundle(ours, 'ca.pem', 'client.crl', 'other.pem'))
    contains(try(ctx, port, ours, 'client'), 'certificate revoked')
    assert.is_true(try(ctx, port, ours, 'friend'))
    assert.is_true(try(ctx, port, ours, 'chain')) -- there is no list of the authority between
    ctx, port = context(bundle(ours, 'middle.pem', 'leaf.crl'))
    contains(try(ctx, port, ours, 'leaf'), 'certificate revoked')
    ctx, port = context(bundle(ours, 'middle.pem', 'middle.crl'))
    assert.is_true(try(ctx, port, ours, 'leaf'))
  end)

  it('may revoke an authority that it holds', function()
    local path = folder 'ours'
    local ctx, port = context(bundle(path, 'ca.pem', 'middle.pem', 'both.crl', 'middle.crl'))
    contains(try(ctx, port, path, 'leaf'), 'certificate revoked')
    assert.is_true(try(ctx, port, path, 'client'))
    ctx, port = context(bundle(path, 'ca.pem', 'middle.pem', 'root.crl', 'middle.crl'))
    assert.is_true(try(ctx, port, path, 'leaf'))
  end)

  it('is read anew by reload_certificates, also for sessions that are resumed', function()
    local path = folder 'ours'
    local ca = bundle(path, 'ca.pem', 'root.crl')
    local ctx, port = context(ca)
    local session = path .. '/session'
    local function ask(option)
      return command.run(ctx, ([[
printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' |
openssl s_client -connect 127.0.0.1:%d -ign_eof -tls1_3 %s %s -cert %s/client.pem -key %s/client.key]]):format(
        port, option, session, path, path))
    end
    contains(ask '-sess_out', 'HTTP/1.1 404')
    contains(ask '-sess_in', 'Reused, TLSv1')
    bundle(path, 'ca.pem', 'client.crl')
    assert.is_true(ctx:reload_certificates())
    local output = ask '-sess_in'
    assert.is_nil(output:find('HTTP/1.1', 1, true), output)
    contains(output, 'certificate revoked')
  end)
end)

describe('a certificate that is not demanded', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
    it('is checked where it is given: ' .. version, function()
      local seen = {}
      local ctx, port = context(tls.folder 'ours' .. '/ca.pem', { options = 0, on_error = function() end,
        on_upgrade = function(request)
          seen[#seen + 1] = request.client_certificate and request.client_certificate.subject or 'none'
          return true
        end })
      assert.is_true(try(ctx, port, nil, nil, version))
      assert.is_true(try(ctx, port, tls.folder 'ours', 'client', version))
      contains(try(ctx, port, tls.folder 'theirs', 'client', version), 'unknown ca')
      assert.same({ 'none', 'CN=lua-websockets demonstration client' }, seen)
    end)
  end

  it('is told of once', function()
    local told = {}
    local function on_error(...) told[#told + 1] = { select('#', ...), ... } end
    local ctx, port = context(tls.folder 'ours' .. '/ca.pem', { options = 0, on_error = on_error })
    assert.equal(1, #told)
    assert.equal(2, told[1][1])
    contains(told[1][2], 'warning: ssl_ca_path without SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT')
    assert.is_nil(told[1][3])
    assert.is_true(try(ctx, port))
    assert.is_true(ctx:reload_certificates())
    assert.equal(1, #told)
    context(tls.folder 'ours' .. '/ca.pem', { on_error = on_error })
    pair.context(tls.config { on_error = on_error })
    assert.equal(1, #told)
  end)

end)

describe('a certificate that is demanded', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  it('is not by unix sockets, which is told once', function()
    local paths, told = {}, {}
    for i = 1, 2 do
      paths[i] = os.tmpname()
      os.remove(paths[i])
    end
    local config = tls.config {
      listen = { '127.0.0.1:0', 'unix:' .. paths[1], 'unix:' .. paths[2] },
      ssl_ca_path = tls.folder 'ours' .. '/ca.pem',
      options = required,
      protocols = { p = function() end },
      on_error = function(message, ws) told[#told + 1] = { message, ws } end,
    }
    local ctx = websockets.context(config)
    assert.equal(1, #told)
    contains(told[1][1], 'warning: client certificates are required, but not asked for on unix sockets')
    assert.is_nil(told[1][2])
    ctx:destroy()
    config.listen = { '127.0.0.1:0' }
    websockets.context(config):destroy()
    config.listen, config.options, config.ssl_ca_path = { 'unix:' .. paths[1] }, 0, nil
    websockets.context(config):destroy()
    assert.equal(1, #told)
  end)
end)
