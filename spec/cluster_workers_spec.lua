-- SPDX-License-Identifier: MIT
-- Workers in a cluster: each of them has its own connection to Redis.
local leaks = require 'spec.support.leaks'
local machines = require 'spec.support.machines'
local redis = require 'spec.support.redis'
local workers = require 'spec.support.workers'

local COUNT = 3

describe('workers in a cluster', function()
  leaks.check_each(before_each, after_each)
  local server
  setup(function() server = redis.start() end)
  teardown(redis.close_all)
  after_each(workers.close_all)

  local function start()
    local started = workers.start(([[
      finish(context {
        cluster = %q,
        on_cluster = function(state) note('cluster', state) end,
      }:run { workers = %d, shutdown = 1 })
    ]]):format(server:url(), COUNT))
    started:wait_for('^cluster up$', COUNT)
    return started, started:open_each(COUNT)
  end

  local function finish(started, clients)
    for _, c in ipairs(clients) do
      c:close()
    end
    started:signal 'TERM'
    started:wait_for '^run returned'
    assert.same('', started:output())
  end

  it('get what other machines send, once, and send to them', function()
    local started, clients = start()
    local group, other = machines.connected(1, { cluster = server:url() })
    local there = other.subscribe 'all'
    server:wait_for_subscribers(group, 'all', COUNT + 1)
    for i = 1, 100 do
      other.ctx:publish('all', tostring(i))
    end
    other.ctx:broadcast('p', 'end')
    for _, c in ipairs(clients) do
      for i = 1, 100 do
        c:expect_text(tostring(i))
      end
      c:expect_text 'end'
    end
    for i = 1, 100 do
      there:expect_text(tostring(i))
    end
    there:expect_text 'end'
    clients[1]:text 'return ws:publish("all", "from here")'
    clients[1]:expect_text '0 0'
    there:expect_text 'from here'
    for id = 2, COUNT do
      clients[id]:expect_text 'from here'
      clients[id]:text 'return "nothing more"'
      clients[id]:expect_text 'nothing more'
    end
    finish(started, clients)
  end)

  it('are joined again when one was replaced', function()
    local started, clients = start()
    local _, other = machines.connected(1, { cluster = server:url() })
    clients[2]:text 'os.exit(3)'
    started:wait_for('^cluster up$', COUNT + 1)
    clients[2]:close()
    clients[2] = nil
    local c
    repeat
      if c then c:finish(1000) end
      local id
      c, id = started:open()
    until id == 2
    started:wait_until(function() return server:ask('PUBSUB', 'NUMSUB', 'ws:0:t:all') end, ('\n%d$'):format(COUNT))
    other.ctx:publish('all', 'to all')
    c:expect_text 'to all'
    c:close()
    for _, id in ipairs { 1, 3 } do
      clients[id]:close()
    end
    finish(started, {})
  end)
end)
