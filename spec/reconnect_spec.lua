-- SPDX-License-Identifier: MIT
-- Clients that reconnect. How long they wait has unit tests.
local clients = require 'spec.support.clients'
local loop = require 'spec.support.loop'

local at_once = { delay = 0, max_delay = 0 }

describe('reconnect', function()
  after_each(clients.close_all)
  require('spec.support.leaks').check_each(before_each, after_each)

  it('opens again whenever the server drops it', function()
    local served
    local ctx, url = clients.server(nil, function(ws) served = ws end)
    local ws = ctx:connect(url, { reconnect = at_once })
    local log = clients.log(ws)
    ws.name = 'mine'
    ws:subscribe 'news'
    for i = 1, 5 do
      loop.serve_until(ctx, function() return #log == i end, 'the next opening')
      assert.equal('open 101', log[i])
      assert.same({ 'open', 'mine' }, { ws:state(), ws.name })
      assert.same({ 0, 1 }, { ctx:publish('news', 'x') })
      local dropped = served
      if i % 2 == 0 then dropped:terminate() else dropped:close(1001) end
      log[i + 1] = nil -- the message
      loop.serve_until(ctx, function()
        if log[i + 1] == 'x' then table.remove(log, i + 1) end
        return served ~= dropped and #log == i + 1
      end, 'another connection')
    end
    ws:close()
    assert.equal('closed 1005 ', log[#log])
    assert.same({}, ws:topics())
  end)

  it('asks on_retry, and goes by what it returns', function()
    local ctx = loop.context { port = 0 }
    local calls = {}
    local ws = ctx:connect(('ws://127.0.0.1:%d/'):format(loop.free_port()), { reconnect = at_once })
    local log = clients.log(ws)
    ws:on_retry(function(given, seconds, failure)
      assert(rawequal(given, ws))
      assert(ws:state() == 'connecting')
      calls[#calls + 1] = { seconds, failure.kind }
      if #calls == 2 then return 0.001 end
      if #calls == 3 then return false end
    end)
    loop.serve_until(ctx, function() return ws:state() == 'closed' end, 'giving up')
    assert.same({ { 0, 'refused' }, { 0, 'refused' }, { 0, 'refused' } }, calls)
    assert.same({ 'closed 1006 refused' }, log)
  end)

  it('goes on when on_retry fails', function()
    local errors = {}
    local ctx = loop.context { port = 0, on_error = function(message) errors[#errors + 1] = message end }
    local ws = ctx:connect(('ws://127.0.0.1:%d/'):format(loop.free_port()), { reconnect = at_once })
    local results = { function() error 'oops' end, function() return 'soon' end, function() return -1 end,
      function() return true end }
    local count = 0
    ws:on_retry(function()
      count = count + 1
      return (results[count] or function() return false end)()
    end)
    loop.serve_until(ctx, function() return ws:state() == 'closed' end)
    assert.equal(5, count)
    assert.equal(4, #errors)
    assert.matches('oops', errors[1])
    assert.matches("on_retry returned 'soon', not false, a number of seconds or nil", errors[2])
  end)

  it('gives up after so many attempts', function()
    local ctx = loop.context { port = 0 }
    local ws = ctx:connect(('ws://127.0.0.1:%d/'):format(loop.free_port()), { reconnect = { delay = 0, attempts = 3 } })
    local retries = 0
    ws:on_retry(function() retries = retries + 1 end)
    local log, ended = clients.log(ws)
    clients.wait_for_end(ctx, ended)
    assert.equal(3, retries)
    assert.same({ 'closed 1006 refused' }, log)
  end)

  it('does not try again what is final', function()
    local answer
    local ctx, url = clients.server { on_upgrade = function() return answer end }
    for _, status in ipairs { 401, 403, 404 } do
      answer = status
      local log, ended = clients.log(ctx:connect(url, { reconnect = at_once }))
      clients.wait_for_end(ctx, ended)
      assert.same({ 'closed 1006 http' }, log)
    end
    answer = 503
    local ws = ctx:connect(url, { reconnect = at_once })
    local retried
    ws:on_retry(function(_, _, failure)
      retried = failure.status
      answer = true
    end)
    clients.wait_for_state(ctx, ws, 'open')
    assert.equal(503, retried)
  end)

  it('takes no messages between two openings', function()
    local served
    local ctx, url = clients.server(nil, function(ws) served = ws end)
    local ws = ctx:connect(url, { reconnect = { delay = 1000 } })
    clients.wait_for_state(ctx, ws, 'open')
    served:terminate()
    local retry
    ws:on_retry(function(_, seconds)
      retry = seconds
      return 1000
    end)
    clients.wait_for_state(ctx, ws, 'reconnecting')
    assert.is_number(retry)
    assert.same({ -1, 'reconnecting' }, { ws:write 'x' })
    assert.same({ -1, 'reconnecting' }, { ws:ping() })
    assert.matches('%(reconnecting%)$', tostring(ws))
    assert.equal(0, ws:buffered_amount())
    -- What waits for a long time is told to go on now.
    assert.is_true(ws:reopen())
    clients.wait_for_state(ctx, ws, 'open')
    assert.equal(0, ws:write 'x')
  end)

  it('reopens when it is told to', function()
    local codes = {}
    local ctx, url = clients.server(nil, function(ws)
      ws:on_closed(function(_, code) codes[#codes + 1] = code end)
    end)
    local ws = ctx:connect(url, { reconnect = at_once })
    local log = clients.log(ws)
    ws:on_retry(function() error 'not asked' end)
    clients.wait_for_state(ctx, ws, 'open')
    assert.is_true(ws:reopen(4000, 'again'))
    loop.serve_until(ctx, function() return #log == 2 and #codes == 1 end, 'another opening')
    assert.same({ 'open 101', 'open 101' }, log)
    assert.same({ 4000 }, codes)
    local plain = clients.open(ctx, url)
    assert.is_false(plain:reopen())
    assert.equal('open', plain:state())
  end)

  it('ends by a local close, whatever it does', function()
    local served
    local ctx, url = clients.server(nil, function(ws) served = ws end)
    for _, state in ipairs { 'connecting', 'open', 'reconnecting' } do
      local ws = ctx:connect(url, { reconnect = { delay = 1000 } })
      local log = clients.log(ws)
      ws:on_retry(function() return 1000 end)
      if state ~= 'connecting' then clients.wait_for_state(ctx, ws, 'open') end
      if state == 'reconnecting' then
        served:terminate()
        clients.wait_for_state(ctx, ws, state)
      end
      ws:close(1000)
      assert.matches('^closed ', log[#log])
      assert.equal('closed', ws:state())
    end
  end)

  it('may be closed and destroyed in on_retry', function()
    for _, what in ipairs { 'close', 'destroy', 'reopen' } do
      local ctx = loop.context { port = 0 }
      local ws = ctx:connect(('ws://127.0.0.1:%d/'):format(loop.free_port()), { reconnect = at_once })
      local log = clients.log(ws)
      local count = 0
      ws:on_retry(function()
        count = count + 1
        if count == 2 or what ~= 'reopen' then return (what == 'destroy' and ctx or ws)[what == 'destroy' and what or 'close'](
          what == 'destroy' and ctx or ws) end
        ws:reopen()
      end)
      loop.serve_until(ctx, function() return ws:state() == 'closed' end)
      assert.equal(1, #log)
      assert.matches('^closed 1006', log[1])
    end
  end)
end)
