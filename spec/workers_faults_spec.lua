-- SPDX-License-Identifier: MIT
-- What goes wrong with workers, and with what is around them: each of these waits for a process to die.
local command = require 'spec.support.command'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local remote = require 'spec.support.remote'
local socket = require 'socket'
local tls = require 'spec.support.tls'
local workers = require 'spec.support.workers'

local clients_of_all = 300

local function close(list)
  for _, c in ipairs(list) do c:close() end
end

describe('workers', function()
  leaks.check_each(before_each, after_each)
  after_each(workers.close_all)
  teardown(tls.remove_folders)

  it('that are killed take nobody with them but their own clients', function()
    local server = workers.start [[
      finish(context():run { workers = 3, shutdown = 1, on_worker_exit = function(_, why) note('exit', why) end })
    ]]
    local by_pid, all = {}, {}
    for _ = 1, clients_of_all do
      local c, _, pid = server:open()
      by_pid[pid] = by_pid[pid] or {}
      table.insert(by_pid[pid], c)
      all[#all + 1] = c
    end
    local victim = next(by_pid)
    assert.is_true(#by_pid[victim] < clients_of_all)
    remote.signal(victim, 'KILL')
    for _, c in ipairs(by_pid[victim]) do
      assert.equal('', c:read_all())
    end
    -- Who comes meanwhile is served, in the end.
    for _ = 1, 30 do all[#all + 1] = server:open() end
    for pid, list in pairs(by_pid) do
      for _, c in ipairs(pid ~= victim and list or {}) do assert.equal('here', workers.call(c, 'return "here"')) end
    end
    server:wait_for '^exit signal 9'
    close(all)
  end)

  it('that have connections in their queue lose none of these', function()
    local server = workers.start [[finish(context():run { workers = 2, shutdown = 1 })]]
    local clients, pids = server:open_each(2)
    remote.stop(pids[1])
    local waiting = {}
    for i = 1, 20 do
      waiting[i] = assert(socket.connect('127.0.0.1', server.port))
      waiting[i]:settimeout(20 * loop.time_factor)
      assert(waiting[i]:send(require('spec.support.client').request { protocol = 'p' }))
    end
    remote.signal(pids[1], 'KILL')
    for _, sock in ipairs(waiting) do
      assert.equal('HTTP/1.1 101 Switching Protocols', (sock:receive '*l'))
      sock:close()
    end
    close(clients)
  end)

  it('end with their supervisor', function()
    local server = workers.start [[finish(context():run { workers = 3 })]]
    local clients, pids = server:open_each(3)
    remote.signal(server.pid, 'KILL')
    for _, pid in ipairs(pids) do remote.wait_for_end(pid) end
    close(clients)
  end)

  it('that hang are killed and replaced', function()
    local server = workers.start [[
      finish(context():run { workers = 2, hang_timeout = 0.5, on_worker_exit = function(id, why) note('exit', id, why) end })
    ]]
    local clients = server:open_each(2)
    clients[2]:text 'while true do end'
    server:wait_for '^exit 2 hung$'
    assert.equal('1 2', workers.call(clients[1], 'return ctx:worker()'))
    close(clients)
    close(server:open_each(2))
  end)

  it('that do not listen for long learn what they have missed, and keep nobody waiting', function()
    local server = workers.start [[
      local id
      local ctx = context { max_message_size = 65536, on_cluster = function(...) note('cluster of', id, ...) end }
      finish(ctx:run { workers = 3, shutdown = 1, hang_timeout = 0, on_worker = function(number) id = number end })
    ]]
    local clients, pids = server:open_each(3)
    remote.stop(pids[2])
    for i = 1, 16 do
      assert.equal('0', workers.call(clients[1], [[
        local data = ('x'):rep(65536)
        for _ = 1, 16 do ctx:publish('none', data) end
        return 0
      ]]))
    end
    remote.signal(pids[2], 'CONT')
    server:wait_for '^cluster of 2 gap worker 1$'
    clients[1]:text 'ctx:publish("all", "afterwards")'
    for _, c in ipairs(clients) do c:expect_text 'afterwards' end
    local _, count = server:notes():gsub('cluster of 2', '')
    assert.is_true(count >= 1 and count < 16)
    close(clients)
  end)

  it('have the new certificate after SIGHUP, and so has who takes their place', function()
    local folder = tls.folder 'exchanged'
    local function put(from)
      for _, name in ipairs { 'server.pem', 'server.key' } do
        tls.write(folder .. '/' .. name, tls.read(tls.folder(from) .. '/' .. name))
      end
    end
    put 'ours'
    local server = workers.start(([[
      local folder = %q
      local ctx = context { ssl_cert_path = folder .. '/server.pem', ssl_private_key_path = folder .. '/server.key',
        on_error = function(why) note('told', (why:gsub('\n.*', ''))) end }
      finish(ctx:run { workers = 2, shutdown = 1, on_worker = function(id) note('begun', id) end })
    ]]):format(folder))
    local function expect_certificate(of)
      local clients = server:open_each(2, { tls = {} })
      for _, c in ipairs(clients) do
        assert.equal(tls.read(tls.folder(of) .. '/server.pem'), c.sock.secure:getpeercertificate():pem())
      end
      return clients
    end
    local function becomes(of)
      loop.serve_until({}, function()
        local ok, clients = pcall(expect_certificate, of)
        if ok then close(clients) end
        return ok
      end, 'the certificate ' .. of)
    end
    close(expect_certificate 'ours')
    put 'theirs'
    server:signal 'HUP'
    becomes 'theirs'
    local c, _, pid = server:open { tls = {} }
    remote.signal(pid, 'KILL')
    server:wait_for('^begun', 3)
    c:read_all()
    c:close()
    close(expect_certificate 'theirs')
    tls.write(folder .. '/server.pem', 'nonsense')
    server:signal 'HUP'
    server:wait_for '^told the certificates stay as they were: '
    close(expect_certificate 'theirs')
    server:signal 'TERM'
    server:wait_for '^run returned 0 SIGTERM$'
  end)

  it('resume the TLS sessions of each other', function()
    local folder = tls.folder 'ours'
    local server = workers.start(([[
      local folder = %q
      local ctx = context { ssl_cert_path = folder .. '/server.pem', ssl_private_key_path = folder .. '/server.key',
        on_http = function(ws) ws:respond(200, {}, 'worker ' .. ws:context():worker()) end }
      finish(ctx:run { workers = 2, shutdown = 1, on_worker = function(id) note('begun', id) end })
    ]]):format(folder))
    server:wait_for('^begun', 2)
    local session = folder .. '/session_of_workers'
    local function ask(option)
      local output = command.run({}, ([[
printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' |
openssl s_client -connect 127.0.0.1:%d -ign_eof -tls1_2 %s %s]]):format(server.port, option, session))
      return tonumber(output:match 'worker (%d)'), output:find('Reused, TLSv1', 1, true) ~= nil
    end
    local first = ask '-sess_out'
    loop.serve_until({}, function()
      local id, is_resumed = ask '-sess_in'
      assert.is_true(is_resumed)
      return id ~= first
    end, 'another worker')
  end)

  -- What threads do is a look-up, or reading certificates: here from a file that nobody writes to, at first.
  local function start_with_task(path)
    os.remove(path)
    assert.is_true(os.execute('mkfifo ' .. path) ~= nil)
    return workers.start(([[
      local ctx = context()
      local ws = ctx:connect(('wss://127.0.0.1:%%d/'):format(port), { ssl_ca_path = %q })
      ctx:service(50)
      ws:terminate()
      while ctx:stats().open_connections > 0 do ctx:service(10) end
      note 'asked'
      finish(ctx:run { workers = 1, on_worker = function() note 'begun' end })
    ]]):format(path))
  end

  it('begin when the threads of the process that forks them have ended', function()
    local path = os.tmpname()
    local server = start_with_task(path)
    server:wait_for '^asked$'
    workers.sleep(0.3)
    assert.is_nil(server:notes():find 'begun')
    os.execute(("timeout 20 sh -c 'echo x >%s'"):format(path))
    server:wait_for '^begun$'
    os.remove(path)
  end)

  it('do not begin where such a thread hangs', function()
    local path = os.tmpname()
    local server = start_with_task(path)
    server:wait_for '^run returned nil a look%-up of a name does not come to an end %d+$'
    assert.is_nil(server:notes():find 'begun')
    os.execute(("timeout 20 sh -c 'echo x >%s'"):format(path))
    os.remove(path)
  end)
end)
