-- SPDX-License-Identifier: MIT
-- A Redis server of its own, and what is asked of it by redis-cli.

local files = require 'spec.support.files'
local loop = require 'spec.support.loop'
local remote = require 'spec.support.remote'

local redis = {}
redis.__index = redis

local started = {}

-- Quotes for the shell.
local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- Starts a server. Options: port, config (the path of a file), args (more of the command line), password (which ask()
-- gives).
function redis.start(options)
  options = options or {}
  local self = setmetatable({ password = options.password }, redis)
  self.folder = os.tmpname()
  os.remove(self.folder)
  assert(os.execute('mkdir -m 700 ' .. self.folder))
  self.config, self.args = options.config or '', options.args or ''
  started[self] = true
  repeat -- another process may take the port before it does, or that of its cluster bus
    self.port = options.port or loop.free_port()
    self:try()
  until self.pid or options.port or not self:log():find 'Failed listening on port'
  if not self.pid then error('redis-server does not start: ' .. self:log(), 2) end
  return self
end

function redis:log() return files.read(self.folder .. '/log') end

-- Starts it (again), and waits until it serves.
function redis:run()
  self:try()
  if not self.pid then error('redis-server does not start: ' .. self:log(), 2) end
end

-- The same, but it may end instead: then there is no `pid`.
function redis:try()
  os.execute(([[(unset LD_PRELOAD; exec redis-server %s --port %d --bind 127.0.0.1 --dir %s --save '' --loglevel warning
    %s %s) </dev/null >%s/log 2>&1 & echo $! >%s/pid]]):gsub('\n%s*', ' '):format(self.config, self.port, self.folder,
    self.password and '--requirepass ' .. quoted(self.password) or '', self.args, self.folder, self.folder))
  self.pid = tonumber(files.read(self.folder .. '/pid'))
  loop.serve_until({}, function()
    if not remote.is_running(self.pid) then self.pid = nil end
    return not self.pid or tonumber(self:ask('INFO', 'server'):match 'process_id:(%d+)') == self.pid
  end, 'redis-server')
end

function redis:url(database)
  return ('redis://%s127.0.0.1:%d/%d'):format(self.password and ':' .. self.password .. '@' or '', self.port, database or 0)
end

-- What a command answers, as redis-cli shows it.
function redis:ask(...)
  local words = {}
  for i, word in ipairs { ... } do
    words[i] = quoted(tostring(word))
  end
  local pipe = assert(io.popen(('env -u LD_PRELOAD redis-cli --no-auth-warning -p %d %s %s 2>&1'):format(self.port,
    self.password and '-a ' .. quoted(self.password) or '', table.concat(words, ' '))))
  local answer = pipe:read '*a'
  pipe:close()
  return (answer:gsub('\n$', ''))
end

-- Until so many connections are subscribed to a topic, the contexts of `group` being served.
function redis:wait_for_subscribers(group, topic, count)
  loop.serve_until(group, function()
    return tonumber(self:ask('PUBSUB', 'NUMSUB', 'ws:0:t:' .. topic):match '(%d+)$') == count
  end, 'subscribers of ' .. topic)
end

function redis:signal(name) remote.signal(self.pid, name) end

-- As by kill -9; run() starts it again.
function redis:kill()
  self:signal 'KILL'
  remote.wait_for_end(self.pid)
end

function redis.close_all()
  for self in pairs(started) do
    if self.pid and remote.is_running(self.pid) then self:kill() end
    os.execute('rm -rf ' .. self.folder)
    started[self] = nil
  end
end

return redis
