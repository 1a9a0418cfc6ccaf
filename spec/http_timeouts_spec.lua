-- SPDX-License-Identifier: MIT
-- How long an HTTP connection may take for what: a request's content, the next request, an answer that was deferred; and
-- what a server does that was not served for a while.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local socket = require 'socket'
local tls = require 'spec.support.tls'

local short_s = 0.2 * loop.time_factor
local long_s = 1000

-- Serves for so long.
local function serve_for(ctx, seconds)
  local end_s = socket.gettime() + seconds
  loop.serve_until(ctx, function() return socket.gettime() >= end_s end, 'some time to pass')
end

local function config_with(more)
  local config = { handshake_timeout = long_s, body_timeout = long_s, keepalive_timeout = long_s,
    answer_timeout = long_s, upgrade_timeout = long_s, send_timeout = long_s }
  for name, value in pairs(more) do
    config[name] = value
  end
  return config
end

local function echo_body(ws)
  ws:respond(200, nil, tostring(#ws:request().body))
end

describe('answer_timeout', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  it('ends a request that was deferred and forgotten', function()
    local c, waiting, ctx = http.open_deferred(config_with { answer_timeout = short_s })
    c:send(http.request '/')
    local ws = http.await(c, waiting)
    assert.equal(0, ctx:stats().refused.timeout)
    local status, headers, body = c:read_response()
    assert.equal(503, status)
    assert.equal('close', headers.connection)
    assert.is_truthy(body:find 'answer')
    assert.equal(1, ctx:stats().refused.timeout)
    local result, why = ws:respond(200, nil, 'too late')
    assert.equal(-1, result)
    assert.equal('closed', why)
    c:expect_end()
  end)

  it('counts from the request, not from the answer before', function()
    local c, waiting, ctx = http.open_deferred(config_with { answer_timeout = short_s })
    for i = 1, 4 do
      c:send(http.request '/')
      local ws = http.await(c, waiting, i)
      serve_for(ctx, short_s / 2)
      assert.equal(0, (ws:respond(200)))
      assert.equal(200, (c:read_response()))
    end
  end)

  it('is for what was deferred only', function()
    local c, ctx = http.open(echo_body, config_with { answer_timeout = short_s / 10 })
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
    serve_for(ctx, short_s)
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
  end)

  it('is for the last of pipelined requests, too', function()
    local c, ctx = http.open(function(ws, uri)
      if uri == '/defer' then return ws:defer() end
      ws:respond(200, nil, uri)
    end, config_with { answer_timeout = short_s })
    c:send(http.request '/a' .. http.request '/defer' .. http.request '/c')
    assert.equal('/a', (select(3, c:read_response())))
    assert.equal(503, (c:read_response()))
    c:expect_end()
  end)
end)

describe('body_timeout', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local head = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n'

  -- Sends so many pieces of a body, with time between them. Returns the status, if there is one before the end.
  local function upload(c, ctx, count, piece, pause_s)
    c:send(head:format(count * #piece))
    for _ = 1, count do
      if not c:send_some(piece) then break end
      serve_for(ctx, pause_s)
      while c:pump() do end
      if c.buffered > 0 then break end
    end
    return (c:read_response())
  end

  for _, timeout in ipairs { 'handshake_timeout', 'keepalive_timeout' } do
    it('lets a body that makes progress take longer than ' .. timeout, function()
      local c, ctx = http.open(echo_body, config_with { [timeout] = short_s, body_timeout = 2 * short_s })
      local piece = ('x'):rep(2000 * math.ceil(loop.time_factor)) -- 20 kB/s
      assert.equal(200, upload(c, ctx, 10, piece, short_s / 2))
      assert.equal(200, upload(c, ctx, 10, piece, short_s / 2)) -- the next one of the connection
    end)
  end

  it('ends an upload that stands still', function()
    local c, ctx = http.open(echo_body, config_with { body_timeout = short_s })
    c:send(head:format(100000) .. ('x'):rep(50000))
    assert.equal(408, (c:read_response()))
    c:expect_end()
    c = client.connect(ctx, select(2, c.sock:getpeername()))
    c:send(head:format(1))
    assert.equal(408, (c:read_response()))
  end)

  it('ends an upload that is slower than 500 bytes a second', function()
    local c, ctx = http.open(echo_body, config_with { body_timeout = 2 * short_s })
    assert.equal(408, upload(c, ctx, 100, 'x', short_s / 4))
  end)

  it('ends one of chunks, too', function()
    local c = http.open(echo_body, config_with { body_timeout = short_s })
    c:send 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n'
    assert.equal(408, (c:read_response()))
  end)

  it('counts from the head, also where that has to be answered first', function()
    local c = http.open(echo_body, config_with { body_timeout = short_s })
    c:send 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n'
    assert.equal(100, (c:read_head()))
    assert.equal(408, (c:read_response()))
  end)
end)

describe('keepalive_timeout', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  it('closes a connection on which no further request begins', function()
    local c = http.open(echo_body, config_with { keepalive_timeout = short_s })
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
    c:expect_end()
    assert.equal(0, c.buffered)
  end)

  it('is not for the first request, and may be longer than handshake_timeout', function()
    local c, ctx, port = http.open(echo_body, config_with { handshake_timeout = short_s })
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
    serve_for(ctx, 2 * short_s)
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
    client.connect(ctx, port):expect_loss()
  end)

  it('ends where a request begins, which has handshake_timeout', function()
    local c, ctx = http.open(echo_body, config_with { handshake_timeout = short_s })
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
    serve_for(ctx, 2 * short_s)
    c:send 'GET / HT'
    assert.equal(408, (c:read_response()))
    c:expect_end()
  end)

  it('is 75 seconds, above what load balancers have', function()
    local c, ctx = http.open(echo_body, { handshake_timeout = short_s })
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
    serve_for(ctx, 3 * short_s)
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
  end)
end)

describe('a server that was not served', function()
  require('spec.support.leaks').check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- More than a second late.
  local function stand_still() socket.sleep(short_s + 1.2) end

  it('asks websockets before it takes them for idle', function()
    local closed
    local c, ws, ctx = pair.open({ idle_timeout = short_s, ping_interval = short_s / 4 }, function(ws)
      ws:on_closed(function(_, code) closed = code end)
    end)
    for _ = 1, 2 do
      stand_still()
      c:expect_frame(client.PING, '')
      c:send_frame(client.PONG)
      c:expect_nothing()
      assert.is_nil(closed)
    end
    ws:write 'still there'
    repeat
      local frame = c:receive_frame()
      if frame.opcode == client.PING then c:send_frame(client.PONG) end
    until frame.payload == 'still there'
    loop.serve_until(ctx, function() return closed end, 'the end of one that does not answer')
    assert.equal(1001, closed)
  end)

  it('lets requests come that could not be read', function()
    local c, ctx, port = http.open(echo_body, config_with { handshake_timeout = short_s, keepalive_timeout = short_s })
    loop.step(ctx)
    stand_still()
    loop.step(ctx)
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
    stand_still()
    loop.step(ctx)
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
    -- Once.
    c = client.connect(ctx, port)
    loop.step(ctx)
    stand_still()
    loop.step(ctx)
    c:expect_loss()
  end)

  it('lets TLS handshakes end', function()
    local ctx, port = pair.context(tls.config(config_with { handshake_timeout = short_s }))
    local plain = client.connect(ctx, port)
    loop.step(ctx)
    stand_still()
    loop.step(ctx)
    local c = client.adopt(ctx, assert(tls.wrap(ctx, plain.sock, {})))
    c:send(client.request { protocol = 'p' })
    assert.equal(101, (c:read_head()))
  end)
end)
