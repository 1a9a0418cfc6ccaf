-- SPDX-License-Identifier: MIT
require 'spec.support.adapter'('luv', 'luv')

local script = require 'spec.support.script'

describe('websockets.luv #pollfd', function()
  if not pcall(require, 'luv') then
    pending 'needs luv'
    return
  end

  it('lets a program end that has just destroyed a context', function()
    assert.equal('running\n', script.run [[
      require('spec.support.loop').use 'luv'
      local pair = require 'spec.support.pair'
      contexts = { pair.context(), pair.context() }
      contexts[1]:destroy()
      contexts[3] = pair.context()
      print 'running'
    ]])
  end)
end)
