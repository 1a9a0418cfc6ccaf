-- SPDX-License-Identifier: MIT
-- Clients over TLS. How certificates are verified has unit tests.
local clients = require 'spec.support.clients'
local script = require 'spec.support.script'
local tls = require 'spec.support.tls'

describe('connect over TLS', function()
  teardown(tls.remove_folders)
  after_each(clients.close_all)
  require('spec.support.leaks').check_each(before_each, after_each)

  local function server(config, setup)
    local ctx, url = clients.server(tls.config(config), setup)
    return ctx, url:gsub('^ws', 'wss'), tls.folder 'ours' .. '/ca.pem'
  end

  it('exchanges messages with a server whose authority it knows', function()
    local ctx, url, ca = server(nil, function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end)
    local ws = ctx:connect(url, { ssl_ca_path = ca })
    local log, ended = clients.log(ws)
    ws:write(('x'):rep(1e5))
    ws:on_receive(function(_, data)
      log[#log + 1] = #data
      ws:close(1000)
    end)
    ws:on_open(function(_, response) log[#log + 1] = response.certificate.subject end)
    clients.wait_for_end(ctx, ended)
    assert.same({ 'CN=localhost', 1e5, 'closed 1000 ' }, log)
  end)

  it('says what is wrong with a certificate', function()
    local ctx, url, ca = server()
    for _, options in ipairs { {}, { ssl_ca_path = ca, ssl_server_name = 'example.org' }, { ssl_ca_path = '/nowhere' },
      { ssl_ca_path = ca, ssl_pinned_keys = { 'sha256//' .. ('A'):rep(43) .. '=' } } } do
      options.reconnect = true -- it is final nevertheless
      local _, ended = clients.log(ctx:connect(url, options))
      clients.wait_for_end(ctx, ended)
      local failure = ended.failure
      assert.same({ 'tls', 'tls', 1006 }, { failure.kind, failure.phase, ended.code })
      assert.is_string(failure.message)
    end
  end)

  it('connects all the same when it is told to', function()
    local ctx, url = server()
    local ws = clients.open(ctx, url, { ssl_verify = false })
    assert.equal('open', ws:state())
  end)

  it('shows a certificate of its own', function()
    local subject
    local folder = tls.folder 'ours'
    local ctx, url, ca = server({
      ssl_ca_path = folder .. '/ca.pem', options = 2,
      on_upgrade = function(request)
        subject = request.client_certificate.subject
        return true
      end,
    })
    local ws = clients.open(ctx, url, {
      ssl_ca_path = ca, ssl_cert_path = folder .. '/client.pem', ssl_private_key_path = folder .. '/client.key',
    })
    assert.matches('^CN=', subject)
    ws:close()
    local _, ended = clients.log(ctx:connect(url, { ssl_ca_path = ca }))
    clients.wait_for_end(ctx, ended)
    assert.same({ 1006, 'tls', 'tls' }, { ended.code, ended.failure.kind, ended.failure.phase })
    assert.matches("^TLS with '127.0.0.1': .*certificate required", ended.failure.message)
  end)

  -- What OpenSSL keeps for the thread is lost, which a sanitizer reports, or freed beside what exit() takes down.
  it('lets a script end while a thread prepares for it', function()
    for _ = 1, 10 do
      script.run [[
        local context = require('websockets').context {}
        local ws = context:connect('wss://127.0.0.1:1/', { ssl_verify = false })
        while ws:state() ~= 'closed' do context:service(-1) end
      ]]
      script.run "require('websockets').connect('wss://127.0.0.1:1/', { ssl_verify = false })"
    end
  end)
end)
