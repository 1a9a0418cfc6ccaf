-- SPDX-License-Identifier: MIT
-- Large compressed messages are decompressed in turns: who else is served meanwhile, and when.
local client = require 'spec.support.client'
local deflate = require 'spec.support.deflate'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'

local megabyte = 2 ^ 20

describe('a large compressed message', function()
  require('spec.support.leaks').check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- A context whose websockets hand their messages to `on_receive`, its port, what its clients offer, and the
  -- websockets in the order in which they opened.
  local function open_context(on_receive, config)
    local websockets = {}
    config = config or {}
    config.compression = { level = 0 }
    local ctx, port = pair.context(config, function(ws)
      websockets[#websockets + 1] = ws
      ws:on_receive(on_receive)
    end)
    local offer = { protocol = 'p', tls = config.ssl_cert_path and {} or nil,
      headers = { ['Sec-WebSocket-Extensions'] = 'permessage-deflate' } }
    return ctx, port, offer, websockets
  end

  local function open_all(count, ctx, port, offer)
    local clients = {}
    for i = 1, count do
      clients[i] = client.open(ctx, port, offer)
    end
    return clients
  end

  local function send_all(clients, payload)
    for _, each in ipairs(clients) do
      each:send_frame(client.BINARY, payload, { rsv = 4 })
    end
  end

  local function reset_all(clients)
    for _, each in ipairs(clients) do
      each:reset()
    end
  end

  it('leaves the others their turn', function()
    local taken, others = 0, 0
    local ctx, port, offer = open_context(function(_, data)
      if #data == 1 then
        others = others + 1
      else
        taken = taken + #data
      end
    end)
    local clients, other = open_all(5, ctx, port, offer), client.open(ctx, port, 'p')
    local payload, bytes = deflate.bomb(8 * megabyte)
    send_all(clients, payload)
    for i = 1, 3 do
      other:text '1'
      loop.serve_until(ctx, function() return others == i end)
      assert.equal(0, taken)
    end
    loop.serve_until(ctx, function() return taken == 5 * bytes end)
    reset_all(clients)
  end)

  it('does not keep what its client is sent', function()
    local done = 0
    local ctx, port, offer, websockets = open_context(function() done = done + 1 end,
      { max_backpressure = 32 * megabyte })
    local clients = open_all(4, ctx, port, offer)
    send_all(clients, deflate.bomb(15 * megabyte))
    for _ = 1, 20 do
      loop.step(ctx)
    end
    assert.equal(0, websockets[4]:write(('x'):rep(6 * megabyte)))
    local read = 0
    clients[4].sock:settimeout(0)
    loop.serve_until(ctx, function()
      local bytes, _, part = clients[4].sock:receive(megabyte)
      read = read + #(bytes or part)
      return read > 6 * megabyte
    end)
    assert.is_true(done < 2, ('%d messages first'):format(done))
    reset_all(clients)
  end)

  -- OpenSSL has taken many from the kernel already.
  it('is behind one of another client if there was one before, also over TLS', function()
    local order = {}
    local payload, bytes = deflate.bomb(100000)
    local ctx, port, offer = open_context(function(_, data)
      order[#order + 1] = #data == bytes and 'flood' or 'other'
    end, tls.config())
    local clients = open_all(2, ctx, port, offer)
    for _ = 1, 100 do
      send_all({ clients[1] }, payload)
    end
    send_all({ clients[2] }, (deflate.bomb(200000)))
    loop.serve_until(ctx, function() return order[#order] == 'other' end)
    assert.is_true(#order < 10, ('%d messages of a flood first'):format(#order - 1))
    loop.serve_until(ctx, function() return #order == 101 end)
    reset_all(clients)
  end)

  it('goes on where its client was not to be read meanwhile', function()
    local taken = 0
    local ctx, port, offer, websockets
    ctx, port, offer, websockets = open_context(function(_, data)
      if #data == 1 then
        websockets[1]:rx_flow_control(false)
      else
        taken = taken + #data
      end
    end)
    local clients, other = open_all(1, ctx, port, offer), client.open(ctx, port, 'p')
    local payload, bytes = deflate.bomb(8 * megabyte)
    send_all(clients, payload)
    clients[1]:text 'behind'
    for _ = 1, 10 do
      loop.step(ctx) -- it has begun
    end
    other:text '1'
    for _ = 1, 300 do
      loop.step(ctx)
    end
    assert.equal(0, taken)
    websockets[1]:rx_flow_control(true)
    loop.serve_until(ctx, function() return taken == bytes + #'behind' end)
    reset_all(clients)
  end)
end)
