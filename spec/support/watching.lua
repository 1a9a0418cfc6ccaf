-- SPDX-License-Identifier: MIT
-- What an outer loop is told to watch.

local assert = require 'luassert'
local socket = require 'socket'

local watching = {}

function watching.is_readable(fd)
  return socket.select({ { getfd = function() return fd end } }, nil, 0)[1] ~= nil
end

-- Adds functions to a config that record, and check, what is announced. Returns both.
function watching.config(config)
  local watched = { log = {}, fds = {} }
  local copy = {}
  for name, value in pairs(config or {}) do
    copy[name] = value
  end
  copy.on_add_fd = function(fd)
    assert.is_nil(watched.fds[fd], 'added twice')
    watched.fds[fd] = true
    watched.log[#watched.log + 1] = '+' .. fd
  end
  copy.on_del_fd = function(fd)
    assert.is_true(watched.fds[fd], 'taken away without having been added')
    watched.fds[fd] = nil
    watched.log[#watched.log + 1] = '-' .. fd
  end
  return copy, watched
end

function watching.count(set)
  local number = 0
  for _ in pairs(set) do
    number = number + 1
  end
  return number
end

return watching
