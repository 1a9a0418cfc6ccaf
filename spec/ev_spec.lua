-- SPDX-License-Identifier: MIT
require 'spec.support.adapter'('ev', 'luv')

local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local script = require 'spec.support.script'
local socket = require 'socket'

describe('test-server-ev.lua #pollfd', function()
  if not pcall(require, 'luv') then
    pending 'needs luv'
    return
  end

  local port, path, server

  before_each(function()
    port = loop.free_port()
    -- It ends when the pipe is closed.
    local command
    path, command = script.write(([[
      if not pcall(require, 'ev') then package.loaded.ev = require 'spec.support.ev' end
      arg = { [0] = 'test-server/test-server-ev.lua', 'test-server', '%d' }
      dofile(arg[0])
    ]]):format(port))
    server = assert(io.popen(command .. ' >/dev/null & pid=$!; read nothing; kill $pid; wait $pid 2>/dev/null', 'w'))
    loop.serve_until({}, function()
      local probe = socket.connect('127.0.0.1', port)
      return probe and probe:close()
    end, 'the server to listen')
  end)

  after_each(function()
    client.close_all()
    server:close()
    os.remove(path)
  end)

  it('serves the page', function()
    local c = client.connect({}, port)
    c:send 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
    local status, headers, body = c:read_response()
    assert.equal(200, status)
    assert.equal('text/html; charset=utf-8', headers['content-type'])
    assert.matches('<html', body)
  end)

  it('counts, and begins anew when told to', function()
    local c = client.open({}, port, 'dumb-increment-protocol')
    for i = 1, 3 do
      c:expect_text(i .. '')
    end
    c:text 'reset\n'
    loop.serve_until({}, function() return c:expect_text() == '1' end)
  end)

  it('mirrors to everyone', function()
    local c, d = client.open({}, port, 'lws-mirror-protocol'), client.open({}, port, 'lws-mirror-protocol')
    c:text 'd #000000 1 2 3;'
    c:expect_text 'd #000000 1 2 3;'
    d:expect_text 'd #000000 1 2 3;'
  end)
end)
