-- SPDX-License-Identifier: MIT
-- Names in the config, and in other tables of options, that are no options.
local leaks = require 'spec.support.leaks'
local script = require 'spec.support.script'
local websockets = require 'websockets'

describe('an unknown name', function()
  leaks.check_each(before_each, after_each)

  local function nothing() end

  local function config(more)
    local copy = { protocols = { p = nothing } }
    for name, value in pairs(more) do
      copy[name] = value
    end
    return copy
  end

  local function contains(text, part)
    assert.is_truthy(text:find(part, 1, true), ('%q does not contain %q'):format(text, part))
  end

  local function failure(fn, ...)
    local ok, message = pcall(fn, ...)
    assert.is_false(ok)
    return message
  end

  -- The messages that on_error gets; creating has to succeed.
  local function warnings(given)
    local messages = {}
    given.on_error = function(message, ...)
      assert.equal(1, select('#', ...))
      assert.is_nil((...))
      messages[#messages + 1] = message
    end
    websockets.context(given):destroy()
    table.sort(messages)
    return messages
  end

  for name, meant in pairs {
    origin = 'origins', Port = 'port', PORT = 'port', ssl_cert = 'ssl_cert_path', interface = 'interf',
    on_upgrad = 'on_upgrade', on_upgarde = 'on_upgrade', onupgrade = 'on_upgrade', ['on-http'] = 'on_http',
    OnHttp = 'on_http', maxMessageSize = 'max_message_size', max_conections_per_ip = 'max_connections_per_ip',
    prot = 'port', pot = 'port', port_number = 'port', listener = 'listen', trusted_proxie = 'trusted_proxies',
    compression_level = 'compression', protocol = 'protocols', ssl_key_path = 'ssl_private_key_path', p = 'port',
    ssl_privat_key_path = 'ssl_private_key_path', timeout_idle = false, hots = false,
    [('listen'):rep(100)] = 'listen', [('x'):rep(1000)] = false, [''] = false, ['_'] = false, x = false,
  } do
    local shown = #name > 100 and name:sub(1, 100) .. '…' or name
    it(("'%s' is %s"):format(name:sub(1, 30), meant and "taken for '" .. meant .. "'" or 'told of'), function()
      if meant then
        local message = failure(websockets.context, config { [name] = 'x' })
        contains(message, 'websocket could not create context: ')
        contains(message, ("option '%s' is unknown, did you mean '%s'?"):format(shown, meant))
      else
        local messages = warnings(config { [name] = 'x' })
        assert.equal(1, #messages)
        assert.matches('unknown_names_spec.lua:%d+: warning: ', messages[1])
        contains(messages[1], ("option '%s' is unknown"):format(shown))
      end
    end)
  end

  local listen = "'listen' or, with 'port', 'interf'"
  local certificate, private_key = "'ssl_cert_path'", "'ssl_private_key_path'"
  local tls = certificate .. ' and ' .. private_key
  local rate = "'max_message_rate'"
  local opens = 'the function of its protocol, which is called when it opens'
  for name, meant in pairs {
    host = listen, hostname = listen, address = listen, addr = listen, bind = listen, Host = listen,
    ssl_certificate = certificate, ssl_cert = certificate, cert = certificate, certificate = certificate,
    ssl_certificate_key = private_key, ssl_key = private_key, key = private_key, private_key = private_key,
    tls = tls, ssl = tls, allowed_origins = "'origins'", allowedOrigins = "'origins'", cors = "'origins'",
    trusted_proxy = "'trusted_proxies'", max_payload = "'max_message_size'", maxPayload = "'max_message_size'",
    max_clients = "'max_connections'", max_connections_ip = "'max_connections_per_ip'",
    rate_limit = rate, message_rate = rate, max_rate = rate, on_request = "'on_http'",
    on_message = 'ws:on_receive(fn)', on_receive = 'ws:on_receive(fn)', on_open = opens, on_connect = opens,
    on_close = 'ws:on_closed(fn)', on_closed = 'ws:on_closed(fn)', onclose = 'ws:on_closed(fn)',
  } do
    it(("'%s' of another library is an error that names ours"):format(name), function()
      contains(failure(websockets.context, config { [name] = 'x' }),
        ("websocket could not create context: option '%s' is unknown, did you mean %s?"):format(name, meant))
    end)
  end

  it('is an error where the module stands for the config', function()
    local function expect(module)
      local message = failure(function()
        local ctx = module:context(config {})
        return ctx
      end)
      assert.matches('unknown_names_spec.lua:%d+: ', message)
      contains(message, "option 'context' is unknown, did you mean to call context(config) with '.', not with ':'?")
    end
    expect(websockets)
    local adapter = require 'websockets.adapter'
    expect { context = function(given) return adapter.context(given, nothing) end }
  end)

  it('is found before what is missing instead', function()
    local function expect(given, text) contains(failure(websockets.context, given), text) end
    expect({ protocol = { p = nothing } }, "option 'protocol' is unknown, did you mean 'protocols'?")
    expect(config { ssl_cert = 'c', ssl_private_key_path = 'k' },
      "option 'ssl_cert' is unknown, did you mean 'ssl_cert_path'?")
    expect(config { proxy_protocol = true, trusted_proxie = { '::1' } },
      "option 'trusted_proxie' is unknown, did you mean 'trusted_proxies'?")
    expect({ port = 1 }, "option 'protocols' is nil, expected a table of functions")
  end)

  it('is told of once each, and all else goes on', function()
    local messages = warnings(config { heartbeat = 'x', extensions = {}, listen = { '127.0.0.1:0' } })
    assert.equal(2, #messages)
    contains(messages[1], "'extensions'")
    contains(messages[2], "'heartbeat'")
  end)

  it('is told of on stderr by default', function()
    local output = script.run [[
      require('websockets').context { protocols = { p = print }, heartbeat = 'x' }
    ]]
    assert.matches("^websockets: [^\n]*:1: warning: option 'heartbeat' is unknown\n$", output)
  end)

  it('may be told of by a function that fails', function()
    local output = script.run [[
      require('websockets').context { protocols = { p = print }, heartbeat = 'x', on_error = function() error 'oops' end }
      print 'goes on'
    ]]
    contains(output, "option 'heartbeat' is unknown")
    contains(output, 'oops')
    contains(output, 'goes on')
  end)

  it('is not looked for among keys that are no strings, and those of metatables', function()
    assert.same({}, warnings(config { 'x', nothing, [true] = 1, [2.5] = 1, [nothing] = 1, __name = 1, __index = 1 }))
  end)

  it('is found where the config inherits from', function()
    local defaults = setmetatable({ origin = {} }, { __index = { heartbeat = 'x' } })
    contains(failure(websockets.context, setmetatable(config {}, { __index = defaults })), "'origins'")
    defaults.origin = nil
    local messages = warnings(setmetatable(config {}, { __index = defaults }))
    assert.equal(1, #messages)
    contains(messages[1], "'heartbeat'")
    local endless = config {}
    warnings(setmetatable(endless, { __index = function() end }))
  end)

  it('is an error in tables that are options themselves', function()
    local function expect(given, text)
      local message = failure(websockets.context, config(given))
      contains(message, 'websocket could not create context: ')
      contains(message, text)
    end
    expect({ compression = { lvl = 6 } }, "option 'compression.lvl' is unknown, did you mean 'compression.level'?")
    expect({ compression = { threshold = 6 } }, "option 'compression.threshold' is unknown")
    expect({ compression = { context_takeover = { sever = true } } },
      "option 'compression.context_takeover.sever' is unknown, did you mean 'compression.context_takeover.server'?")
    expect({ compression = { context_takeover = { both = true } } },
      "option 'compression.context_takeover.both' is unknown")
    local files = { ssl_cert_path = 'c', ssl_private_key_path = 'k' }
    expect({ ssl_cert_path = 'c', ssl_private_key_path = 'k', ssl_names = { ['a.example'] = {
      ssl_cert_path = files.ssl_cert_path, ssl_private_key_path = files.ssl_private_key_path, ssl_cert = 'c' } } },
      "option 'ssl_names.a.example.ssl_cert' is unknown, did you mean 'ssl_names.a.example.ssl_cert_path'?")
    websockets.context(config { compression = { 'x', level = 6 } }):destroy()
  end)

  it('is an error in the options of static', function()
    contains(failure(websockets.static, '.', { idx = 'x' }),
      "websocket could not serve a folder: option 'idx' is unknown, did you mean 'index'?")
    contains(failure(websockets.static, '.', { cache = 1 }), "option 'cache' is unknown")
    assert.is_function(websockets.static('.', { 'x', headers = { ['X-Any'] = 'x' }, types = { any = 'text/plain' } }))
  end)

  it('may be anything in maps of names', function()
    assert.same({}, warnings { protocols = { port = nothing, origin = nothing, whatever = nothing } })
  end)

  describe('given to an adapter', function()
    local adapter = require 'websockets.adapter'

    local function watch() return nothing end

    local function expect(pattern, ...)
      local ok, message = pcall(adapter.context, ...)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end

    it('is as one given to the module, at the line of the caller #pollfd', function()
      local function create(more)
        local ctx = adapter.context(config(more), watch)
        return ctx
      end
      assert.matches("unknown_names_spec.lua:%d+: websocket could not create context: option 'origin' is unknown, ",
        failure(create, { origin = {} }))
      assert.matches("unknown_names_spec.lua:%d+: websocket could not create context: option 'port' is 'x', ",
        failure(create, { port = 'x' }))
      local messages = {}
      local ctx = create { heartbeat = 'x', on_error = function(message) messages[#messages + 1] = message end }
      ctx:destroy()
      assert.equal(1, #messages)
      assert.matches("unknown_names_spec.lua:%d+: warning: option 'heartbeat' is unknown", messages[1])
    end)

    it('is an error among its own options, as are missing ones', function()
      expect("websockets.adapter has no option 'every_fd', but each_fd", config {}, watch, { every_fd = true })
      expect("bad argument #1 to 'context' %(table expected, got nil%)", nil, watch)
      expect("bad argument #2 to 'context' %(function expected, got nil%)", config {})
      expect("bad argument #3 to 'context' %(table expected, got boolean%)", config {}, watch, true)
      local ok, message = pcall(function() adapter.context(config {}) end)
      assert.is_false(ok)
      assert.matches('^[^:]*unknown_names_spec.lua:%d+: ', message)
    end)

    it('lets no context be that nobody watches #pollfd', function()
      local before = leaks.descriptors()
      expect('cannot be watched', config {}, function() error 'cannot be watched' end)
      assert.same(before, leaks.descriptors())
    end)
  end)
end)
