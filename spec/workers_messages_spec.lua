-- SPDX-License-Identifier: MIT
-- What workers send to each other's clients, and the numbers of all of them.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local remote = require 'spec.support.remote'
local workers = require 'spec.support.workers'

local COUNT = 3

-- A server, a client of each of its workers.
local function start(more, options)
  local server = workers.start(([[
    local function config() return %s end
    finish(context(config()):run { workers = %d, shutdown = 1 })
  ]]):format(more or '{}', COUNT))
  return server, server:open_each(COUNT, options)
end

local function finish(server, clients)
  for _, c in ipairs(clients) do c:close() end
  server:signal 'TERM'
  server:wait_for '^run returned'
  assert.same('', server:output())
end

describe('messages of workers', function()
  leaks.check_each(before_each, after_each)
  after_each(workers.close_all)

  it('reach the websockets of all, once, and those of one sender in order', function()
    local server, clients = start()
    for from, c in ipairs(clients) do
      c:text(('for i = 1, 100 do ctx:broadcast("p", "%d b" .. i) ctx:publish("all", "%d p" .. i) end return "sent"')
        :format(from, from))
    end
    for _, c in ipairs(clients) do
      local next_of = {}
      for _ = 1, COUNT * 200 + 1 do
        local text = c:expect_text()
        local from, kind, number = text:match '^(%d) ([bp])(%d+)$'
        if from then
          local place = next_of[from] or 1
          assert.equal(kind == 'b' and place or place, 2 * tonumber(number) - (kind == 'b' and 1 or 0), text)
          next_of[from] = place + 1
        else
          assert.equal('sent', text)
        end
      end
      for from = 1, COUNT do assert.equal(201, next_of[tostring(from)]) end
      c:text 'return "nothing more"'
      c:expect_text 'nothing more'
    end
    finish(server, clients)
  end)

  it('are not sent back to the websocket that has published them', function()
    local server, clients = start()
    clients[1]:text 'return ws:publish("all", "x")'
    clients[1]:expect_text '0 0'
    for id = 2, COUNT do clients[id]:expect_text 'x' end
    clients[1]:text 'return "nothing"'
    clients[1]:expect_text 'nothing'
    finish(server, clients)
  end)

  it('are counted where they are sent', function()
    local server, clients = start()
    local second
    repeat
      if second then second:finish(1000) end
      local c, id = server:open()
      second = c
    until id == 1
    clients[1]:text 'return ctx:publish("all", "x")'
    clients[1]:expect_text 'x'
    clients[1]:expect_text '0 2'
    second:expect_text 'x'
    second:close()
    finish(server, clients)
  end)

  it('reach on_broadcast, by ws:broadcast, too', function()
    local server, clients = start()
    for id, c in ipairs(clients) do
      c:text(('ws:on_broadcast(function(ws, data) ws:write("%d got " .. data) end) return "ok"'):format(id))
      c:expect_text 'ok'
    end
    clients[2]:text 'ws:broadcast "x"'
    for id, c in ipairs(clients) do c:expect_text(id .. ' got x') end
    finish(server, clients)
  end)

  it('may be binary, large, and compressed', function()
    local server, clients = start '{ compression = { level = 1 }, max_message_size = 2 ^ 20 }'
    clients[1]:text [[
      local data = ('0123456789abcdef'):rep(2 ^ 16)
      assert(ctx:publish('all', data, websockets.WRITE_BINARY) == 0)
      local status, why = ctx:publish('all', data .. data)
      ws:write(status .. ' ' .. why)
      return ctx:broadcast('p', data .. data)
    ]]
    for _, c in ipairs(clients) do
      assert.equal(('0123456789abcdef'):rep(2 ^ 16), c:expect_frame(client.BINARY))
    end
    clients[1]:expect_text '-1 too large'
    clients[1]:expect_text '-1 too large'
    finish(server, clients)
  end)

  it('are not lost by a worker that has begun in the place of another one', function()
    local server, clients, pids = start()
    remote.signal(pids[2], 'KILL')
    clients[2]:read_all()
    clients[2]:close()
    repeat
      local c, id = server:open()
      clients[2] = c
    until id == 2 or c:close()
    for from, c in ipairs(clients) do
      c:text(('ctx:publish("all", "from %d")'):format(from))
      for _, receiver in ipairs(clients) do receiver:expect_text('from ' .. from) end
    end
    finish(server, clients)
  end)
end)

describe('numbers of workers', function()
  leaks.check_each(before_each, after_each)
  after_each(workers.close_all)

  it('are sums, and those of each', function()
    local server, clients, pids = start()
    -- Numbers of others are a second old at most.
    local texts = server:wait_until(function()
      return workers.call(clients[1], [[
        local stats = ctx:stats()
        local texts = { stats.open_connections, stats.protocols.p.open, #stats.workers }
        for _, of in ipairs(stats.workers) do texts[#texts + 1] = of.pid .. ' ' .. of.open_connections end
        return table.concat(texts, ' ')
      ]])
    end, ('^%d %d %d '):format(COUNT, COUNT, COUNT))
    for _, pid in ipairs(pids) do assert.is_truthy(texts:find(pid .. ' 1', 1, true), texts) end
    local metrics = workers.call(clients[2], 'return ctx:metrics()')
    assert.is_truthy(metrics:find('\nlua_websockets_open_connections ' .. COUNT .. '\n', 1, true), metrics)
    for id = 1, COUNT do
      assert.is_truthy(metrics:find(('\nlua_websockets_worker_open_connections{worker="%d"} 1\n'):format(id), 1, true))
    end
    finish(server, clients)
  end)

  it('do not go back when a worker ends', function()
    local server, clients, pids = start()
    local total = 'return ctx:stats().messages_received'
    for _ = 1, 10 do workers.call(clients[2], 'return 1') end
    server:wait_until(function() return workers.call(clients[1], 'return ctx:stats().workers[2].messages_received') end, '^10$')
    local before = tonumber(workers.call(clients[1], total))
    remote.signal(pids[2], 'KILL')
    clients[2]:read_all()
    clients[2]:close()
    assert.is_true(tonumber(workers.call(clients[1], total)) > before)
    assert.equal('10', workers.call(clients[1], 'return ctx:stats().workers[2].messages_received'))
    table.remove(clients, 2)
    finish(server, clients)
  end)

  it('are known to the supervisor', function()
    local server = workers.start [[
      local ctx = context()
      finish(ctx:run { workers = 2, on_worker_exit = function(id)
        local stats = ctx:stats()
        note('stats', stats.messages_received >= 3, #stats.workers, stats.workers[id].pid, stats.workers[id].open_connections)
        note('metrics', #ctx:metrics() > 1000)
      end })
    ]]
    local clients = server:open_each(2)
    for _ = 1, 3 do workers.call(clients[1], 'return 1') end
    server:wait_until(function() return workers.call(clients[2], 'return ctx:stats().workers[1].messages_received') end, '^3$')
    clients[1]:text 'os.exit(1)'
    server:wait_for '^stats true 2 nil 0$'
    server:wait_for '^metrics true$'
    for _, c in ipairs(clients) do c:close() end
  end)
end)
