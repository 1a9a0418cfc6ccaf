-- SPDX-License-Identifier: MIT
-- context:run with workers: how they begin, and how they end. Each script is a process of its own: see workers.lua.
local client = require 'spec.support.client'
local command = require 'spec.support.command'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'
local workers = require 'spec.support.workers'
require 'socket.unix' -- which leaves something in the registry

loop.use 'own' -- a context of another loop has no workers

describe('run with workers', function()
  leaks.check_each(before_each, after_each)
  after_each(workers.close_all)

  it('serves by several processes, and returns in the one that called it', function()
    local server = workers.start [[
      local ctx = context()
      assert(ctx:worker() == nil)
      finish(ctx:run { workers = 3, on_worker = function(id, count) note('begun', id, count, ctx:worker()) end,
        on_worker_exit = function(id, why) note('exit', id, why, ctx:worker()) end })
      note(tostring(ctx), ctx == nil)
    ]]
    server:wait_for('^begun', 3)
    for id = 1, 3 do server:wait_for(('^begun %d 3 %d 3$'):format(id, id)) end
    local clients, pids = server:open_each(3)
    assert.same(3, #pids)
    table.sort(pids)
    assert.same(server:children(), pids)
    server:signal 'TERM'
    for _, c in ipairs(clients) do
      c:expect_close(1001)
      c:send_close(1001)
      c:expect_end()
    end
    server:wait_for '^run returned 0 SIGTERM$'
    server:wait_for '^context: 0x%x+ %(destroyed%) false$'
    server:wait_for_end()
    for id = 1, 3 do server:wait_for(('^exit %d exit 0 nil$'):format(id)) end
    assert.same('', server:output())
  end)

  it('is told how many by the context, too, and by run() as before', function()
    for _, given in ipairs { '', '5', '{ shutdown = 5 }', '{ workers = 2 }' } do
      local server = workers.start(([[
        local ctx = context { workers = 2 }
        local ok, why = pcall(ctx.run, ctx, { workers = 3 })
        assert(not ok and why:find("option 'workers' is 3, but 2 in websockets.context", 1, true), why)
        finish(ctx:run(%s))
      ]]):format(given))
      local clients = server:open_each(2)
      server:signal 'INT'
      for _, c in ipairs(clients) do c:expect_close(1001) c:close() end
      server:wait_for '^run returned 0 SIGINT$'
      assert.same('', server:output())
    end
  end)

  it('finds out how many are of use', function()
    local server = workers.start [[
      finish(context():run { workers = 'auto', on_worker = function(_, count) note('count', count) end })
    ]]
    local count = tonumber(server:wait_for '^count (%d+)$')
    local pipe = io.popen 'nproc'
    assert.is_true(count >= 1 and count <= tonumber(pipe:read '*l'))
    pipe:close()
  end)

  it('ends by stop, in a worker and where a worker has ended', function()
    local server = workers.start [[finish(context():run { workers = 2 })]]
    local c = server:open()
    c:text 'ctx:stop() return "x"'
    c:expect_text 'x'
    c:expect_close(1001)
    c:close()
    server:wait_for '^run returned 0 stop$'

    for _, method in ipairs { 'stop', 'destroy', 'shutdown' } do
      server = workers.start(([[
        local ctx = context()
        finish(ctx:run { workers = 2, on_worker_exit = function(id, why)
          note('exit', id, why)
          if why == 'exit 7' then
            note('broadcast', ctx:broadcast('p', 'x'), ctx:publish('all', 'x'), ctx:service(), ctx:stats().open_connections)
            ctx:%s()
          end
        end })
      ]]):format(method))
      c = server:open()
      c:text 'os.exit(7)'
      server:wait_for 'exit %d exit 7'
      server:wait_for '^run returned 0 stop$'
      server:wait_for '^broadcast 0 0 0 %d'
      assert.same('', server:output())
      c:close()
    end
  end)

  it('is ended at once by a second signal', function()
    local server = workers.start [[
      finish(context { close_timeout = 1000 }:run { workers = 2, shutdown = 1000 })
    ]]
    local clients = server:open_each(2)
    server:signal 'TERM'
    for _, c in ipairs(clients) do c:expect_close(1001) end
    server:signal 'INT'
    server:wait_for '^run returned 130 SIGINT$'
    for _, c in ipairs(clients) do c:close() end
  end)

  it('replaces a worker that has ended, whatever has ended it', function()
    local server = workers.start [[
      finish(context():run { workers = 2, shutdown = 0.1, on_worker = function(id) note('begun', id) end,
        on_worker_exit = function(id, why) note('exit', id, why) end })
    ]]
    server:wait_for('^begun', 2)
    local begun = 2
    local function expect(why, act)
      local c, id, pid = server:open()
      act(c, pid)
      server:wait_for(('^exit %d %s$'):format(id, why), 1)
      begun = begun + 1
      server:wait_for('^begun', begun)
      c:close()
    end
    expect('exit 3', function(c) c:text 'os.exit(3)' end)
    expect('exit 0', function(c) c:text 'ctx:destroy()' end)
    expect('exit 0', function(c) c:text 'ctx:shutdown(0)' end)
    expect('signal 9 %(Killed%)', function(_, pid) remote.signal(pid, 'KILL') end)
    expect('exit 0', function(_, pid) remote.signal(pid, 'TERM') end)
    server:open_each(2)
    server:signal 'TERM'
    server:wait_for '^run returned 0 SIGTERM$'
    assert.same('', server:output())
  end)

  it('lets timers and coroutines begin in worker 1, and in who takes its place', function()
    local server = workers.start [[
      local ctx = context()
      ctx:after(0, function() note('after', ctx:worker()) end)
      local ticks = 0
      local every = ctx:every(0.01, function(timer)
        ticks = ticks + 1
        if ticks == 2 then note('every', ctx:worker()) end
        if ticks == 2 then timer:cancel() end
      end)
      local thread = ctx:spawn(function()
        websockets.sleep(0.01)
        note('spawned', ctx:worker())
        return 'done'
      end)
      finish(ctx:run { workers = 3, on_worker = function(id)
        if id == 1 then return end
        note('of others', thread:status(), every:cancel(), tostring(thread:join(0)))
        ctx:after(0, function() note('own', id) end)
        ctx:spawn(function() websockets.sleep(0) note('own spawned', id) end)
      end, on_worker_exit = function() note 'exit' end })
      note('at last', thread:status())
    ]]
    for _, what in ipairs { 'after', 'every', 'spawned' } do server:wait_for('^' .. what .. ' 1 3$') end
    server:wait_for('^of others ended false nil$', 2)
    for id = 2, 3 do
      server:wait_for('^own ' .. id .. '$')
      server:wait_for('^own spawned ' .. id .. '$')
    end
    local clients = server:open_each(3)
    clients[1]:text 'os.exit(1)'
    server:wait_for '^exit$'
    for _, what in ipairs { 'after', 'every', 'spawned' } do server:wait_for('^' .. what .. ' 1 3$', 2) end
    server:signal 'TERM'
    for _, c in ipairs(clients) do c:close() end
    server:wait_for '^at last ended$'
    assert.is_nil(server:notes():find('after [23]'))
  end)

  it('delays them by what has passed since', function()
    local server = workers.start [[
      local ctx = context()
      -- In seconds, of this process.
      local function age()
        local stat, uptime = assert(io.open '/proc/self/stat'), assert(io.open '/proc/uptime')
        local ticks = stat:read('*l'):match('^%d+ %(.*%) %a' .. (' %S+'):rep(18) .. ' (%d+)')
        local seconds = uptime:read '*n' - ticks / 100
        stat:close()
        uptime:close()
        return seconds
      end
      ctx:after(0.2, function() note('after', age()) end)
      finish(ctx:run { workers = 1, on_worker_exit = function() note 'exit' end })
    ]]
    assert.is_true(tonumber((server:wait_for '^after (%S+)$')) >= 0.1)
    workers.sleep(0.3) -- in which it would be due in who is forked now
    local c = server:open()
    c:text 'os.exit(1)'
    server:wait_for '^exit$'
    local _, after = server:wait_for('^(after) (%S+)$', 2)
    assert.is_true(tonumber(after) >= 0.1, after)
    c:close()
  end)

  it('lets no two of them have the same random numbers', function()
    local server = workers.start [[
      math.randomseed(42)
      local ctx = context()
      local function token()
        local numbers = {}
        for i = 1, 8 do numbers[i] = math.random(0, 2^24 - 1) end
        return table.concat(numbers, '-')
      end
      finish(ctx:run { workers = 4, on_worker = function(id) note('token', token()) end,
        on_worker_exit = function() note 'exit' end })
    ]]
    server:wait_for('^token', 4)
    local clients = server:open_each(4)
    for id = 1, 2 do clients[id]:text 'os.exit(1)' end
    server:wait_for('^token', 6)
    local seen = {}
    for token in server:notes():gmatch 'token (%S+)' do
      assert.is_nil(seen[token], token)
      seen[token] = true
    end
    for _, c in ipairs(clients) do c:close() end
  end)

  it('lets no two of them have the same keys as clients', function()
    local listener = assert(require('socket').bind('127.0.0.1', 0))
    local _, port = listener:getsockname()
    local server = workers.start(([[
      local ctx = context()
      -- The keys that are there already have been asked for by a client that has ended.
      local before = ctx:connect('ws://127.0.0.1:' .. port, { protocols = { 'other' } })
      while before:state() ~= 'closed' or ctx:stats().open_connections > 0 do ctx:service(10) end
      finish(ctx:run { workers = 3, on_worker = function() ctx:connect 'ws://127.0.0.1:%d/' end })
    ]]):format(port))
    listener:settimeout(20 * loop.time_factor)
    local seen = {}
    for _ = 1, 3 do
      local peer = assert(listener:accept())
      peer:settimeout(20 * loop.time_factor)
      local key
      repeat
        local line = assert(peer:receive '*l')
        key = key or line:match '^Sec%-WebSocket%-Key: (%S+)'
      until line == ''
      assert.is_nil(seen[key])
      seen[key] = true
      peer:close()
    end
    listener:close()
    server:signal 'TERM'
    server:wait_for '^run returned 0 SIGTERM$'
  end)

  it('writes what was buffered once', function()
    local server = workers.start [[
      io.stdout:setvbuf 'full'
      io.write 'before run. '
      finish(context():run { workers = 3, on_worker = function(id) io.write('worker ', id, '. ') end })
      io.write 'after run.'
    ]]
    for _, c in ipairs(server:open_each(3)) do c:close() end
    server:signal 'TERM'
    server:wait_for_end()
    local output = server:output()
    for _, text in ipairs { 'before run', 'worker 1', 'worker 2', 'worker 3', 'after run' } do
      local _, count = output:gsub(text, '')
      assert.equal(1, count, output)
    end
  end)

  it('tells who could not begin', function()
    local server = workers.start [[
      local ctx = context()
      finish(ctx:run { workers = 2, on_worker = function(id) error { code = 'oops ' .. id } end,
        on_worker_exit = function(id, why) note('exit', id, why) end })
      note(tostring(ctx))
    ]]
    server:wait_for '^run returned nil .*on_worker: table { code = "?\'?oops %d'
    for id = 1, 2 do server:wait_for(('^exit %d failed: on_worker: .*oops %d'):format(id, id)) end
    server:wait_for '^context: 0x%x+ %(open%)$'
    assert.matches('websockets: worker %d: error in on_worker: .*stack traceback', server:output())
  end)

  it('goes on when one of them cannot begin, and tells on_error which', function()
    local server = workers.start [[
      local ctx = context { on_error = function(why, ws, worker) note('error', worker, ws, why:match '^[^\n]*') end }
      finish(ctx:run { workers = 2, on_worker = function(id) if id == 2 then error 'oops' end end,
        on_worker_exit = function(id, why) note('exit', id, why) end })
    ]]
    server:wait_for('^exit 2 failed: on_worker: .*oops$', 2)
    server:wait_for('^error 2 nil .*oops$', 2)
    local c = server:open()
    assert.equal('1 2', workers.call(c, 'return ctx:worker()'))
    server:signal 'TERM'
    c:close()
    server:wait_for '^run returned 0 SIGTERM$'
  end)

  it('tells which worker an error and a refusal are of', function()
    local server = workers.start [[
      local ctx = context { on_error = function(why, ws, worker) note('error', type(ws), worker) end,
        on_refused = function(reason, details) note('refused', reason, details.worker) end }
      finish(ctx:run { workers = 2 })
    ]]
    local clients = server:open_each(2)
    for id, c in ipairs(clients) do
      c:text 'error "oops"'
      server:wait_for(('^error userdata %d$'):format(id))
      c:expect_close(1011)
      c:close()
    end
    local raw = client.connect({}, server.port)
    raw:send 'nonsense\r\n\r\n'
    server:wait_for '^refused bad_request [12]$'
    raw:close()
  end)

  it('names the worker in what is written about errors by default', function()
    local server = workers.start [[finish(context():run { workers = 2 })]]
    local c, id = server:open()
    c:text 'error "oops"'
    c:expect_close(1011)
    c:close()
    assert.matches(('^websockets: worker %d: error in a callback: '):format(id), server:output())
  end)

  it('serves the default context along in each', function()
    local server = workers.start [[
      local ctx = context()
      finish(ctx:run { workers = 2, on_worker = function(id)
        local ws = websockets.connect('ws://127.0.0.1:' .. port .. '/', { protocols = { 'p' } })
        ws:on_receive(function(_, data) note('client in', id, data) end)
      end })
    ]]
    for id = 1, 2 do server:wait_for(('^client in %d worker %%d pid'):format(id)) end
    server:signal 'TERM'
    server:wait_for '^run returned 0 SIGTERM$'
    assert.same('', server:output())
  end)

  it('serves a unix socket, whose file stays until the end', function()
    local path = os.tmpname()
    os.remove(path)
    local server = workers.start(([[
      local ctx = context { listen = { '127.0.0.1:' .. port, 'unix:%s' } }
      finish(ctx:run { workers = 2, on_worker_exit = function() note 'exit' end })
    ]]):format(path))
    local c = server:open()
    c:text 'os.exit(0, true)'
    server:wait_for '^exit$'
    c:close()
    local function connect()
      local sock = assert(require 'socket.unix'())
      assert(sock:connect(path))
      sock:settimeout(0)
      local unix = client.adopt({}, sock)
      assert.equal(101, unix:handshake { protocol = 'p' })
      assert.matches('^worker %d', unix:expect_text())
      unix:close()
    end
    for _ = 1, 5 do connect() end
    server:signal 'TERM'
    server:wait_for '^run returned 0 SIGTERM$'
    assert.is_nil(io.open(path))
  end)

  describe('refuses', function()
    local function expect_refusal(ctx, why)
      assert.error_matches(function() ctx:run { workers = 2 } end, 'websocket could not run: ' .. why)
      assert.is_false(loop.is_destroyed(ctx))
    end

    it('options that are none', function()
      local ctx = pair.context()
      for given, why in pairs {
        [{ worker = 2 }] = "option 'worker' is unknown, did you mean 'workers'?",
        [{ workers = 2, nonsense = 1 }] = "option 'nonsense' is unknown",
        [{ workers = 0 }] = "option 'workers' is 0, expected 'auto', or a number of workers from 1 to 1024",
        [{ workers = 'all' }] = "option 'workers' is 'all', expected 'auto'",
        [{ workers = 1.5 }] = "option 'workers' is 1.5, expected",
        [{ workers = 2, shutdown = -1 }] = "option 'shutdown' is -1, expected a number of seconds",
        [{ workers = 2, hang_timeout = 'x' }] = "option 'hang_timeout' is 'x', expected",
        [{ workers = 2, drain = {} }] = "option 'drain' is table, expected",
        [{ workers = 2, on_worker = 1 }] = "option 'on_worker' is 1, expected a function",
        [{ workers = 2, on_worker_exit = 1 }] = "option 'on_worker_exit' is 1, expected a function",
        [{ workers = 2, command = 1 }] = "option 'command' is 1, expected",
        [{ workers = 2, command = {} }] = "option 'command' is empty",
        [{ on_worker = print }] = "option 'on_worker' needs 'workers'",
        [{ drain = 1 }] = "option 'drain' needs 'workers'",
      } do
        local ok, message = pcall(function() return ctx:run(given) end)
        assert.is_false(ok)
        assert.is_truthy(message:find('websocket could not run: ' .. why, 1, true), message)
      end
      for given, why in pairs {
        [{ port = 0, workers = 'many' }] = "option 'workers' is 'many', expected 'auto'",
        [{ port = 0, on_cluster = 1 }] = "option 'on_cluster' is 1, expected a function",
      } do
        local ok, message = pcall(loop.context, given)
        assert.is_false(ok)
        assert.is_truthy(message:find(why, 1, true), message)
      end
    end)

    it('a context with connections', function()
      local c, _, ctx = pair.open()
      expect_refusal(ctx, 'workers cannot be started while the context has open connections: 1')
      c:finish(1000)
    end)

    it('a context with clients', function()
      local ctx, port = pair.context()
      local ws = ctx:connect(('ws://127.0.0.1:%d/'):format(port))
      expect_refusal(ctx, 'workers cannot be started while the context has clients: 1')
      ws:terminate()
    end)

    it('another context that lives', function()
      local ctx, other = pair.context(), pair.context()
      expect_refusal(ctx, 'workers cannot be started while there is another context, 0x')
      other:destroy()
    end)

    it('a default context with something to wait for', function()
      local websockets = require 'websockets'
      local ctx, port = pair.context()
      local ws = websockets.connect(('ws://127.0.0.1:%d/'):format(port))
      expect_refusal(ctx, 'workers cannot be started while the default context has clients, timers or coroutines')
      ws:context():destroy()
    end)

    it('a context of another event loop #pollfd', function()
      local ctx = pair.context()
      assert(ctx:pollfd())
      expect_refusal(ctx, 'workers cannot be started in a context of another event loop: pollfd is in use')
      for _, one_fd in ipairs { true, false } do
        ctx:destroy()
        ctx = pair.context { on_add_fd = function() end, on_del_fd = function() end, one_fd = one_fd }
        expect_refusal(ctx, 'workers cannot be started in a context of another event loop: on_add_fd, or an adapter,')
      end
    end)

    it('a context that listens nowhere', function()
      expect_refusal(loop.context { port = 0 }, 'workers cannot be started in a context that listens nowhere')
    end)

    it('a context that may have given up the rights to open listeners for them', function()
      local id = command.run({}, 'id -u'):match '%d+'
      local server = workers.start(("note(pcall(function() context { uid = %s }:run { workers = 2 } end))"):format(id))
      assert.matches('workers cannot be started in a context with uid or gid that was not told of them',
        server:wait_for '^false (.*)')
    end)

    it('callbacks and coroutines', function()
      local ctx = pair.context()
      local results
      ctx:after(0, function() results = { pcall(ctx.run, ctx, { workers = 2 }) } end)
      loop.serve_until(ctx, function() return results end)
      assert.matches('websocket could not run: workers cannot be started inside a callback', results[2])
      coroutine.wrap(function()
        expect_refusal(ctx, 'workers cannot be started inside a coroutine')
      end)()
    end)

    it('a context that a forked process serves', function()
      local server = workers.start [[
        local ctx = context()
        assert(ctx:fork_service_loop() == 0)
        note(pcall(ctx.run, ctx, { workers = 2 }))
        ctx:destroy()
      ]]
      server:wait_for '^false .*websocket fork_service_loop was called already'
      server:wait_for_end()
    end)

    it('in a worker what would run it once more', function()
      local server = workers.start [[finish(context():run { workers = 2 })]]
      local c = server:open()
      assert.matches('workers cannot be started inside a callback', workers.call(c, 'return pcall(ctx.run, ctx, 5)'))
      assert.matches('websocket fork_service_loop inside a callback',
        workers.call(c, 'return pcall(ctx.fork_service_loop, ctx)'))
      c:close()
    end)
  end)

  it('warns of connections that are not its own', function()
    local listener = assert(require('socket').bind('127.0.0.1', 0))
    local _, port = listener:getsockname()
    local server = workers.start(([[
      local database = assert(require('socket').connect('127.0.0.1', %d))
      note('fd', database:getfd())
      finish(context():run { workers = 2 })
    ]]):format(port))
    local fd = server:wait_for '^fd (%d+)'
    local c = server:open()
    assert.matches('warning: all workers share the connected sockets ' .. fd .. ': what each needs', server:output())
    c:close()
    listener:close()
  end)
end)
