-- SPDX-License-Identifier: MIT
-- The pings that a peer gets which has fallen silent.
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

local short_s = 0.02

describe('ping_interval', function()
  require('spec.support.leaks').check_each(before_each, after_each)
  teardown(tls.remove_folders)

  local secure = { protocol = 'p', tls = {} }

  it('of silence makes the server ping, again and again', function()
    local c, ws = pair.open { ping_interval = short_s, idle_timeout = 0 }
    for _ = 1, 3 do
      c:expect_frame(client.PING, '')
    end
    c:expect_nothing()
    ws:write 'still open'
    repeat
      local frame = c:receive_frame()
    until frame.payload == 'still open'
  end)

  it('holds over TLS', function()
    local c = pair.open(tls.config { ping_interval = short_s, idle_timeout = 0 }, nil, secure)
    for _ = 1, 3 do
      c:expect_frame(client.PING, '')
    end
  end)

  -- Longer than it would live without. Where the machine itself was silent for long, once more with more time.
  local function outlives_three(config, options)
    config.ping_interval = config.ping_interval or config.idle_timeout / 4
    local closed = {}
    local ctx, port = pair.context(config, function(ws)
      local is_answering = false
      ws:on_receive(function() is_answering = true end)
      ws:on_closed(function() closed[is_answering and 'answering' or 'silent'] = true end)
    end)
    local c = client.open(ctx, port, options)
    c:text 'answering'
    local longest_s = 0
    for _ = 1, 3 do
      closed.silent = nil
      client.open(ctx, port, options)
      longest_s = math.max(longest_s, loop.serve_until(ctx, function()
        while not closed.answering and c:pump() do
          c:expect_frame(client.PING, '')
          c:send_frame(client.PONG)
        end
        return closed.silent
      end, 'the end of a client that does not answer'))
    end
    if closed.answering and longest_s > config.idle_timeout / 4 then
      config.idle_timeout = 2 * config.idle_timeout
      return outlives_three(config, options)
    end
    assert.is_nil(closed.answering)
  end

  it('keeps a peer that answers from being idle', function() outlives_three({ idle_timeout = 0.2 }, 'p') end)

  it('asks in time where it is not shorter than half of idle_timeout', function()
    outlives_three({ idle_timeout = 0.2, ping_interval = 50 }, 'p')
    outlives_three({ idle_timeout = 0.2, ping_interval = 0.2 }, 'p')
  end)

  it('keeps a peer that answers over TLS from being idle',
    function() outlives_three(tls.config { idle_timeout = 0.2 }, secure) end)

  it('lets pings come between the fragments of a message', function()
    local c, ws = pair.open { ping_interval = short_s, idle_timeout = 0 }
    ws:write('a', websockets.WRITE_TEXT + websockets.WRITE_NO_FIN)
    c:expect_frame(client.TEXT, 'a', false)
    c:expect_frame(client.PING, '')
    ws:write('b', websockets.WRITE_CONTINUATION)
    repeat
      local frame = c:receive_frame()
    until frame.opcode == client.CONTINUATION
  end)

  it('of 0 is off', function()
    local c = pair.open { ping_interval = 0, idle_timeout = short_s }
    c:expect_close(1001)
  end)

  it('that is not shorter than idle_timeout lets a ping come first', function()
    local c = pair.open { ping_interval = 2 * short_s, idle_timeout = short_s }
    c:expect_frame(client.PING, '')
    local frame
    repeat -- it may be asked once more before its time is over
      frame = c:receive_frame()
    until frame.opcode ~= client.PING
    assert.equal(client.CLOSE, frame.opcode)
    assert.equal('\3\233', frame.payload:sub(1, 2)) -- 1001
  end)

  it('ends with the closing handshake', function()
    local c, ws = pair.open { ping_interval = short_s, close_timeout = 5 * short_s }
    ws:close(1000)
    local frame
    repeat
      frame = c:receive_frame()
    until frame.opcode ~= client.PING
    assert.equal(client.CLOSE, frame.opcode)
    c:expect_end() -- at close_timeout
  end)

  it('is 50 seconds unless told', function()
    local _, _, ctx = pair.open { idle_timeout = 0, ping_interval = false }
    local seconds = ctx:timeout() -- a loop may be woken earlier, but not later
    assert.is_true(seconds > 0 and seconds <= 50, seconds)
    local _, _, silent = pair.open { idle_timeout = 0, ping_interval = 0 }
    assert.is_nil(silent:timeout())
  end)
end)
