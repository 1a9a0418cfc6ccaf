-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local socket = require 'socket'
local websockets = require 'websockets'

local prefix = 'websocket could not create context: '

local function can_listen(host)
  local server = socket.bind(host, 0)
  if server then server:close() end
  return server ~= nil
end

local function refuses(host, port)
  local sock = host:find(':', 1, true) and socket.tcp6() or socket.tcp4()
  local connected = sock:connect(host, port)
  sock:close()
  return not connected
end

describe('context', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local function nothing() end

  local function config_with(name, value)
    local config = { protocols = { p = nothing } }
    config[name] = value
    return config
  end

  local function expect_error(config, ...)
    local ok, message = pcall(websockets.context, config)
    assert.is_false(ok)
    assert.equal(prefix, message:sub(1, #prefix))
    for _, part in ipairs { ... } do
      assert.is_truthy(message:find(part, 1, true), message .. ' lacks ' .. part)
    end
  end

  local nan = 0 / 0
  local sizes = { 0, -1, 1.5, 'x', math.huge, nan, true }
  local counts = { -1, 1.5, 'x', math.huge, nan, true }
  local silences = { -1, 1e7, 'x', math.huge, nan, true }
  local seconds = { 0, -1, 'x', math.huge, nan, true }
  local bad_values = {
    port = { -1, 65536, 1.5, 'x', '', '70000', nan, true, {} },
    interf = { 1, true, {} },
    on_http = { 1, 'x', true, {} },
    on_error = { 1, 'x', true, {} },
    default_protocol = { 'q', 7, {} },
    utf8_check = { 'yes', 0, {} },
    max_message_size = sizes,
    max_backpressure = sizes,
    max_header_size = sizes,
    max_headers = sizes,
    max_memory = counts,
    max_connections = counts,
    max_connections_per_ip = counts,
    idle_timeout = silences,
    ping_interval = silences,
    handshake_timeout = seconds,
    body_timeout = seconds,
    keepalive_timeout = seconds,
    answer_timeout = seconds,
    close_timeout = seconds,
    options = { -1, 1.5, 256, 'x', true, {} },
    on_add_fd = { 1, 'x', true, {} },
    on_del_fd = { 1, 'x', true, {} },
    backpressure_policy = { 'wait', 1, true, {} },
    fork_busy_timeout = seconds,
    reuse_port = { 1, 'yes', {} },
    unix_mode = { -1, 512, 1.5, 'x', true, {} },
    listen = { 1, 'x', true, { {} } },
    uid = { -1, 1.5, 'root', 4294967295, true, {} },
    gid = { -1, 1.5, 'root', 4294967295, true, {} },
    ssl_cert_path = { 1, true, {} },
    ssl_private_key_path = { 1, true, {} },
    ssl_ca_path = { 1, true, {} },
    ssl_cert_filepath = { 1, true, {} },
    ssl_private_key_filepath = { 1, true, {} },
    ssl_ca_filepath = { 1, true, {} },
    protocols = { 'x', 1, true },
  }

  for _, name in ipairs { 'listen', 'origins', 'trusted_proxies' } do
    it('shows how a list is written: ' .. name, function()
      expect_error(config_with(name, 'x'), "'" .. name .. "'", "a list, such as { 'x' }")
    end)
  end

  for name, values in pairs(bad_values) do
    it('names the option and the value when it is bad: ' .. name, function()
      for _, value in ipairs(values) do
        local shown = type(value) == 'table' and 'table' or tostring(value)
        if value ~= value then shown = 'nan' end
        expect_error(config_with(name, value), "'" .. name .. "'", shown)
      end
    end)
  end

  it('wants a table', function()
    for _, value in ipairs { 1, 'x', true, nothing } do
      assert.has_error(function() websockets.context(value) end)
    end
    assert.has_error(function() websockets.context() end)
  end)

  it('wants protocols', function()
    expect_error({ listen = { '127.0.0.1:0' } }, "'protocols'")
    expect_error({ port = 1 }, "'protocols'")
    expect_error({ protocols = {} }, "'protocols'")
  end)

  it('that listens on nothing needs no protocols', function()
    local ctx = loop.context { port = 0 }
    assert.same({}, ctx:addresses())
    assert.equal(0, ctx:service())
    local has_run = false
    ctx:after(0, function() has_run = true end)
    loop.serve_until(ctx, function() return has_run end)
    assert.error_matches(function() ctx:broadcast('p', 'x') end, 'unknown protocol')
  end)

  it('wants tokens as the names of protocols', function()
    for _, name in ipairs { '', 'a b', 'a,b', 'ä', 'a/b', 'a\0b', 'a\n' } do
      expect_error({ protocols = { [name] = nothing } }, "'protocols'")
    end
    expect_error({ protocols = { nothing } }, "'protocols'", '1')
    expect_error({ protocols = { [true] = nothing } }, "'protocols'", 'true')
  end)

  it('wants functions as protocols', function()
    for _, value in ipairs { 1, 'x', true, {} } do
      local shown = type(value) == 'table' and 'table' or tostring(value)
      expect_error({ protocols = { chat = value } }, 'chat', shown)
    end
  end)

  it('tells the bound of a number that is too large', function()
    for name, bound in pairs { keepalive_timeout = '1e9', body_timeout = '1e9', idle_timeout = '1e6',
      ping_interval = '1e6', max_connections = '1e9', max_headers = '1e9', max_message_size = '2^53',
      max_memory = '2^53' } do
      expect_error(config_with(name, 1e17), name, 'up to ' .. bound)
    end
  end)

  it('takes numbers as strings', function()
    for _, name in ipairs { 'max_message_size', 'max_backpressure', 'max_header_size', 'max_body_size',
      'max_body_memory', 'max_headers', 'max_memory', 'max_connections', 'max_connections_per_ip', 'unix_mode',
      'options', 'handshake_timeout', 'body_timeout', 'keepalive_timeout', 'answer_timeout', 'upgrade_timeout',
      'idle_timeout', 'ping_interval', 'send_timeout',
      'close_timeout', 'fork_busy_timeout' } do
      loop.context { [name] = '60', protocols = { p = nothing } }:destroy()
    end
    for _, value in ipairs { '0.5', ' 7 ', '1e3', '0x10' } do
      loop.context { idle_timeout = value, close_timeout = value, protocols = { p = nothing } }:destroy()
    end
    for _, value in ipairs { 'nan', 'inf', '-1', '', 'x' } do
      expect_error(config_with('idle_timeout', value), 'idle_timeout', value)
      expect_error(config_with('close_timeout', value), 'close_timeout', value)
    end
    for _, value in ipairs { 0, '0', '64' } do
      loop.context { compression = { min_size = value }, protocols = { p = nothing } }:destroy()
    end
    websockets.static('.', { max_age = '60' })
  end)

  it('names the entry of ssl_names that is bad', function()
    expect_error({ protocols = { p = nothing }, ssl_cert_path = 'c', ssl_private_key_path = 'k',
      ssl_names = { ['a.example'] = 7 } }, 'ssl_names.a.example', '7')
  end)

  it('wants certificate and key together', function()
    expect_error({ protocols = { p = nothing }, ssl_cert_path = 'c' }, 'ssl_private_key_path')
    expect_error({ protocols = { p = nothing }, ssl_private_key_path = 'k' }, 'ssl_cert_path')
  end)

  it('does not take a name for the part of it before a zero', function()
    local names = { 'interf', 'default_protocol', 'ssl_cert_path', 'ssl_private_key_path', 'ssl_ca_path' }
    for _, name in ipairs(names) do
      local config = config_with(name, 'lo\0x')
      config.port = loop.free_port()
      config.protocols.lo = nothing
      expect_error(config, "'" .. name .. "'")
    end
    expect_error({ protocols = { p = nothing }, listen = { '127.0.0.1:0\0x' } }, "'listen'")
  end)

  it('takes any number of protocols, with every character of a token', function()
    local protocols, offered = { ["!#$%&'*+-.^_`|~09azAZ"] = nothing }, nil
    for i = 1, 300 do
      protocols['protocol' .. i] = function() offered = i end
    end
    local ctx, port = loop.context { protocols = protocols }
    client.open(ctx, port, 'protocol217')
    assert.equal(217, offered)
    client.open(ctx, port, "!#$%&'*+-.^_`|~09azAZ")
  end)

  it('tells why when the port is in use', function()
    local _, port = loop.context { protocols = { p = nothing } }
    expect_error(config_with('port', port), 'in use', tostring(port))
  end)

  it('can have the port of a destroyed context, clients or not', function()
    local ctx, port = loop.context { protocols = { p = nothing } }
    local c = client.open(ctx, port, 'p')
    ctx:destroy()
    c:expect_close(1001)
    local again = loop.context { port = port, protocols = { p = nothing } }
    client.open(again, port, 'p')
  end)

  it('takes the port as a string', function()
    local port = loop.free_port()
    local ctx = loop.context { port = tostring(port), protocols = { p = nothing } }
    client.open(ctx, port, 'p')
  end)

  for _, port in ipairs { 0, 'none' } do
    it('without a port listens on nothing: ' .. port, function()
      local ctx = websockets.context { port = port ~= 'none' and port or nil, protocols = { p = nothing } }
      assert.equal(0, ctx:service(0))
      assert.equal(0, ctx:service(1))
      assert.equal(0, ctx:broadcast('p', 'x'))
      ctx:destroy()
    end)
  end

  it('listens on all addresses', function()
    local ctx, port = loop.context { protocols = { p = nothing } }
    client.open(ctx, port, { protocol = 'p' })
    client.open(ctx, port, { protocol = 'p', host = '127.0.0.2' })
    if can_listen '::1' then client.open(ctx, port, { protocol = 'p', host = '::1' }) end
  end)

  it('listens on an interface', function()
    local ctx, port = loop.context { interf = 'lo', protocols = { p = nothing } }
    client.open(ctx, port, { protocol = 'p' })
    assert.is_true(refuses('127.0.0.2', port))
    if can_listen '::1' then client.open(ctx, port, { protocol = 'p', host = '::1' }) end
  end)

  it('listens on a literal IPv4 address', function()
    local ctx, port = loop.context { interf = '127.0.0.2', protocols = { p = nothing } }
    client.open(ctx, port, { protocol = 'p', host = '127.0.0.2' })
    assert.is_true(refuses('127.0.0.1', port))
  end)

  if can_listen '::1' then
    it('listens on a literal IPv6 address', function()
      local ctx, port = loop.context { interf = '::1', protocols = { p = nothing } }
      client.open(ctx, port, { protocol = 'p', host = '::1' })
      assert.is_true(refuses('127.0.0.1', port))
    end)
  end

  it('refuses an interface that there is not', function()
    local names = { 'nosuch0', '300.1.1.1', '203.0.113.1', '::1::', 'localhost', 'unix', 'fd', '*', 'fd:0' }
    for _, name in ipairs(names) do
      expect_error({ port = loop.free_port(), interf = name, protocols = { p = nothing } }, name)
    end
  end)

  it('opens descriptors that a child process does not get', function()
    local leaks = require 'spec.support.leaks'
    local before = leaks.descriptors()
    local ctx, port = loop.context { protocols = { p = nothing } }
    local c = client.open(ctx, port, 'p')
    local own, count = c.sock:getfd(), 0
    for fd, flags in pairs(leaks.descriptors()) do
      if not before[fd] and fd ~= own then
        count = count + 1
        assert.equal(1, math.floor(flags / 524288) % 2, 'O_CLOEXEC of ' .. fd) -- 02000000
      end
    end
    assert.is_true(count >= 2)
  end)

  it('is independent of others', function()
    local function echo(answer)
      return function(ws)
        ws:on_receive(function(_, data) ws:write(answer .. data) end)
      end
    end
    local one, one_port = loop.context { protocols = { p = echo 'one ' } }
    local two, two_port = loop.context { protocols = { p = echo 'two ' } }
    local both = { one, two }
    local a, b = client.open(both, one_port, 'p'), client.open(both, two_port, 'p')
    a:text 'x'
    b:text 'y'
    a:expect_text 'one x'
    b:expect_text 'two y'
    one:broadcast('p', 'all')
    a:expect_text 'all'
    b:expect_nothing()
    one:destroy()
    a:expect_close(1001)
    b:text 'z'
    b:expect_text 'two z'
  end)

  it('can be made, used and destroyed by a callback of another', function()
    local other, other_port, greeted
    local ctx, port = loop.context { protocols = { p = function()
      other, other_port = loop.context { protocols = { q = function() greeted = true end } }
    end } }
    local c = client.open(ctx, port, 'p')
    local d = client.open({ ctx, other }, other_port, 'q')
    assert.is_true(greeted)
    other:destroy()
    d:expect_close(1001)
    other = nil
    c:expect_nothing()
  end)

  it('tells the name of the host', function()
    local ctx = loop.context { protocols = { p = nothing } }
    local pipe = io.popen 'uname -n'
    assert.equal(pipe:read '*l', ctx:canonical_hostname())
    pipe:close()
  end)

  it('does not tell the name of the host when it shall not', function()
    local ctx = loop.context { options = websockets.SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME,
      protocols = { p = nothing } }
    assert.equal('unknown', ctx:canonical_hostname())
  end)

  it('ignores the option to defeat masks', function()
    local ctx, port = loop.context { options = websockets.SERVER_OPTIONS_DEFEAT_CLIENT_MASK,
      protocols = { p = nothing } }
    client.open(ctx, port, 'p'):expect_nothing()
  end)

  it('is shown with its address and state', function()
    local ctx = loop.context { protocols = { p = nothing } }
    assert.matches('^context: 0x%x+', tostring(ctx))
    local open = tostring(ctx)
    ctx:destroy()
    assert.matches('^context: 0x%x+', tostring(ctx))
    assert.not_equal(open, tostring(ctx))
  end)

  it('is a userdata that can be the key of a table', function()
    local ctx = loop.context { protocols = { p = nothing } }
    local other = loop.context { protocols = { p = nothing } }
    assert.equal('userdata', type(ctx))
    local names = { [ctx] = 'one', [other] = 'two' }
    assert.equal('one', names[ctx])
    assert.equal('two', names[other])
  end)

  it('checks what its methods are called on', function()
    local ctx = loop.context { protocols = { p = nothing } }
    for _, name in ipairs { 'service', 'broadcast', 'canonical_hostname', 'destroy' } do
      for _, value in ipairs { 1, 'x', {}, io.stdout } do
        assert.has_error(function() ctx[name](value) end)
      end
      assert.has_error(function() ctx[name]() end)
    end
  end)
end)
