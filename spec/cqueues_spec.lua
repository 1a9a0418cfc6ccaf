-- SPDX-License-Identifier: MIT
require 'spec.support.adapter'('cqueues', 'cqueues')

local script = require 'spec.support.script'

describe('waiting in cqueues #pollfd', function()
  it('works in threads that know of no adapter', function()
    assert.equal('true\nrefused\ntrue\n', script.run [[
      local cqueues = require 'cqueues'
      local websockets = require 'websockets'
      local queue = cqueues.new()
      queue:wrap(function()
        print(websockets.sleep(0.001))
        local ws = websockets.connect 'ws://127.0.0.1:1/'
        local _, _, _, _, failure = ws:wait_open()
        print(failure.kind)
      end)
      print(queue:loop())
    ]])
  end)

  it('works in a context that is polled by a thread', function()
    assert.equal('hello\ntrue\n', script.run [[
      local cqueues = require 'cqueues'
      local websockets = require 'websockets'
      local queue = cqueues.new()
      local context = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = websockets.handler(function(ws)
        ws:write(ws:receive())
      end) } }
      queue:wrap(function()
        while not is_done do
          cqueues.poll(context)
          context:service()
        end
      end)
      queue:wrap(function()
        local ws = context:connect('ws://127.0.0.1:' .. context:addresses()[1]:match '%d+$')
        ws:write 'hello'
        print((ws:receive()))
        is_done = true
        ws:close()
      end)
      print(queue:loop())
    ]])
  end)
end)
