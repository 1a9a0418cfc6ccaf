-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local remote = require 'spec.support.remote'

require 'spec.support.adapter'('copas', 'copas')

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
      local c = client.open({}, port, 'p')
      c:text 'x'
      loop.serve_until({}, function() return c:pump() end, 'a part of the message')
      remote.signal(server.pid, 'INT')
      local succeeded, why = server:result()
      assert.is_false(succeeded)
      assert.matches('interrupted!$', why)
    end)
  end)
end
