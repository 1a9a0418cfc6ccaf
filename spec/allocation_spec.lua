-- SPDX-License-Identifier: MIT
-- That a short message allocates nothing once its connection is warm. The server is a process of its own, whose malloc
-- counts; with the sanitizers, which bring another malloc, nothing is counted.
local client = require 'spec.support.client'
local command = require 'spec.support.command'
local leaks = require 'spec.support.leaks'
local remote = require 'spec.support.remote'
local script = require 'spec.support.script'

local batches, batch_messages = 60, 64
local message = 'always the same one'

-- Lua makes a short string once only, as long as somebody keeps it.
local create = [[
  local websockets = require 'websockets'
  context = websockets.context {
    listen = { '127.0.0.1:0' },
    protocols = {
      p = function(ws)
        ws:on_receive(function(ws, data, type)
          kept = data
          ws:write(data, type)
        end)
        ws:on_closed(function() is_closed = true end)
      end,
    },
  }
  return tonumber((context:addresses()[1]:match '%d+$'))]]

local serve = 'while not is_closed do context:service(-1) end'

describe('a short message', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)

  local library, counts

  setup(function()
    library, counts = os.tmpname(), os.tmpname()
    local output, status = command.run({}, 'cc -O2 -shared -fPIC -o ' .. library .. ' bench/count_allocations.c')
    assert.equal(0, status, output)
  end)

  teardown(function()
    os.remove(library)
    os.remove(counts)
  end)

  -- How many times the server has called malloc, calloc and realloc.
  local function count()
    local file = assert(io.open(counts, 'rb'))
    local bytes = file:read(3 * 8) or ''
    file:close()
    local sum = 0
    for i = 1, #bytes do
      sum = sum + bytes:byte(i) * 256 ^ ((i - 1) % 8)
    end
    return sum
  end

  -- One after the other, and many at once.
  local function exchange(c)
    local frame = client.frame(client.TEXT, message)
    for _ = 1, batches do
      for _, number in ipairs { 1, batch_messages } do
        c:send(frame:rep(number))
        for _ = 1, number do
          c:expect_text(message)
        end
      end
    end
  end

  it('is echoed without an allocation', function()
    local server = remote.start { command = ('env LD_PRELOAD=%s ALLOCATIONS_FILE=%s'):format(library, counts) }
    local port = server:call(create)
    server:begin(serve)
    local c = client.open({}, port, 'p')
    exchange(c)
    local before = count()
    assert.is_true(before > 1000 or script.is_sanitized(), 'nothing is counted')
    exchange(c)
    local made, messages = count() - before, batches * (1 + batch_messages)
    assert.is_true(made < messages / 100, ('%d allocations for %d messages'):format(made, messages))
    c:finish(1000)
    server:result()
  end)
end)
