-- SPDX-License-Identifier: MIT
-- A live dashboard: each second, all pages are told what the server has counted and how the machine does.
-- Usage: lua dashboard.lua [port] [workers]; with workers, so many processes serve, and are shown side by side.
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port, workers = arg[1] or 8080, arg[2]
local history_length = 120

local history = {} -- the last samples, as JSON
local context, before

local function read(path)
  local file = io.open(path)
  local text = file and file:read '*a'
  if file then
    file:close()
  end
  return text
end

-- Where there is no /proc, the figures are made up.
local function machine()
  local load = tonumber((read '/proc/loadavg' or ''):match '^[%d.]+')
  local memory = read '/proc/meminfo' or ''
  local total, available = memory:match 'MemTotal:%s*(%d+)', memory:match 'MemAvailable:%s*(%d+)'
  local wave = math.sin(os.time() / 10)
  return load or 1 + wave, total and available and 100 * (1 - available / total) or 50 + 20 * wave
end

local function sample()
  local stats = context:stats()
  local load, memory = machine()
  before = before or stats
  local values = {
    time = os.time(),
    websockets = stats.protocols.dashboard.open,
    messages_received = stats.messages_received - before.messages_received,
    messages_sent = stats.messages_sent - before.messages_sent,
    bytes_received = stats.received_bytes - before.received_bytes,
    bytes_sent = stats.sent_bytes - before.sent_bytes,
    load = load,
    memory = memory,
    lua = collectgarbage 'count' * 1024,
  }
  for id, worker in ipairs(stats.workers or {}) do
    values['worker_' .. id] = worker.protocols.dashboard.open
  end
  before = stats
  local fields = {}
  for name, value in pairs(values) do
    fields[#fields + 1] = ('"%s":%.2f'):format(name, value)
  end
  return '{' .. table.concat(fields, ',') .. '}'
end

context = websockets.context {
  port = port,
  on_http = websockets.static(here .. 'page'),
  protocols = {
    dashboard = function(ws)
      ws:write('[' .. table.concat(history, ',') .. ']')
      ws:on_receive(function() end) -- the traffic that the page makes is counted, no more
    end,
  },
}

-- Each worker has a history of its own for its pages: what is published would reach those of the others, too.
local function begin()
  context:every(1, function()
    history[#history + 1] = sample()
    if #history > history_length then
      table.remove(history, 1)
    end
    for ws in context:websockets 'dashboard' do
      ws:write('[' .. history[#history] .. ']')
    end
  end)
end

if not workers then
  begin()
end

print(('Open http://localhost:%s/ in a browser'):format(port))
io.stdout:flush()
os.exit((context:run { workers = workers, on_worker = workers and begin }))
