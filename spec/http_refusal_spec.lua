-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'

describe('on_http', function()
  leaks.check_each(before_each, after_each)
  after_each(http.remove_files)

  -- --- What is refused ---

  it('refuses what could be understood in two ways', function()
    local ctx, port, uris = http.word_server()
    local function post(...)
      return table.concat({ 'POST / HTTP/1.1', 'Host: x', ... }, '\r\n') .. '\r\n\r\n'
    end
    for _, bytes in ipairs {
      post('Content-Length: 1', 'Content-Length: 1'), post('Content-Length: 1', 'Transfer-Encoding: chunked'),
      post 'Content-Length: 1, 1', post 'Content-Length: -1', post 'Content-Length: +1',
      post 'Content-Length: 0x1', post 'Content-Length: ', post 'Content-Length: 1 1',
      post 'Content-Length: 99999999999999999999999',
      post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
      post 'Transfer-Encoding: chunked, gzip', post 'Transfer-Encoding: chunked, chunked',
      post 'Transfer-Encoding: ', post 'Content-Length : 1',
      'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n', 'GET / HTTP/1.1\nHost: x\n\n', '\22\3\1',
    } do
      http.expect_refusal(ctx, port, bytes, 400)
    end
    assert.same({}, uris)
  end)

  it('refuses malformed chunks', function()
    local ctx, port, uris = http.word_server()
    local head = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
    for _, chunks in ipairs {
      'x\r\n', '\r\n', '-1\r\n', ' 1\r\n', '0x1\r\n', '5\nhello\r\n', '5\r\nhello!\r\n0\r\n\r\n',
      '5\r\nhello\n0\r\n\r\n', '5 hello\r\n', '11111111111111111\r\n', '0\r\nno colon\r\n\r\n',
      '1;' .. ('x'):rep(20000),
      ('1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nx\r\n'):rep(2000),
    } do
      http.expect_refusal(ctx, port, head .. chunks, 400)
    end
    assert.same({}, uris)
  end)

  it('refuses what it does not know', function()
    local ctx, port, uris = http.word_server()
    local headers = { 'Transfer-Encoding: gzip, chunked' }
    http.expect_refusal(ctx, port, http.request('/', { headers = headers }), 501)
    for _, version in ipairs { 'HTTP/2.0', 'HTTP/2.1', 'HTTP/0.9', 'HTTP/9.9' } do
      http.expect_refusal(ctx, port, 'GET / ' .. version .. '\r\nHost: x\r\n\r\n', 505)
    end
    for _, version in ipairs { 'HTTP/1', 'HTTP/11', 'HTTP/1.1.1', 'FTP/1.1', 'HTTP/a.b' } do
      http.expect_refusal(ctx, port, 'GET / ' .. version .. '\r\nHost: x\r\n\r\n', 400)
    end
    http.expect_refusal(ctx, port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505)
    assert.same({}, uris)
  end)

  it('answers what came before the malformed', function()
    local ctx, port, uris = http.word_server()
    local c = client.connect(ctx, port)
    c:send(http.request '/one' .. http.request '/two' .. 'nonsense\r\n' .. http.request '/three')
    http.expect_word(c, 'one')
    http.expect_word(c, 'two')
    assert.equal(400, (c:read_response()))
    c:expect_end()
    assert.same({ '/one', '/two' }, uris)
  end)

  -- --- Errors ---

  it('answers 500 when it raises, and tells on_error', function()
    local errors, failing, given = {}, nil, nil
    local ctx, port = http.context(function(ws)
      failing = ws
      error 'deliberate'
    end, { on_error = function(message, ws)
      errors[#errors + 1] = message
      given = ws
    end })
    local c = client.connect(ctx, port)
    c:send(http.request '/' .. http.request '/')
    local status, headers, body = c:read_response()
    assert.equal(500, status)
    assert.equal('close', headers.connection)
    assert.is_nil(body:find('deliberate', 1, true))
    c:expect_end()
    assert.equal(1, #errors)
    assert.is_truthy(errors[1]:find('deliberate', 1, true))
    assert.is_truthy(errors[1]:find('traceback', 1, true))
    assert.is_true(failing == given)
    failing, given = nil, nil
  end)

  it('answers 500 without a body to HEAD', function()
    local c = http.open(function() error 'deliberate' end, { on_error = function() end })
    c:send(http.request('/', { method = 'HEAD' }))
    assert.equal(500, (c:read_response(true)))
    c:expect_end()
  end)

  it('lets an answer stand when it raises afterwards', function()
    local path = http.file 'contents'
    local c = http.open(function(ws)
      ws:serve_http_file(path, 'text/plain')
      error 'deliberate'
    end, { on_error = function() end })
    c:send(http.request '/' .. http.request '/')
    http.expect_word(c, 'contents')
    c:expect_end()
  end)

  it('goes on for others when it raises', function()
    local path = http.file 'contents'
    local ctx, port = http.context(function(ws, uri)
      if uri == '/bad' then error {} end
      ws:serve_http_file(path, 'text/plain')
    end, { on_error = function() end })
    local good, bad = client.connect(ctx, port), client.connect(ctx, port)
    for _, one in ipairs { good, bad } do
      one:send(http.request '/')
      http.expect_word(one, 'contents')
    end
    bad:send(http.request '/bad')
    assert.equal(500, (bad:read_response()))
    bad:expect_end()
    good:send(http.request '/')
    http.expect_word(good, 'contents')
  end)
end)
