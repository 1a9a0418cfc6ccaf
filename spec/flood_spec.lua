-- SPDX-License-Identifier: MIT
-- Frames that cost their sender next to nothing, as many as the connection takes.
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'

local is_slow = loop.time_factor > 1
local megabyte = 1024 * 1024
local flood_bytes = (is_slow and 0.25 or 1) * megabyte

describe('a flood', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local empty, open_fragment = client.frame(client.TEXT, ''), client.frame(client.TEXT, 'x', { fin = false })
  local floods = {
    ['of pings'] = client.frame(client.PING, ''),
    ['of long pings'] = client.frame(client.PING, ('x'):rep(125)),
    ['of pongs'] = client.frame(client.PONG, ''),
    ['of empty messages'] = empty,
    ['of empty binary messages'] = client.frame(client.BINARY, ''),
    ['of messages in empty fragments'] = open_fragment ..
      client.frame(client.CONTINUATION, '', { fin = false }):rep(100) .. client.frame(client.CONTINUATION, ''),
    ['of pings between fragments'] = open_fragment .. client.frame(client.PING, 'x'):rep(100) ..
      client.frame(client.CONTINUATION, 'x'),
  }

  -- A server that echoes what is not empty. The attacker, its websocket, another client, the context.
  local function open(config)
    local attacker, ws, ctx, port = pair.open(config, function(ws)
      ws:on_receive(function(_, data)
        if #data > 2 then ws:write(data) end
      end)
    end)
    return attacker, ws, client.open(ctx, port, 'p'), ctx
  end

  for name, frames in pairs(floods) do
    it(name .. ' does not keep others from being served, and does no harm', function()
      local attacker, _, other = open()
      local bytes = frames:rep(math.ceil(flood_bytes / #frames))
      local position, exchanged = 1, 0
      while position <= #bytes do
        position = position + assert(attacker:send_some(bytes, position))
        other:text 'are you there?'
        other:expect_text 'are you there?'
        exchanged = exchanged + 1
        while attacker:pump() do end
      end
      assert.is_true(exchanged >= 1)
      attacker:text 'that was all'
      local frame
      repeat
        frame = attacker:receive_frame()
      until frame.opcode ~= client.PONG
      assert.equal('that was all', frame.payload)
    end)
  end

  it('of pings whose answers are not read is answered as long as there is room', function()
    local limit = 64 * 1024
    local attacker, ws, other, ctx = open { max_backpressure = limit }
    ctx:batch(function() ws:write(('x'):rep(is_slow and 6e6 or 16e6)) end) -- more than the kernel takes
    local before = ws:buffered_amount()
    assert.is_true(before > limit)
    local bytes = client.frame(client.PING, ('x'):rep(125)):rep(8000)
    local position = 1
    while position <= #bytes do
      position = position + assert(attacker:send_some(bytes, position))
      other:text 'are you there?'
      other:expect_text 'are you there?'
      assert.is_true(ws:buffered_amount() <= before)
    end
  end)
end)
