-- SPDX-License-Identifier: MIT
-- Clients: context:connect, and the methods of their websockets. What can be wrong with an answer, and names, proxies,
-- TLS, have unit tests.
local clients = require 'spec.support.clients'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local script = require 'spec.support.script'
local socket = require 'socket'
local websockets = require 'websockets'

local function echo(ws)
  ws:on_receive(function(_, data, type) ws:write(data, type) end)
end

describe('connect', function()
  after_each(clients.close_all)
  leaks.check_each(before_each, after_each)

  it('opens a websocket, exchanges messages, closes', function()
    local ctx, url = clients.server(nil, echo)
    local ws = ctx:connect(url .. 'feed?a=b', { protocols = { 'q', 'p' } })
    assert.equal('connecting', ws:state())
    assert.is_nil(ws:response())
    local log = {}
    ws:on_open(function(opened, response)
      assert(rawequal(opened, ws) and ws:state() == 'open')
      assert(response.status == 101 and response.url == url .. 'feed?a=b' and response.protocol == 'p')
      assert(response.headers.Upgrade == 'websocket' and response.certificate == nil)
      assert.same(response, ws:response())
      log[#log + 1] = 'open'
    end)
    ws:on_receive(function(received, data, type)
      assert(rawequal(received, ws))
      log[#log + 1] = data .. type
    end)
    ws:on_closed(function(closed, code, reason, failure)
      assert(rawequal(closed, ws) and failure == nil)
      log[#log + 1] = ('closed %d %s'):format(code, reason)
    end)
    assert.equal(0, ws:write 'one')
    assert.equal(0, ws:write('two', websockets.WRITE_BINARY))
    loop.serve_until(ctx, function() return #log == 3 end, 'the echoes')
    assert.equal('p', ws:protocol())
    ws:close(1000, 'bye')
    assert.same({ 'open', 'one0', 'two1', 'closed 1000 bye' }, log)
    assert.equal('closed', ws:state())
    assert.matches('^websocket: .*%(closed%)$', tostring(ws))
    loop.serve_until(ctx, function() return ctx:stats().closed[1000] == 1 end, 'the server to be told')
  end)

  it('is told when the server closes', function()
    local ctx, url = clients.server(nil, function(ws) ws:close(4000, 'go') end)
    local log, ended = clients.log(ctx:connect(url))
    clients.wait_for_end(ctx, ended)
    assert.same({ 'open 101', 'closed 4000 closed' }, log)
    assert.equal(4000, ended.failure.close_code)
  end)

  it('sends in order what was written before it opened', function()
    local got = {}
    local ctx, url = clients.server(nil, function(ws)
      ws:on_receive(function(_, data) got[#got + 1] = data end)
    end)
    local ws = ctx:connect(url)
    for i = 1, 100 do
      assert.equal(0, ws:write(i .. ''))
    end
    assert.equal(0, ws:write('a', websockets.WRITE_TEXT + websockets.WRITE_NO_FIN))
    assert.error_matches(function() ws:write 'x' end, 'not finished yet')
    assert.equal(0, ws:write('b', websockets.WRITE_CONTINUATION))
    assert.is_true(ws:buffered_amount() > 0)
    ws:on_open(function() ws:write 'opened' end)
    loop.serve_until(ctx, function() return #got == 102 end, 'all messages')
    assert.same({ '1', '100', 'ab', 'opened' }, { got[1], got[100], got[101], got[102] })
    assert.equal(0, ws:buffered_amount())
  end)

  it('sends a Close frame behind what was written before it opened', function()
    local log = {}
    local ctx, url = clients.server(nil, function(ws)
      ws:on_receive(function(_, data) log[#log + 1] = data end)
      ws:on_closed(function(_, code, reason) log[#log + 1] = ('closed %d %s'):format(code, reason) end)
    end)
    local ws = ctx:connect(url, { reconnect = true })
    local events, ended = clients.log(ws)
    assert.equal(0, ws:write 'one')
    assert.equal(0, ws:write('\3\232bye', websockets.WRITE_CLOSE))
    assert.same({}, events) -- on_closed is not called within write
    assert.same({ -1, 'closed' }, { ws:write 'two' })
    clients.wait_for_end(ctx, ended)
    assert.same({ 'one', 'closed 1000 bye' }, log)
    assert.same({ 'open 101', 'closed 1000 ' }, events)
  end)

  it('takes no more than max_backpressure before it opens', function()
    local ctx = clients.server()
    local _, url = clients.raw_server(ctx)
    local ws = ctx:connect(url, { max_backpressure = 1000 })
    assert.equal(0, ws:write(('x'):rep(900)))
    assert.same({ -1, 'queue full' }, { ws:write(('x'):rep(200)) })
  end)

  it('moves large messages', function()
    local ctx, url = clients.server(nil, echo)
    local data = ('0123456789abcdef'):rep(2 ^ 18) -- 4 MiB
    local ws, got = clients.open(ctx, url), nil
    ws:on_receive(function(_, received) got = received end)
    local drained = 0
    ws:on_server_writeable(function() drained = drained + 1 end)
    assert.equal(0, ws:write(data, websockets.WRITE_BINARY))
    loop.serve_until(ctx, function() return got end, 'the echo')
    assert.is_true(got == data)
    loop.serve_until(ctx, function() return drained > 0 end, 'on_server_writeable')
  end)

  it('compresses when both sides want it', function()
    local ctx, url = clients.server({ compression = true }, echo)
    local text = ('to be or not to be '):rep(1000)
    local ws, got = clients.open(ctx, url, { compression = { level = 9 } }), nil
    assert.matches('permessage%-deflate', ws:response().headers['Sec-WebSocket-Extensions'])
    ws:on_receive(function(_, data) got = data end)
    ws:write(text)
    loop.serve_until(ctx, function() return got end, 'the echo')
    assert.is_true(got == text)
    assert.is_true(ctx:stats().received_bytes < #text)
  end)

  it('connects to a unix socket', function()
    local path = os.tmpname()
    os.remove(path)
    local ctx = clients.server({ port = 0, listen = { 'unix:' .. path } }, echo)
    for _, try in ipairs { { 'ws+unix:' .. path .. ':/x' }, { 'ws://example.org/x', { unix = path } } } do
      local ws = clients.open(ctx, try[1], try[2])
      assert.same({ '', '' }, { ws:get_peer_addresses() })
    end
    os.remove(path)
  end)

  it('has the methods of a websocket', function()
    local served
    local ctx, url, port = clients.server(nil, function(ws) served = ws end)
    local ws = clients.open(ctx, url)
    assert.equal(ctx, ws:context())
    assert.is_nil(ws:request())
    assert.is_true(ws:get_socket_fd() > 0)
    local _, ip = ws:get_peer_addresses()
    assert.equal('127.0.0.1', ip)
    assert.equal(0, ws:remaining_packet_payload())
    assert.equal(0, ws:service 'r')
    ws.field = port
    assert.equal(port, ws.field)
    assert.error_matches(function() ws.on_open = print end, 'ws:on_open')
    for _, method in ipairs { 'broadcast', 'on_broadcast' } do
      assert.error_matches(function() ws[method](ws, method == 'broadcast' and 'x' or 0) end, 'is not for clients')
    end
    assert.error_matches(function() ws:respond(200) end, 'is for on_http only')
    assert.error_matches(function() ws:write('x', websockets.WRITE_HTTP) end, 'WRITE_HTTP is for on_http only')
    for _, method in ipairs { 'on_open', 'on_retry' } do
      assert.error_matches(function() served[method](served, print) end, method .. ' is for clients')
    end
    assert.error_matches(function() served:reopen() end, 'reopen is for clients')
    assert.is_nil(served:response())
  end)

  it('answers when it is closed', function()
    local ctx, url = clients.server()
    local ws = clients.open(ctx, url)
    ws:close()
    assert.same({ -1, 'closed' }, { ws:write 'x' })
    assert.same({ -1, 'closed' }, { ws:ping() })
    assert.same({ 'closed' }, { select(2, ws:subscribe 't') })
    assert.same({ -1, '', '' }, { ws:get_socket_fd(), ws:get_peer_addresses() })
    assert.equal(1, ws:rx_flow_control(false))
    assert.same({ 'nil', 'nil' }, { tostring(ws:response()), tostring(ws:protocol()) })
    assert.is_false(ws:reopen())
    for _, method in ipairs { 'on_open', 'on_retry', 'on_closed', 'on_receive' } do
      ws[method](ws, function() error 'called' end)
    end
    ws:close(1000)
    ws:terminate()
  end)

  it('pings, and is told of pongs', function()
    local ctx, url = clients.server()
    local ws, pong = ctx:connect(url), nil
    ws:on_pong(function(_, data, seconds) pong = { data, seconds } end)
    assert.equal(0, ws:ping 'x')
    loop.serve_until(ctx, function() return pong end, 'a pong')
    assert.equal('x', pong[1])
    assert.is_number(pong[2])
  end)

  it('receives in chunks, and as long as flow control lets it', function()
    local served
    local ctx, url = clients.server(nil, function(ws) served = ws end)
    local ws = ctx:connect(url)
    local chunks, is_whole = {}, false
    ws:on_receive_chunk(function(_, data, is_last)
      chunks[#chunks + 1] = data
      is_whole = is_last
    end)
    clients.wait_for_state(ctx, ws, 'open')
    assert.equal(0, ws:rx_flow_control(false))
    served:write(('x'):rep(1e5))
    loop.serve_until(ctx, function() return served:buffered_amount() == 0 end)
    assert.same({}, chunks)
    ws:rx_flow_control(true)
    loop.serve_until(ctx, function() return is_whole end, 'the last chunk')
    assert.equal(1e5, #table.concat(chunks))
  end)

  it('is subscribed to topics, but gets no broadcast', function()
    local ctx, url = clients.server(nil, function(ws) ws:subscribe 'news' end)
    local ws = ctx:connect(url)
    local log, ended = clients.log(ws)
    assert.is_true(ws:subscribe 'news')
    assert.same({ 'news' }, ws:topics())
    assert.same({ 0, 0 }, { ctx:publish('news', 'nobody') })
    clients.wait_for_state(ctx, ws, 'open')
    assert.same({ 0, 2 }, { ctx:publish('news', 'all') }) -- to the server's end, which is this client, too
    local got
    ws:on_receive(function(_, data) got = data end)
    loop.serve_until(ctx, function() return got == 'all' end, 'what the server was published')
    assert.same({ 0, 1 }, { ws:publish('news', 'others') })
    loop.serve_until(ctx, function() return got == 'others' end)
    ctx:broadcast('p', 'broadcast')
    loop.serve_until(ctx, function() return got == 'broadcast' end)
    ws:close()
    assert.same({}, ws:topics())
    assert.is_nil(ctx:topics().clients)
    assert.equal('closed 1005 ', log[#log])
  end)

  it('is listed by context:websockets, and is no accepted connection', function()
    local ctx, url = clients.server { max_connections = 1 }
    local _, raw_url = clients.raw_server(ctx)
    local open, connecting = clients.open(ctx, url), ctx:connect(raw_url)
    local found = {}
    for ws in ctx:websockets { clients = true } do
      found[ws] = true
    end
    assert.same({ [open] = true, [connecting] = true }, found)
    local count = 0
    for ws in ctx:websockets {} do
      assert.is_nil(found[ws])
      count = count + 1
    end
    assert.equal(1, count)
    assert.equal(1, ctx:stats().open_connections)
    for ws in ctx:websockets { clients = true } do
      ws:close()
    end
    for _ in ctx:websockets { clients = true } do
      error 'there is none'
    end
    assert.error_matches(function() ctx:websockets { client = true } end, "did you mean 'clients'")
  end)

  -- --- Failures ---

  it('says why nobody is there', function()
    local ctx = clients.server()
    local port = loop.free_port()
    local log, ended = clients.log(ctx:connect(('ws://user:secret@127.0.0.1:%d/'):format(port)))
    clients.wait_for_end(ctx, ended)
    assert.same({ 'closed 1006 refused' }, log)
    local failure = ended.failure
    assert.same({ 'tcp', '127.0.0.1:' .. port, 'number' }, { failure.phase, failure.address, type(failure.code) })
    assert.equal(failure.message, tostring(failure))
    assert.matches('127%.0%.0%.1', failure.message)
    for _, value in pairs(failure) do
      assert.is_nil(tostring(value):find('secret', 1, true))
    end
  end)

  it('says what a server answers instead', function()
    local ctx, url = clients.server { on_http = function(ws)
      ws:respond(401, { ['X-Why'] = 'because' }, 'who are you?')
    end, on_upgrade = function() return 403, { ['X-Why'] = 'because' }, 'not you' end }
    local log, ended = clients.log(ctx:connect(url))
    clients.wait_for_end(ctx, ended)
    assert.same({ 'closed 1006 http' }, log)
    local failure = ended.failure
    assert.same({ 403, 'because', 'not you', 'http' },
      { failure.status, failure.headers['x-WHY'], failure.body, failure.phase })
  end)

  it('says what breaks the handshake', function()
    local ctx = clients.server()
    local server, url = clients.raw_server(ctx)
    local log, ended = clients.log(ctx:connect(url))
    server:accept()
    server:send 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
    clients.wait_for_end(ctx, ended)
    assert.same({ 'closed 1006 handshake' }, log)
    assert.matches('Sec%-WebSocket%-Accept', ended.failure.message)
  end)

  it('gives up after connect_timeout, and says where', function()
    local ctx = clients.server()
    local _, url = clients.raw_server(ctx)
    local log, ended = clients.log(ctx:connect(url, { connect_timeout = 0.05 }))
    clients.wait_for_end(ctx, ended)
    assert.same({ 'closed 1006 timeout', 'http' }, { log[1], ended.failure.phase })
  end)

  it('tells of a connection that is lost', function()
    local ctx = clients.server()
    local server, url = clients.raw_server(ctx)
    local ws = ctx:connect(url)
    local log, ended = clients.log(ws)
    local key = server:accept():match 'Sec%-WebSocket%-Key: (%S+)'
    assert.is_string(key)
    server.sock:close()
    clients.wait_for_end(ctx, ended)
    assert.same({ 'closed 1006 lost' }, log)
  end)

  it('closes with 1011 when on_open fails', function()
    local errors = {}
    local ctx, url = clients.server { on_error = function(message, ws) errors[#errors + 1] = { message, ws } end }
    local ws = ctx:connect(url)
    local closed
    ws:on_open(function() error 'oops' end)
    ws:on_closed(function(_, code) closed = code end)
    loop.serve_until(ctx, function() return closed end)
    assert.equal(1011, closed)
    assert.matches('oops', errors[1][1])
    assert.equal(ws, errors[1][2])
    loop.serve_until(ctx, function() return ctx:stats().closed[1011] == 1 end, 'the server to be told')
  end)

  -- --- Endings ---

  it('is broken off by close and terminate', function()
    local ctx = clients.server()
    local _, url = clients.raw_server(ctx)
    for _, method in ipairs { 'close', 'terminate' } do
      for _, steps in ipairs { 0, 2 } do
        local ws = ctx:connect(url)
        local log, ended = clients.log(ws)
        for _ = 1, steps do
          loop.step(ctx, 0)
        end
        ws[method](ws)
        assert.same({ 'closed 1006 cancelled' }, log)
        assert.equal('closed', ws:state())
      end
    end
  end)

  it('can be cut short by terminate once it is closed', function()
    local ctx, url = clients.server(nil, echo)
    local ws = ctx:connect(url)
    loop.serve_until(ctx, function() return ws:state() == 'open' end, 'it to open')
    local fd = ws:get_socket_fd()
    ws:close()
    assert.is_number(leaks.descriptors()[fd])
    assert.equal(0, select('#', ws:terminate()))
    assert.is_nil(leaks.descriptors()[fd])
    ws:terminate()
  end)

  it('may be closed in each callback', function()
    local ctx, url = clients.server(nil, echo)
    for _, event in ipairs { 'on_open', 'on_receive', 'on_server_writeable' } do
      local ws = ctx:connect(url)
      local log, ended = clients.log(ws)
      ws[event](ws, function(closing) closing:close(1000) end)
      ws:write 'x'
      clients.wait_for_end(ctx, ended)
      assert.equal('closed 1000 ', log[#log])
    end
  end)

  it('is closed when the context shuts down or is destroyed', function()
    for _, method in ipairs { 'shutdown', 'destroy' } do
      local ctx, url = clients.server()
      local server_ctx = ctx
      local ws = clients.open(ctx, url)
      local _, raw_url = clients.raw_server(ctx)
      local _, ended = clients.log(ws)
      local connecting = clients.log(ctx:connect(raw_url))
      server_ctx[method](server_ctx)
      assert.equal(1001, ended.code)
      assert.same({ 'closed 1006 cancelled' }, connecting)
      loop.serve_until(ctx, function() return loop.is_destroyed(ctx) end, 'the end')
      assert.error_matches(function() ctx:connect(url) end, 'websocket context destroyed')
    end
  end)

  it('ends the server it belongs to when all are gone', function()
    local ctx, url = clients.server(nil, echo)
    local ws = clients.open(ctx, url)
    ws:write 'x'
    ctx:shutdown(1000)
    loop.serve_until(ctx, function() return loop.is_destroyed(ctx) end, 'the end of the shutdown')
  end)

  it('is collected with its context', function()
    local ctx, url = clients.server()
    local got, closed = nil, nil
    local server, server_url = clients.server(nil, function(ws)
      ws:on_receive(function(_, data) got = data end)
      ws:on_closed(function(_, code) closed = code end)
    end)
    assert.is_string(url)
    local weak = setmetatable({}, { __mode = 'k' })
    do
      local other = websockets.context {}
      local ws = other:connect(server_url)
      weak[other], weak[ws] = true, true
      ws:on_closed(function() weak[ws] = nil end)
      loop.serve_until(server, function()
        other:service(0)
        return ws:state() == 'open'
      end, 'an open client')
      ws:write 'the last word'
    end
    leaks.collect()
    assert.is_nil(next(weak))
    loop.serve_until(server, function() return closed end, 'the close')
    assert.same({ 'the last word', 1001 }, { got, closed })
    assert.is_false(loop.is_destroyed(ctx))
  end)

  it('goes on in a forked process, and is closed in the one that has forked it', function()
    local got
    local server, url = clients.server(nil, function(ws)
      ws:on_receive(function(_, data) got = data end)
    end)
    local path, command = script.write(([[
      local websockets = require 'websockets'
      local ctx = websockets.context {}
      local ws = ctx:connect '%s'
      local has_forked = false
      ws:on_closed(function() print(has_forked and 'on_closed' or '') end)
      while ws:state() ~= 'open' do ctx:service(-1) end
      ctx:after(0, function() ws:write 'from the child' end)
      has_forked = ctx:fork_service_loop() == 0
      print(ws:state(), ws:write 'x')
      io.stdout:flush()
      io.read()
    ]]):format(url))
    local output = os.tmpname()
    local program = assert(io.popen(command .. ' >' .. output, 'w'))
    loop.serve_until(server, function() return got end, 'a message of the forked process')
    assert.equal('from the child', got)
    program:close()
    local file = assert(io.open(output))
    assert.equal('closed\t-1\tclosed\n', (file:read '*a':gsub('\n+$', '\n')))
    file:close()
    os.remove(output)
    os.remove(path)
  end)

  it('never keeps service(0) waiting', function()
    local ctx, url = clients.server()
    local _, silent = clients.raw_server(ctx)
    local longest = 0
    local before = socket.gettime()
    local ws = {}
    for i, address in ipairs { url, silent, 'ws://127.0.0.1:' .. loop.free_port() .. '/' } do
      ws[i] = ctx:connect(address)
    end
    longest = math.max(longest, socket.gettime() - before)
    loop.serve_until(ctx, function()
      before = socket.gettime()
      ctx:service(0)
      longest = math.max(longest, socket.gettime() - before)
      return ws[1]:state() == 'open' and ws[3]:state() == 'closed'
    end)
    assert.is_true(longest < 0.5 * loop.time_factor)
    assert.equal('connecting', ws[2]:state())
  end)

  it('needs no word at the end of a program', function()
    assert.equal('connecting\n', script.run [[
      local websockets = require 'websockets'
      server = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function() end } }
      other = websockets.context {}
      ws = other:connect('ws://' .. server:addresses()[1])
      ws:on_closed(function() server, other = nil, nil end)
      print(ws:state())
    ]])
  end)
end)
