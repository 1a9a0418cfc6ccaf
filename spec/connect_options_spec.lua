-- SPDX-License-Identifier: MIT
-- What connect() is given: the URL, and the table of options.
local clients = require 'spec.support.clients'
local loop = require 'spec.support.loop'

describe('connect', function()
  after_each(clients.close_all)
  require('spec.support.leaks').check_each(before_each, after_each)

  local function expect_error(url, options, ...)
    local ctx = loop.context { port = 0 }
    local ok, message = pcall(function()
      local ws = ctx:connect(url, options)
      return ws
    end)
    assert.is_false(ok)
    assert.matches('^spec/connect_options_spec.lua:%d+: websocket could not connect: ', message)
    for _, part in ipairs { ... } do
      assert.is_truthy(message:find(part, 1, true), message .. ' lacks ' .. part)
    end
    return message
  end

  local url = 'ws://127.0.0.1:1/'
  local nan = 0 / 0
  local seconds = { 0, -1, 'x', math.huge, nan, true }
  local silences = { -1, 1e7, 'x', nan, true }
  local sizes = { 0, -1, 1.5, 'x', math.huge, nan, true }
  local booleans = { 1, 'yes', {} }
  local texts = { 1, true, {} }
  local bad_values = {
    protocols = { 'p', 1, { 1 } },
    protocol_required = booleans,
    headers = { 1, 'X: y', { 'x' }, { ['X-A'] = true }, { ['X-A'] = { {} } } },
    cookies = { 1, 'a=b', { 'x' }, { a = {} } },
    origin = texts,
    host = texts,
    user_agent = texts,
    redirects = { -1, 101, 1.5, 'x', true },
    connect_timeout = seconds,
    close_timeout = seconds,
    idle_timeout = silences,
    ping_interval = silences,
    max_message_size = sizes,
    max_backpressure = sizes,
    compression = { 1, 'x' },
    proxy = { true, 1, {} },
    unix = texts,
    address = { 1, 'localhost', '127.0.0.1:x', 'u@127.0.0.1', '' },
    interf = texts,
    ssl_verify = booleans,
    ssl_ca_path = texts,
    ssl_server_name = texts,
    ssl_cert_path = texts,
    ssl_private_key_path = texts,
    ssl_pinned_keys = { 'x', { 'x' }, { 'sha256//' }, { 1 } },
    reconnect = { 1, 'yes' },
    resume = { true, 'a', function() end, {}, { topics = 'a' }, { topics = {} } },
  }

  for name, values in pairs(bad_values) do
    it('names ' .. name .. ' when it cannot be', function()
      for _, value in ipairs(values) do
        expect_error(url, { [name] = value }, name)
      end
    end)
  end

  it('names what cannot be in a table of options', function()
    expect_error(url, { reconnect = { delay = -1 } }, "'reconnect.delay' is -1")
    expect_error(url, { reconnect = { factor = 0.5 } }, "'reconnect.factor' is 0.5")
    expect_error(url, { reconnect = { attempts = 1.5 } }, "'reconnect.attempts' is 1.5")
    expect_error(url, { reconnect = { max = 1 } }, "'reconnect.max' is unknown, did you mean 'reconnect.max_delay'")
    expect_error(url, { resume = {} }, "option 'resume.topics' is nil, expected a function")
    expect_error(url, { resume = { topics = 'a' } }, "option 'resume.topics' is 'a', expected a function")
    expect_error(url, { resume = { topic = print } }, "'resume.topic' is unknown, did you mean 'resume.topics'")
    expect_error(url, { resume = print }, "option 'resume' is function, expected a table")
    expect_error(url, { compression = { level = 10 } }, "'compression.level' is 10")
    expect_error(url, { compression = { client_max_window_bits = 9 } }, "'compression.client_max_window_bits'")
    expect_error(url, { headers = { ['X-A'] = true } }, "'headers.X-A' is true, expected a string, a number")
    expect_error(url, { ssl_private_key_path = 'x' }, 'ssl_private_key_path needs ssl_cert_path')
  end)

  it('shows no more than the beginning of what is long, and what is wrong with it', function()
    local long = ('x'):rep(99) .. 'ä' .. ('y'):rep(5000)
    local shown = ('x'):rep(99) .. '…'
    expect_error(url, { close_timeout = long }, "option 'close_timeout' is '" .. shown .. "', expected")
    expect_error(url, { protocols = long }, "'protocols' is '" .. shown .. "', expected a list, such as { '" .. shown)
    expect_error(url, { [long] = 1 }, "option '" .. shown .. "' is unknown")
    expect_error(url, { headers = { [long] = true } }, "'headers." .. ('x'):rep(92) .. "…' is true, expected")
    for _, wrong in ipairs { 'ftp://' .. long, 'ws://host/#' .. long, 'ws://host:' .. long } do
      local message = expect_error(wrong, nil, wrong:sub(1, 100), '…y', "y' is no URL of a websocket: ")
      assert.is_true(#message < 600, message)
    end
  end)

  it('does not show what may be a password', function()
    for _, text in ipairs {
      expect_error(url, { headers = 'Authorization: hidden' }, "'headers' is a string, expected a table of headers"),
      expect_error(url, { headers = { 'Authorization: hidden' } }, "'headers'"),
      expect_error(url, { headers = { Authorization = { 'hidden', {} } } }, "'headers.Authorization' is table"),
      expect_error(url, { headers = { Authorization = 'hidden\r\n' } }, "'Authorization'"),
      expect_error(url, { cookies = 'session=hidden' }, "'cookies' is a string, expected a table of cookies"),
      expect_error(url, { cookies = { session = 'hidden;' } }, "'session'"),
      expect_error(url, { proxy = 'ftp://user:hidden@localhost' }, 'ftp://localhost'),
      expect_error('ftp://user:hidden@localhost', nil, 'ftp://localhost'),
    } do
      assert.is_nil(text:find('hidden', 1, true), text)
    end
  end)

  it('refuses what would end a line', function()
    for _, bytes in ipairs { 'a\r\nX: y', 'a\ny', 'a\0b' } do
      expect_error('ws://127.0.0.1/' .. bytes, nil)
      expect_error(url, { headers = { ['X-A'] = bytes } }, 'headers')
      expect_error(url, { headers = { [bytes] = 'x' } }, 'headers')
      expect_error(url, { cookies = { a = bytes } }, 'cookies')
      for _, name in ipairs { 'origin', 'host', 'user_agent' } do
        expect_error(url, { [name] = bytes }, name)
      end
      expect_error(url, { protocols = { bytes } }, 'protocol')
    end
  end)

  it('refuses headers that are its own', function()
    for _, name in ipairs { 'Connection', 'upgrade', 'Sec-WebSocket-Key', 'Sec-WebSocket-Extensions' } do
      expect_error(url, { headers = { [name] = 'x' } }, name)
    end
  end)

  it('refuses what is no URL', function()
    for _, bad in ipairs { '', 'x', 'ftp://x', 'ws://', 'ws://x:y/', 'ws://x/#y', '//x', 'ws:///x' } do
      expect_error(bad, nil)
    end
    for _, bad in ipairs { 1, true, {} } do
      expect_error(bad, nil, 'the URL is ')
    end
    expect_error(nil, nil, 'the URL is nil')
    expect_error(url, 1, 'the options are 1')
    assert.is_nil(expect_error('ws://user:secret@x/#y', nil):find('secret', 1, true))
  end)

  it('tells what an unknown option may have meant', function()
    for name, meant in pairs {
      protocol = "'protocols'", Headers = "'headers'", timeout = "'connect_timeout'", verify = "'ssl_verify'",
      on_message = 'ws:on_receive(fn)', onopen = 'ws:on_open(fn)', interface = "'interf'", proxie = "'proxy'",
    } do
      expect_error(url, { [name] = 1 }, "'" .. name .. "' is unknown", meant)
    end
    assert.is_nil(expect_error(url, { quux = 1 }, "'quux' is unknown"):find('did you mean', 1, true))
  end)

  it('sends what the options say', function()
    local ctx = loop.context { port = 0 }
    local server, server_url = clients.raw_server(ctx)
    ctx:connect(server_url .. 'a%20b?c', {
      protocols = { 'one', 'two' },
      headers = { ['X-One'] = 1, ['X-List'] = { 'a', 'b' } },
      cookies = { a = 'b' },
      origin = 'https://example.org',
      host = 'example.net',
      user_agent = 'me/1',
      compression = true,
    })
    local head = server:accept()
    for _, line in ipairs {
      'GET /a%20b?c HTTP/1.1', 'Host: example.net', 'Sec-WebSocket-Protocol: one, two', 'X-One: 1', 'X-List: a', 'X-List: b',
      'Cookie: a=b', 'Origin: https://example.org', 'User-Agent: me/1', 'Sec-WebSocket-Version: 13',
    } do
      assert.is_truthy(head:find(line .. '\r\n', 1, true), head .. ' lacks ' .. line)
    end
    assert.matches('\r\nSec%-WebSocket%-Extensions: permessage%-deflate', head)
  end)

  it('sends userinfo as Basic authorization', function()
    local ctx = loop.context { port = 0 }
    local server, server_url = clients.raw_server(ctx)
    local ws = ctx:connect((server_url:gsub('//', '//user:p%%40ss@')))
    assert.is_nil(tostring(ws):find('p@ss', 1, true))
    assert.is_truthy(server:accept():find('Authorization: Basic dXNlcjpwQHNz\r\n', 1, true))
  end)

  it('leads to another address', function()
    local ctx = loop.context { port = 0 }
    local server = clients.raw_server(ctx)
    ctx:connect('ws://example.invalid/x', { address = '127.0.0.1:' .. server.port })
    assert.matches('^GET /x HTTP/1.1\r\n.*Host: example.invalid\r\n', server:accept())
  end)

  it('wants one of the protocols, unless it is told otherwise', function()
    local ctx, server_url = clients.server { on_upgrade = function() return true end, default_protocol = 'p' }
    local log, ended = clients.log(ctx:connect(server_url, { protocols = { 'q' } }))
    clients.wait_for_end(ctx, ended)
    assert.equal('closed 1006 http', log[1])
    local server, raw_url = clients.raw_server(ctx)
    for required, state in pairs { [true] = 'closed', [false] = 'open' } do
      local ws = ctx:connect(raw_url, { protocols = { 'q' }, protocol_required = required })
      local key = server:accept():match 'Sec%-WebSocket%-Key: (%S+)'
      server:send(clients.switching(key))
      clients.wait_for_state(ctx, ws, state)
      assert.is_nil(ws:protocol())
    end
  end)

  it('calls functions for the URL and the headers before each attempt', function()
    local ctx = loop.context { port = 0 }
    local server, server_url = clients.raw_server(ctx)
    local count = 0
    local ws
    ws = ctx:connect(function(given)
      assert(rawequal(given, ws))
      return server_url .. count
    end, {
      headers = function(given)
        assert(rawequal(given, ws))
        count = count + 1
        return { Authorization = 'token ' .. count }
      end,
      reconnect = { delay = 0 },
    })
    for i = 1, 3 do
      local head = server:accept()
      assert.matches('^GET /' .. i - 1 .. ' .*\r\nAuthorization: token ' .. i .. '\r\n', head)
    end
  end)

  it('tells on_error of functions that fail, and ends', function()
    local errors = {}
    local ctx = loop.context { port = 0, on_error = function(message, ws) errors[#errors + 1] = { message, ws } end }
    for text, given in pairs {
      oops = { function() error 'oops' end },
      ['returned 1, not a string'] = { function() return 1 end },
      ['no URL'] = { function() return 'x' end },
      ['returned true, not a table'] = { url, function() return true end },
      ['returned a string, not a table'] = { url, function() return 'X-A: token' end },
      ["'X-A' = true"] = { url, function() return { ['X-A'] = true } end },
      ['control character'] = { url, function() return { ['X-A'] = '\r\n' } end },
      ['keys that are no names'] = { url, function() return { 'x' } end },
    } do
      errors = {}
      local ws = ctx:connect(given[1], { headers = given[2], reconnect = true })
      local _, ended = clients.log(ws)
      clients.wait_for_end(ctx, ended)
      assert.is_truthy(errors[1][1]:find(text, 1, true), errors[1][1])
      assert.equal(ws, errors[1][2])
      assert.equal('cancelled', ended.failure.kind)
      assert.equal(given[2] and 'the function for headers failed' or 'the function for the URL failed',
        ended.failure.message)
    end
  end)

  it('follows redirects as far as it is told', function()
    local ctx, server_url = clients.server { on_upgrade = function(request)
      if request.path == '/to' then return true end
      return 302, { Location = '/to' }, ''
    end }
    local ws = ctx:connect(server_url .. 'from', { redirects = 1 })
    clients.wait_for_state(ctx, ws, 'open')
    assert.equal(server_url .. 'to', ws:response().url)
    local _, ended = clients.log(ctx:connect(server_url .. 'from'))
    clients.wait_for_end(ctx, ended)
    assert.same({ 'http', 302 }, { ended.failure.kind, ended.failure.status })
  end)
end)
