-- SPDX-License-Identifier: MIT
-- Usage: luajit frames.lua URL FRAMES
--
-- What a game does, sixty times a second: a client connects, and in each frame the default context is served without
-- waiting. Prints how long connect() took, then the longest service(0), in ms by the clock; the same of the CPU time of
-- this thread; and the CPU time of all others; then how it ended. At most so many frames; after the opening 30 more.

local ffi = require 'ffi'
local websockets = require 'websockets'

ffi.cdef [[
  struct timespec { long tv_sec; long tv_nsec; };
  int clock_gettime(int clock, struct timespec *time);
  int nanosleep(const struct timespec *time, struct timespec *rest);
]]
local MONOTONIC, PROCESS, THREAD = 1, 2, 3 -- of <time.h> on Linux
local FRAME_MS = 1000 / 60

local time = ffi.new 'struct timespec'

local function milliseconds(clock)
  ffi.C.clock_gettime(clock, time)
  return tonumber(time.tv_sec) * 1e3 + tonumber(time.tv_nsec) / 1e6
end

local function sleep(ms)
  time.tv_sec, time.tv_nsec = 0, ms * 1e6
  ffi.C.nanosleep(time, nil)
end

-- Its result, then what it took by the clock, and of this thread.
local function measure(fn, ...)
  local thread, start = milliseconds(THREAD), milliseconds(MONOTONIC)
  local result = fn(...)
  return result, milliseconds(MONOTONIC) - start, milliseconds(THREAD) - thread
end

local url, frames = arg[1], tonumber(arg[2])
local outcome = 'connecting'
local process, thread = milliseconds(PROCESS), milliseconds(THREAD)
local ws, connect_ms, connect_cpu_ms = measure(websockets.connect, url, {
  ssl_server_name = 'localhost',
  connect_timeout = 3,
})
ws:on_open(function()
  outcome, frames = 'open', 30
end)
ws:on_closed(function(_, _, _, failure)
  if failure then
    outcome, frames = failure.kind .. ' ' .. failure.phase, 0
  end
end)

local context = ws:context()
local longest_ms, longest_cpu_ms = 0, 0
while frames > 0 do
  local start = milliseconds(MONOTONIC)
  frames = frames - 1
  local _, ms, cpu_ms = measure(context.service, context, 0)
  longest_ms, longest_cpu_ms = math.max(longest_ms, ms), math.max(longest_cpu_ms, cpu_ms)
  sleep(math.max(0, start + FRAME_MS - milliseconds(MONOTONIC)))
end
local others_ms = milliseconds(PROCESS) - process - (milliseconds(THREAD) - thread)
print(connect_ms, longest_ms, connect_cpu_ms, longest_cpu_ms, others_ms, outcome)
