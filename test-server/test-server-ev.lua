-- SPDX-License-Identifier: MIT
-- The test server in the loop of lua-ev. Usage: lua test-server-ev.lua [directory of the page] [port]
local websockets = require 'websockets'
local ev = require 'ev'

local here = arg[0]:match('^(.*/)') or ''
local directory = arg[1] or '.'
local port = arg[2] or 8002

local loop = ev.Loop.default
local io_watchers = {}
local context

context = websockets.context {
  port = port,
  -- libwebsockets-test-client -e sends random bytes as text.
  utf8_check = false,

  on_add_fd = function(fd)
    local io = ev.IO.new(function(_, _, revents)
      context:service_fd(fd, revents)
    end, fd, ev.READ)
    io:start(loop)
    io_watchers[fd] = io
  end,

  on_del_fd = function(fd)
    io_watchers[fd]:stop(loop)
    io_watchers[fd] = nil
  end,

  on_http = dofile(here .. 'pages.lua')(directory),

  protocols = {
    ['dumb-increment-protocol'] = function(ws)
      local number = 0
      ws:on_broadcast(function()
        number = number + 1
        ws:write(tostring(number), websockets.WRITE_TEXT)
      end)
      ws:on_receive(function(_, data)
        if data:find('reset', 1, true) then
          number = 0
        end
      end)
    end,

    ['lws-mirror-protocol'] = function(ws)
      ws:on_broadcast(websockets.WRITE_TEXT)
      ws:on_receive(function(_, data)
        ws:broadcast(data)
      end)
    end,
  },
}

ev.Timer.new(function()
  context:broadcast('dumb-increment-protocol', 'tick')
end, 0.05, 0.05):start(loop)

ev.Signal.new(function()
  context:destroy()
  loop:unloop()
end, ev.SIGINT):start(loop)

io.stdout:setvbuf('line')
print(('Open http://localhost:%s/ in a browser'):format(port))
loop:loop()
