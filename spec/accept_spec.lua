-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'

-- What the programs have in common.
local prelude = [[
  local client = require 'spec.support.client'
  local loop = require 'spec.support.loop'
  local socket = require 'socket'
  local websockets = require 'websockets'

  local function echo(ws)
    ws:on_receive(function(self, data, type) self:write(data, type) end)
  end

  local function make_sockets(count)
    local list = {}
    for i = 1, count do
      list[i] = assert(socket.tcp4())
    end
    return list
  end

  -- Opens so many files that no more can be opened, but for `left`.
  local function exhaust(left)
    local files = {}
    repeat
      local file = io.open '/dev/null'
      files[#files + 1] = file
    until not file
    for _ = 1, left or 0 do
      table.remove(files):close()
    end
    return files
  end

  local function close_all(files)
    for _, file in ipairs(files) do
      file:close()
    end
  end

  local function expect_echo(c, text)
    c:text(text)
    c:expect_text(text)
  end
]]

describe('accepting', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  it('works for a thousand clients that come at once', function()
    assert.equal('1000 are in\n', script.run(prelude .. [[
      local count = 1000
      local sockets = make_sockets(count) -- first, since LuaSocket takes no high numbers
      local port, seen = loop.free_port(), 0
      local ctx = websockets.context { port = port, protocols = { p = function(ws)
        seen = seen + 1
        echo(ws)
      end } }
      for _, sock in ipairs(sockets) do
        sock:settimeout(0)
        sock:connect('127.0.0.1', port)
      end
      local bytes = client.request { first = client.frame(client.TEXT, 'hello') }
      local answers, missing = {}, count
      local deadline = socket.gettime() + 60 * loop.time_factor
      local is_sent = {}
      while missing > 0 and socket.gettime() < deadline do
        ctx:service(1)
        for i, sock in ipairs(sockets) do
          is_sent[i] = is_sent[i] or sock:send(bytes) == #bytes
          local _, why, part = sock:receive(1000)
          answers[i] = (answers[i] or '') .. (part or '')
          assert(why == 'timeout', why)
          if answers[i]:find('\129\5hello', 1, true) then
            missing = missing - 1
            answers[i] = ''
          end
        end
      end
      assert(missing == 0, missing .. ' are missing')
      assert(seen == count)
      assert(ctx:broadcast('p', 'to all') == 0)
      for _, sock in ipairs(sockets) do
        assert(sock:receive(8) == '\129\6to all')
      end
      ctx:destroy()
      print(seen .. ' are in')
    ]], 4096))
  end)

  it('passes over clients that are gone already', function()
    local opened = 0
    local ctx, port = pair.context(nil, function() opened = opened + 1 end)
    for i = 1, 50 do
      local c = client.connect(ctx, port)
      if i % 2 == 0 then c:send(client.request()) end
      c[i % 3 == 0 and 'close' or 'reset'](c)
    end
    local c = client.open(ctx, port, 'p')
    c:expect_nothing()
    assert.is_true(opened >= 1)
  end)

  it('takes clients of IPv4 and of IPv6 where there are both', function()
    local ctx, port = pair.context()
    for _, host in ipairs { '127.0.0.1', '127.0.0.2' } do
      client.open(ctx, port, { host = host }):expect_nothing()
    end
    local ok, c = pcall(client.connect, ctx, port, { host = '::1' })
    if ok then assert.equal(101, (c:handshake())) end
  end)

  -- --- No more descriptors ---

  it('turns clients away when no more descriptors can be opened, and recovers', function()
    assert.equal('recovered\n', script.run(prelude .. [[
      local count = 20
      local sockets = make_sockets(count + 1)
      local port
      local ctx
      ctx, port = loop.context { protocols = { p = echo } }
      local old = client.open(ctx, port, 'p')
      local files = exhaust()
      for i = 1, count do
        assert(sockets[i]:connect('127.0.0.1', port))
        sockets[i]:settimeout(0)
      end
      local away, calls, is_away = 0, 0, {}
      while away < count do
        loop.step(ctx, 10000)
        calls = calls + 1
        assert(calls < 3 * count, 'served again and again to no end')
        for i = 1, count do
          local _, why = sockets[i]:receive(1)
          if not is_away[i] and why ~= 'timeout' then
            is_away[i] = true
            away = away + 1
          end
        end
      end
      assert(not io.open '/dev/null', 'a descriptor was lost')
      expect_echo(old, 'still here')

      close_all(files)
      expect_echo(client.open(ctx, port, 'p'), 'welcome')
      -- Once more.
      files = exhaust()
      assert(sockets[count + 1]:connect('127.0.0.1', port))
      sockets[count + 1]:settimeout(0)
      loop.serve_until(ctx, function() return select(2, sockets[count + 1]:receive(1)) ~= 'timeout' end)
      close_all(files)
      expect_echo(client.open(ctx, port, 'p'), 'welcome')
      ctx:destroy()
      print 'recovered'
    ]], 64))
  end)

  it('takes a pause when there is no descriptor to spare, and recovers', function()
    assert.equal('recovered\n', script.run(prelude .. [[
      local sock = make_sockets(1)[1]
      local port = loop.free_port()
      local config = { port = port, protocols = { p = echo } }
      -- As few descriptors as it needs at all.
      local ctx, files
      local free = 0
      repeat
        free = free + 1
        files = exhaust(free)
        local ok, result = pcall(websockets.context, config)
        ctx = ok and result
        if not ok then close_all(files) end
        collectgarbage()
      until ctx or free > 10
      local extra = exhaust()
      assert(sock:connect('127.0.0.1', port))
      sock:settimeout(0)
      local before = socket.gettime()
      for _ = 1, 6 do
        assert(ctx:service(10000) == 0)
      end
      assert(socket.gettime() - before > 0.05, 'no pause between the attempts')
      assert(select(2, sock:receive(1)) == 'timeout')

      close_all(files)
      close_all(extra)
      sock:send(client.request())
      local answer
      local calls = 0
      repeat
        ctx:service(10000)
        calls = calls + 1
        answer = sock:receive '*l'
      until answer or calls == 10
      assert(answer == 'HTTP/1.1 101 Switching Protocols', answer)
      ctx:destroy()
      print 'recovered'
    ]], 64))
  end)

  it('makes service_fd return -1 when no more descriptors can be opened #pollfd', function()
    assert.equal('recovered\n', script.run(prelude .. [[
      local sockets = make_sockets(2)
      local port = loop.free_port()
      local listener
      local ctx = websockets.context { port = port, protocols = { p = echo },
        on_add_fd = function(fd) listener = fd end, on_del_fd = function() end }
      assert(ctx:service_fd(listener, 'r') == 0)
      local files = exhaust()
      assert(sockets[1]:connect('127.0.0.1', port))
      assert(ctx:service_fd(listener, 'r') == -1)
      assert(ctx:service_fd(listener, 'r') == 0)
      close_all(files)
      assert(sockets[2]:connect('127.0.0.1', port))
      assert(ctx:service_fd(listener, 'r') == 0)
      ctx:destroy()
      print 'recovered'
    ]], 64))
  end)

  it('needs descriptors to create a context, and says so', function()
    local output = script.run(prelude .. [[
      local port = loop.free_port()
      local files = exhaust()
      local ok, message = pcall(websockets.context, { port = port, protocols = { p = echo } })
      print(ok, message)
      close_all(files)
      websockets.context({ port = port, protocols = { p = echo } }):destroy()
    ]], 64)
    assert.is_truthy(output:find '^false%s+websocket could not create context: .*[Tt]oo many open files', output)
  end)

  it('goes on when files cannot be opened to be served', function()
    assert.equal('recovered\n', script.run(prelude .. [[
      local result
      local ctx, port = loop.context {
        protocols = { p = echo },
        on_http = function(ws) result = { ws:serve_http_file('/etc/passwd', 'text/plain') } end,
      }
      local c = client.connect(ctx, port)
      local request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
      c:send(request)
      assert(c:read_response() == 200)
      local files = exhaust()
      c:send(request)
      assert(c:read_response() == 503)
      assert(result[1] == -1 and type(result[2]) == 'string')
      close_all(files)
      c:send(request)
      assert(c:read_response() == 200)
      ctx:destroy()
      print 'recovered'
    ]], 64))
  end)
end)
