-- SPDX-License-Identifier: MIT
-- Broadcasts to websockets that agreed on permessage-deflate, and to others.
local client = require 'spec.support.client'
local deflate = require 'spec.support.deflate'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

describe('compressed broadcast', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local text = ('All of them get the same. '):rep(20)

  -- A context, and a client for each of the offers (false: none), which decompresses what it receives.
  local function open(compression, offers)
    local sockets = {}
    local ctx, port = pair.context({ compression = compression }, function(ws) sockets[#sockets + 1] = ws end)
    local clients = {}
    for i, offer in ipairs(offers) do
      local c = client.open(ctx, port, { protocol = 'p', headers = { ['Sec-WebSocket-Extensions'] = offer } })
      local inflate = deflate.inflater(true)
      clients[i] = { connection = c, receive = function()
        local frame = assert(c:receive_frame())
        if frame.rsv == 0 then return frame.payload, #frame.payload, false end
        assert.equal(4, frame.rsv)
        return inflate(frame.payload), #frame.payload, true, frame.opcode
      end }
    end
    return ctx, clients, sockets
  end

  it('reaches those that compress, each with its window, and those that do not', function()
    local ctx, clients = open({ context_takeover = true }, { 'permessage-deflate', false,
      'permessage-deflate; server_no_context_takeover', 'permessage-deflate; server_max_window_bits=9' })
    ctx:broadcast('p', text)
    for i, c in ipairs(clients) do
      local received, size, is_compressed = c.receive()
      assert.equal(text, received)
      assert.equal(i ~= 2, is_compressed)
      assert.is_true(i == 2 or size < 70)
    end
  end)

  it('is text or binary for each', function()
    local ctx, clients, sockets = open(true, { 'permessage-deflate', 'permessage-deflate' })
    sockets[1]:on_broadcast(websockets.WRITE_BINARY)
    ctx:broadcast('p', text)
    local first, _, _, first_kind = clients[1].receive()
    local second, _, _, second_kind = clients[2].receive()
    assert.same({ text, client.BINARY, text, client.TEXT }, { first, first_kind, second, second_kind })
  end)

  it('is sent as it is when it is short', function()
    local ctx, clients = open({ min_size = 100 }, { 'permessage-deflate', 'permessage-deflate' })
    ctx:broadcast('p', ('x'):rep(99))
    for _, c in ipairs(clients) do
      local received, _, is_compressed = c.receive()
      assert.equal(('x'):rep(99), received)
      assert.is_false(is_compressed)
    end
  end)

  it('is known to what a websocket is sent afterwards', function()
    local ctx, clients, sockets = open({ context_takeover = true, min_size = 1 }, { 'permessage-deflate' })
    local own = 'What only one of them gets, and is different enough. '
    sockets[1]:write(own)
    ctx:broadcast('p', text)
    sockets[1]:write(text .. own)
    assert.equal(own, clients[1].receive())
    assert.equal(text, clients[1].receive())
    local received, size = clients[1].receive()
    assert.equal(text .. own, received)
    assert.is_true(size < 25) -- it refers to both
  end)

  it('comes in any order with what they are sent alone', function()
    local ctx, clients, sockets = open({ context_takeover = true, min_size = 1, memory = '4KB' },
      { 'permessage-deflate', 'permessage-deflate; server_no_context_takeover', false })
    local seed, sent = 1, { {}, {}, {} }
    local function random(below)
      seed = (seed * 16807) % 2147483647
      return seed % below
    end
    local function words()
      local list = {}
      for i = 1, random(200) do
        list[i] = 'word' .. random(50)
      end
      return table.concat(list, ' ')
    end
    for _ = 1, 60 do
      local data, to = words(), random(6)
      if to < 3 then
        sockets[to + 1]:write(data)
        sent[to + 1][#sent[to + 1] + 1] = data
      else
        ctx:broadcast('p', data)
        for _, list in ipairs(sent) do
          list[#list + 1] = data
        end
      end
    end
    for i, c in ipairs(clients) do
      for _, data in ipairs(sent[i]) do
        assert.equal(data, c.receive())
      end
    end
  end)

  it('waits for the end of a message in fragments', function()
    local ctx, clients, sockets = open({ context_takeover = true, min_size = 1 }, { 'permessage-deflate' })
    sockets[1]:write(text)
    sockets[1]:write('one ', websockets.WRITE_TEXT + websockets.WRITE_NO_FIN)
    ctx:broadcast('p', text .. 'b')
    sockets[1]:write('two', websockets.WRITE_CONTINUATION)
    sockets[1]:write(text .. 'b')
    local received = {}
    for i = 1, 5 do
      received[i] = clients[1].receive()
    end
    assert.same({ text, 'one ', 'two', text .. 'b', text .. 'b' }, received)
  end)

  it('goes on after one was left out', function()
    local sockets = {}
    local ctx, port = pair.context({ compression = { context_takeover = true, min_size = 1 }, max_backpressure = 40,
      backpressure_policy = 'drop' }, function(ws) sockets[#sockets + 1] = ws end)
    local c = client.open(ctx, port, { protocol = 'p', headers = { ['Sec-WebSocket-Extensions'] =
      'permessage-deflate' } })
    local inflate = deflate.inflater(true)
    for i = 1, 50 do
      ctx:broadcast('p', text .. i)
      sockets[1]:write('mark ' .. i)
      repeat
        local frame = assert(c:receive_frame())
        local data = frame.rsv == 4 and inflate(frame.payload) or frame.payload
        assert.is_true(data == text .. i or data == 'mark ' .. i)
      until data == 'mark ' .. i
    end
  end)
end)
