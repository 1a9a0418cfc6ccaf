-- SPDX-License-Identifier: MIT
-- The output handler that script/test gives to busted. It writes one line per test as it runs, so that the log of a
-- process that crashed ends with the culprit, then a line for script/test to sum up: N passed, N failed[, N skipped].
-- A pending test counts as failed, except when it is called 'needs PACKAGE' and spec/unavailable.txt has that package
-- for the Lua at hand (named by the environment variable LUA) and, where it names one, the system (SPEC_SYSTEM).

local function read_unavailable()
  local unavailable = {}
  for line in io.lines 'spec/unavailable.txt' do
    local lua, package, system = line:match '^([%w.]+)%s+(%S+)%s*(%S*)'
    if lua == os.getenv 'LUA' and (system == '' or system == os.getenv 'SPEC_SYSTEM') then unavailable[package] = true end
  end
  return unavailable
end

local function text_of(message)
  if type(message) == 'string' then return message end
  return message == nil and 'no message' or require('pl.pretty').write(message)
end

return function()
  local busted = require 'busted'
  local handler = require 'busted.outputHandlers.base' ()
  local unavailable = read_unavailable()
  local passed, failed, skipped = 0, 0, 0

  local function write(...)
    io.write(...)
    io.flush()
    return nil, true
  end

  local function report_failure(element, _, message, trace)
    failed = failed + 1
    return write('\nFAILED: ', handler.getFullName(element), '\n', text_of(message), '\n',
      trace and trace.traceback or '', '\n')
  end

  local function report_pending(element)
    local package = handler.getFullName(element):match 'needs (%S+)$'
    if unavailable[package] then
      skipped = skipped + 1
      return write 'skipped\n'
    end
    failed = failed + 1
    return write '\nFAILED: skipped, and spec/unavailable.txt does not allow it\n'
  end

  busted.subscribe({ 'test', 'start' }, function(element)
    return write(handler.getFullName(element), ' ... ')
  end)
  busted.subscribe({ 'test', 'end' }, function(element, _, status)
    if status == 'pending' then return report_pending(element) end
    if status == 'success' then
      passed = passed + 1
      return write 'ok\n'
    end
    return nil, true
  end)
  busted.subscribe({ 'failure' }, report_failure)
  busted.subscribe({ 'error' }, report_failure)
  busted.subscribe({ 'suite', 'end' }, function()
    return write(('%d passed, %d failed'):format(passed, failed),
      skipped > 0 and (', %d skipped'):format(skipped) or '', '\n')
  end)
  return handler
end
