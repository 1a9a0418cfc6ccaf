-- SPDX-License-Identifier: MIT
-- Requests that come a byte at a time, or with heads without end. Time counts from the beginning: further bytes do not
-- buy more of it, and those of a body only when they are many.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local socket = require 'socket'
local tls = require 'spec.support.tls'

local short_s = 0.2 * loop.time_factor -- in which those who behave have to be served
local attacks = loop.time_factor > 1 and 1 or 3

describe('a request that comes a byte at a time', function()
  require('spec.support.leaks').check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- Sends the bytes, then `byte` without end, each by itself, until the server has had enough.
  local function trickle(ctx, c, bytes, byte, pause_s)
    local position = 0
    loop.serve_until(ctx, function()
      position = position + 1
      socket.sleep(position <= #bytes and 0.001 or pause_s or 0.001)
      c:send_some(position <= #bytes and bytes:sub(position, position) or byte)
      while c:pump() do end
      return c.ended or c.buffered > 0
    end, 'the server to have had enough')
  end

  -- The server has time for others meanwhile.
  local function expect_attack_to_fail(config, attack, status)
    config.handshake_timeout = short_s
    config.body_timeout = short_s
    config.max_header_size = 1e9
    local ctx, port = pair.context(config, function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end)
    local options = { protocol = 'p', tls = config.ssl_cert_path and {} or nil }
    local other = client.open(ctx, port, options)
    for _ = 1, attacks do
      local c = client.connect(ctx, port)
      attack(ctx, c)
      other:text 'are you there?'
      other:expect_text 'are you there?'
      if status then
        assert.equal(status, (c:read_response()))
      else
        c:expect_loss()
      end
    end
  end

  it('gets 408 for its head', function()
    expect_attack_to_fail({}, function(ctx, c) trickle(ctx, c, 'GET / HTTP/1.1\r\nHost: x\r\nX: ', 'x') end, 408)
    expect_attack_to_fail({}, function(ctx, c) trickle(ctx, c, 'GET /', 'x') end, 408)
  end)

  it('gets 408 for its body', function()
    local head = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n'
    expect_attack_to_fail({}, function(ctx, c) trickle(ctx, c, head, 'x', 0.01) end, 408)
    head = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n'
    expect_attack_to_fail({}, function(ctx, c) trickle(ctx, c, head, 'x', 0.01) end, 408)
  end)

  it('is no different as the next one of a connection', function()
    expect_attack_to_fail({}, function(ctx, c)
      c:send(http.request '/')
      assert.equal(404, (c:read_response()))
      trickle(ctx, c, 'GET / HTTP/1.1\r\nX: ', 'x')
    end, 408)
  end)

  it('is dropped in its TLS handshake', function()
    expect_attack_to_fail(tls.config(), function(ctx, c) trickle(ctx, c, '\22\3\1\64\0\1\0\63\252\3\3', '\0') end)
  end)

  it('is dropped for empty lines, which are not the beginning of a request', function()
    local ctx, port = pair.context { handshake_timeout = short_s }
    local c = client.connect(ctx, port)
    c:send '\r\n\r\n'
    c:expect_loss()
  end)
end)

describe('max_headers', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local function request_with(count)
    return 'GET /alive HTTP/1.1\r\nHost: localhost\r\n' .. ('X: y\r\n'):rep(count - 1) .. '\r\n'
  end

  it('refuses more headers with 431', function()
    local ctx, port = http.word_server { max_headers = 5 }
    http.expect_refusal(ctx, port, request_with(6), 431)
    http.expect_refusal(ctx, port, request_with(500), 431)
    local c = client.connect(ctx, port)
    c:send(request_with(5))
    http.expect_word(c, 'alive')
    c:send_split(request_with(5), 3)
    http.expect_word(c, 'alive')
  end)

  it('refuses them before they have all come', function()
    local ctx, port = http.word_server { max_headers = 5 }
    local c = client.connect(ctx, port)
    c:send(request_with(6):sub(1, -3))
    assert.equal(431, (c:read_response()))
  end)

  it('is 100 unless told', function()
    local ctx, port = http.word_server()
    local c = client.connect(ctx, port)
    c:send(request_with(100))
    http.expect_word(c, 'alive')
    http.expect_refusal(ctx, port, request_with(101), 431)
  end)
end)
