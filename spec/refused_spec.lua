-- SPDX-License-Identifier: MIT
-- on_refused: each reason is in stats_spec.lua.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'

describe('on_refused', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- A context, its port, and the list of what on_refused is told.
  local function open(config)
    local told = {}
    local settings = { on_refused = function(reason, details)
      details.reason = reason
      told[#told + 1] = details
    end }
    for name, value in pairs(config or {}) do
      settings[name] = value
    end
    local ctx, port = pair.context(settings)
    return ctx, port, told
  end

  local function wait_for(ctx, told, count)
    loop.serve_until(ctx, function() return #told >= count end, 'on_refused')
    assert.equal(count, #told)
  end

  it('is told who, what for, and what was answered', function()
    local ctx, port, told = open { origins = { 'https://example.org' } }
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p', path = '/chat?room=1', headers = { Origin = 'https://example.com' } })
    assert.equal(403, (c:read_response()))
    wait_for(ctx, told, 1)
    assert.same({ reason = 'origin', address = '127.0.0.1', status = 403, uri = '/chat?room=1',
      origin = 'https://example.com', message = 'Pages of this origin may not open websockets here.' }, told[1])
  end)

  it('is told no more than is known', function()
    local ctx, port, told = open(tls.config { handshake_timeout = 0.02 })
    client.connect(ctx, port):read_all()
    wait_for(ctx, told, 1)
    assert.same({ reason = 'tls', address = '127.0.0.1' }, told[1])
  end)

  it('is told what on_upgrade has answered, and what request:reject() has', function()
    local requests = {}
    local ctx, port, told = open { on_upgrade = function(request)
      requests[#requests + 1] = request
      if #requests == 1 then return 401, nil, 'who are you?' end
      return request:defer()
    end }
    for i, status in ipairs { 401, 404 } do
      local c = client.connect(ctx, port)
      c:send(client.request { protocol = 'p', path = '/' .. i })
      loop.serve_until(ctx, function() return requests[i] end)
      if i == 2 then requests[2]:reject(404) end
      assert.equal(status, (c:read_response()))
      wait_for(ctx, told, i)
      assert.equal('upgrade', told[i].reason)
      assert.same({ status, '/' .. i }, { told[i].status, told[i].uri })
    end
    assert.equal('who are you?', told[1].message)
  end)

  it('is told texts without the end of their last line, whoever they are from', function()
    local answers = { function() error 'x' end, function() return 403 end, function() return 403, 'no\n' end }
    local ctx, port, told = open { on_error = function() end, on_upgrade = function() return table.remove(answers, 1)() end }
    for i, text in ipairs { 'The server failed to answer this request.', 'Forbidden', 'no' } do
      local c = client.connect(ctx, port)
      c:send(client.request { protocol = 'p' })
      c:read_response()
      wait_for(ctx, told, i)
      assert.equal(text, told[i].message)
    end
  end)

  it('is told the client behind a proxy', function()
    local ctx, port, told = open { trusted_proxies = { '127.0.0.1' } }
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'other', headers = { ['X-Forwarded-For'] = '192.0.2.7' } })
    assert.equal(400, (c:read_response()))
    wait_for(ctx, told, 1)
    assert.same({ 'subprotocol', '192.0.2.7' }, { told[1].reason, told[1].address })
  end)

  it('is told long texts up to 1024 bytes', function()
    local ctx, port, told = open()
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'other', path = '/' .. ('x'):rep(3000) })
    c:read_response()
    wait_for(ctx, told, 1)
    assert.equal('/' .. ('x'):rep(1023), told[1].uri)
  end)

  it('is not called for those who get what they came for', function()
    local ctx, port, told = open { on_http = function(ws) ws:respond(404, nil, 'no') end }
    client.open(ctx, port, 'p'):finish(1000)
    local c = client.connect(ctx, port)
    c:send(http.request '/')
    assert.equal(404, (c:read_response()))
    assert.same({}, told)
  end)

  it('is told of those whose answer comes while the server ends', function()
    local request
    local ctx, port, told = open { on_upgrade = function(given)
      request = given
      return given:defer()
    end }
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p' })
    loop.serve_until(ctx, function() return request end)
    ctx:shutdown(60)
    request:accept()
    assert.equal(503, (c:read_response()))
    c:read_all()
    c:close()
    loop.serve_until(ctx, function() return loop.is_destroyed(ctx) end)
    assert.equal(1, #told)
    assert.equal('shutdown', told[1].reason)
  end)

  it('may do anything', function()
    local errors, calls = {}, 0
    local ctx, port
    ctx, port = open {
      on_error = function(message, ws) errors[#errors + 1] = { message, ws } end,
      on_refused = function()
        calls = calls + 1
        if calls == 1 then error 'oops' end
        ctx:service(0)
        ctx:destroy()
      end,
    }
    for i = 1, 2 do
      local c = client.connect(ctx, port)
      c:send 'GARBAGE\r\n\r\n'
      c:read_all()
      loop.serve_until(ctx, function() return calls == i end)
    end
    assert.equal(1, #errors)
    assert.is_truthy(errors[1][1]:find('oops', 1, true))
    assert.is_nil(errors[1][2])
    assert.is_true(loop.is_destroyed(ctx))
  end)

  it('has to be a function', function()
    assert.error_matches(function() open { on_refused = 'x' } end, "option 'on_refused' is 'x', expected a function")
  end)
end)
