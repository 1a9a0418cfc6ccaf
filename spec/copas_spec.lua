-- SPDX-License-Identifier: MIT
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'
local script = require 'spec.support.script'
local websockets = require 'websockets'

require 'spec.support.adapter'('copas', 'copas')

describe('waiting in Copas #pollfd', function()
  if not pcall(require, 'copas') then
    pending 'needs copas'
    return
  end

  it('works in threads that were there before the adapter', function()
    assert.equal('true\nrefused\n', script.run [[
      local copas = require 'copas'
      local websockets = require 'websockets'
      local is_done
      copas.addthread(function()
        print(websockets.sleep(0.001))
        local ws = websockets.connect 'ws://127.0.0.1:1/'
        local _, _, _, _, failure = ws:wait_open()
        print(failure.kind)
        is_done = true
      end)
      repeat copas.step(1) until is_done
    ]])
  end)

  it('works within coxpcall', function()
    local coxpcall = require 'coxpcall'
    loop.use 'copas'
    local ctx = pair.context()
    local results
    loop.other.thread(function()
      results = { coxpcall.pcall(function()
        assert(websockets.sleep(0.001))
        assert(websockets.sleep(0.001))
        error('as it should', 0)
      end) }
    end)
    loop.serve_until(ctx, function() return results end)
    assert.is_false(results[1])
    assert.matches('^as it should', results[2])
    websockets.connect('ws://127.0.0.1:1/'):context():destroy()
    loop.destroy_all()
  end)

  if pcall(require, 'copas') and require('copas').removethread then -- not in 1.2
    it('ends with the thread', function()
      loop.use 'copas'
      local copas = require 'copas'
      local c, ws, ctx = pair.open()
      local begun = 0
      local thread = copas.addthread(function()
        begun = begun + 1
        ws:receive()
        error 'it goes on'
      end)
      loop.serve_until(ctx, function() return begun == 1 end)
      copas.removethread(thread)
      local data
      loop.other.thread(function() data = ws:receive() end)
      loop.step(ctx, 0)
      c:text 'for another'
      loop.serve_until(ctx, function() return data end)
      assert.equal('for another', data)
      c:close()
      loop.destroy_all()
    end)
  end
end)

-- On other Luas it is the main thread that Ctrl-C interrupts.
if rawget(_G, 'jit') then
  describe('websockets.copas on LuaJIT #pollfd', function()
    after_each(remote.close_all)

    it('lets Ctrl-C in a callback end copas.loop', function()
      local server = remote.start()
      local port = server:call [[
        ctx = require('websockets.copas').context { listen = { '127.0.0.1:0' }, protocols = { p = function(ws)
          ws:on_receive(function()
            ws:write(('x'):rep(300000)) -- so much that it leaves at once
            while os.time() do end
          end)
        end } }
        return tonumber((ctx:addresses()[1]:match '%d+$'))
      ]]
      server:begin "return pcall(require('copas').loop)"
      require('spec.support.interruption').expect_in_callback(server, port)
    end)
  end)
end
