-- SPDX-License-Identifier: MIT
-- What a client may do with compression, and what it costs.
local client = require 'spec.support.client'
local deflate = require 'spec.support.deflate'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'

describe('compression limits', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local megabyte = 2 ^ 20
  local too_big = 'the message is larger than the limit'

  local function open(config, setup)
    config.compression = config.compression or true
    return pair.open(config, setup, { headers = { ['Sec-WebSocket-Extensions'] = 'permessage-deflate' } })
  end

  local function send(c, payload, options)
    options = options or {}
    options.rsv = 4
    c:send_frame(client.BINARY, payload, options)
  end

  -- What this process has in memory at most since it was asked last, in bytes; nil where the system does not say.
  local function peak_bytes()
    local file = io.open '/proc/self/status'
    local peak = file and file:read('*a'):match 'VmHWM:%s*(%d+) kB'
    if file then file:close() end
    local reset = io.open('/proc/self/clear_refs', 'w')
    if reset then
      reset:write '5'
      reset:close()
    end
    return peak and reset and peak * 1024
  end

  it('take a message of max_message_size, and not a byte more', function()
    for _, takeover in ipairs { false, true } do
      local count = 0
      local c, _, ctx = open({ compression = { context_takeover = takeover }, max_message_size = 1000 }, function(ws)
        ws:on_receive(function(_, data) count = count + #data end)
      end)
      send(c, deflate.stored(('x'):rep(1000)))
      loop.serve_until(ctx, function() return count == 1000 end)
      send(c, deflate.stored(('x'):rep(1001)))
      c:expect_close(1009, too_big)
      assert.equal(1000, count)
      c:close()
    end
  end)

  it('stop a bomb', function()
    local bomb, count = deflate.bomb(256 * megabyte)
    assert.is_true(#bomb < 2 * megabyte and count >= 256 * megabyte)
    local received = 0
    local function setup(ws)
      ws:on_receive(function(_, data) received = received + #data end)
    end
    for _, takeover in ipairs { false, true } do
      local c = open({ compression = { context_takeover = takeover }, max_message_size = 2 * megabyte }, setup)
      collectgarbage()
      peak_bytes()
      local before = peak_bytes()
      send(c, bomb)
      c:expect_close(1009, too_big)
      local after = peak_bytes()
      if before then assert.is_true(after - before < 24 * megabyte, ('%d bytes more'):format(after - before)) end
      c:close()
    end
    assert.equal(0, received)
  end)

  it('stop a bomb in fragments, at the last of them', function()
    local bomb = deflate.bomb(4 * megabyte)
    local c = open { max_message_size = megabyte }
    send(c, bomb:sub(1, 1000), { fin = false })
    c:send_frame(client.CONTINUATION, bomb:sub(1001, 2000), { fin = false })
    c:expect_nothing()
    c:send_frame(client.CONTINUATION, bomb:sub(2001))
    c:expect_close(1009, too_big)
  end)

  it('stop a bomb in chunks, as it arrives', function()
    local bomb = deflate.bomb(4 * megabyte)
    local received = 0
    local c = open({ max_message_size = megabyte }, function(ws)
      ws:on_receive_chunk(function(_, data) received = received + #data end)
    end)
    send(c, bomb:sub(1, math.floor(#bomb / 2)), { fin = false })
    c:expect_close(1009, too_big)
    assert.is_true(received <= megabyte)
  end)

  it('count what is compressed, too', function()
    local c = open { max_message_size = 1000 }
    send(c, ('x'):rep(1126)) -- a sixteenth and 64 bytes more: what does not become smaller becomes larger
    c:expect_close(1007)
    c:close()
    c = open { max_message_size = 1000 }
    send(c, '', { length = 1127 })
    c:expect_close(1009, too_big)
    c:close()
    c = open { max_message_size = 1000 }
    send(c, ('x'):rep(600), { fin = false })
    c:send_frame(client.CONTINUATION, '', { length = 600 })
    c:expect_close(1009, too_big)
  end)

  it('stop what yields nothing', function()
    local empty_blocks = ('\0\0\0\255\255'):rep(30000)
    for _, in_chunks in ipairs { false, true } do
      local c = open({}, function(ws)
        if in_chunks then ws:on_receive_chunk(function() end) end
      end)
      send(c, empty_blocks:sub(1, 60000) .. '\0')
      c:expect_nothing()
      send(c, empty_blocks .. '\0')
      c:expect_close(1008, 'a compressed message is much larger than what it becomes')
      c:close()
    end
  end)

  it('hold for each message anew', function()
    local count = 0
    local function setup(ws)
      ws:on_receive_chunk(function(_, _, is_last) count = count + (is_last and 1 or 0) end)
    end
    local c, _, ctx = open({ max_message_size = 3000 }, setup)
    local payload = deflate.bomb(2000)
    for _ = 1, 20 do
      send(c, payload)
    end
    loop.serve_until(ctx, function() return count == 20 end)
    c:finish(1000)
  end)
end)
