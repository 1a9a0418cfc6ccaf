-- SPDX-License-Identifier: MIT
-- Scripts whose context is served by workers, as processes of their own; what they note is looked at here.

local assert = require 'luassert'
local client = require 'spec.support.client'
local files = require 'spec.support.files'
local loop = require 'spec.support.loop'
local remote = require 'spec.support.remote'
local script = require 'spec.support.script'
local socket = require 'socket'

local workers = {}
workers.__index = workers

local started = {}

-- What a script has beside `port`, `url_of` and the module: note(...) appends a line to the notes, serve(options, more)
-- makes a context with the options `more`, and runs it by run(options); both may be left out. Its clients get the number
-- of their worker, and then what `commands` answers.
local prelude = [[
local websockets = require 'websockets'
local port, notes_path = %d, %q
local function note(...)
  local texts = {}
  for i = 1, select('#', ...) do texts[i] = tostring((select(i, ...))) end
  local file = assert(io.open(notes_path, 'a'))
  file:write(table.concat(texts, ' ') .. '\n')
  file:close()
end
local function process_id()
  local file = assert(io.open '/proc/self/stat')
  local id = tonumber(file:read('*l'):match '^%%d+')
  file:close()
  return id
end
local commands = {}
local load_text = loadstring or load
-- Runs a program, which has `ws` and `ctx`; what it returns is sent, if that is something.
function commands.lua(ws, text)
  local results = { assert(load_text('local ws, ctx, note, websockets = ... ' .. text))(ws, ws:context(), note, websockets) }
  for i = 1, #results do results[i] = tostring(results[i]) end
  if #results > 0 then ws:write(table.concat(results, ' ')) end
end
local function protocol(ws)
  ws:subscribe 'all'
  ws:write(('worker %%s pid %%d'):format(ws:context():worker(), process_id()))
  ws:on_receive(function(_, data) commands.lua(ws, data) end)
end
local function context(more)
  local config = { listen = { '127.0.0.1:' .. port }, protocols = { p = protocol }, close_timeout = 1 }
  for name, value in pairs(more or {}) do config[name] = value end
  return websockets.context(config)
end
local function finish(...)
  note('run returned', ...)
end
]]

-- Starts a script; its text comes after the prelude. Options: port, wait (false: it does not get ready).
function workers.start(text, options)
  options = options or {}
  local self = setmetatable({ port = options.port or loop.free_port(), notes_path = os.tmpname() }, workers)
  self.output_path = os.tmpname()
  local command
  self.script_path, command = script.write(prelude:format(self.port, self.notes_path) .. text)
  local pid_path = os.tmpname()
  os.execute(('ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0" %s >%s 2>&1 </dev/null & echo $! >%s'):format(
    (options.command or '') .. command, self.output_path, pid_path))
  local file = assert(io.open(pid_path))
  self.pid = tonumber(file:read '*l')
  file:close()
  os.remove(pid_path)
  started[self] = true
  return self
end

function workers:notes() return files.read(self.notes_path) end

-- What it has written.
function workers:output() return files.read(self.output_path) end

-- Waits until its notes have so many lines that match a pattern (default: one); returns what the last of them captures.
function workers:wait_for(pattern, count)
  local last
  local function is_there()
    local found = 0
    for line in self:notes():gmatch '[^\n]+' do
      if line:find(pattern) then
        found, last = found + 1, line
      end
    end
    return found >= (count or 1)
  end
  local ok, why = pcall(loop.serve_until, {}, is_there, ('%d notes of %q'):format(count or 1, pattern))
  if not ok then error(('%s; notes:\n%s\noutput:\n%s'):format(why, self:notes(), self:output()), 2) end
  return last:match(pattern)
end

-- Waits until what ask() returns matches a pattern, and returns it.
function workers:wait_until(ask, pattern)
  local text
  local ok, why = pcall(loop.serve_until, {}, function()
    text = ask()
    return text:find(pattern)
  end, ('an answer like %q'):format(pattern))
  if not ok then error(('%s; answer: %s; output:\n%s'):format(why, text, self:output()), 2) end
  return text
end

-- A client; returns it, the number of its worker and the process of that.
function workers:open(options)
  options = options or {}
  options.protocol = 'p'
  local c
  loop.serve_until({}, function()
    local ok, result = pcall(client.open, {}, self.port, options)
    if ok then c = result end
    return ok
  end, 'a client')
  local id, pid = c:expect_text():match '^worker (%S+) pid (%d+)$'
  return c, tonumber(id), tonumber(pid)
end

-- A client of each of `count` workers, and their processes.
function workers:open_each(count, options)
  local clients, pids, have = {}, {}, 0
  local spare = {}
  while have < count do
    local c, id, pid = self:open(options)
    if clients[id] then
      spare[#spare + 1] = c
    else
      clients[id], pids[id], have = c, pid, have + 1
    end
    assert.is_true(#spare < 200, 'the clients are not spread')
  end
  for _, c in ipairs(spare) do c:finish(1000) end -- so that their workers know that they are gone
  return clients, pids
end

-- Has a client's worker run a program; returns what it returned, as a text.
function workers.call(c, program)
  c:text(program)
  return c:expect_text()
end

function workers:signal(name) remote.signal(self.pid, name) end

-- Until the supervisor has ended.
function workers:wait_for_end() remote.wait_for_end(self.pid) end

-- The processes whose parent is the supervisor, that are no zombies.
function workers:children()
  local pids = {}
  local pipe = assert(io.popen(('cat /proc/%d/task/*/children 2>/dev/null'):format(self.pid)))
  for pid in (pipe:read '*a'):gmatch '%d+' do
    if remote.is_running(pid) then pids[#pids + 1] = tonumber(pid) end
  end
  pipe:close()
  table.sort(pids)
  return pids
end

-- Ends all that were started.
function workers.close_all()
  for self in pairs(started) do
    local pids = self:children()
    pids[#pids + 1] = remote.is_running(self.pid) and self.pid or nil
    if #pids > 0 then os.execute(('kill -KILL %s 2>/dev/null'):format(table.concat(pids, ' '))) end
    os.remove(self.script_path)
    os.remove(self.notes_path)
    os.remove(self.output_path)
    started[self] = nil
  end
end

function workers.sleep(seconds) socket.sleep(seconds) end

return workers
