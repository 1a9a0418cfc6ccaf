-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local socket = require 'socket'

local is_slow = loop.time_factor > 1
local megabyte = 1024 * 1024
-- More than the system keeps for both sides of a connection.
local big_bytes = (is_slow and 24 or 50) * megabyte

describe('serve_http_file', function()
  leaks.check_each(before_each, after_each)
  after_each(http.remove_files)

  -- A server that serves one file, whatever it is asked for. The third result: what its calls returned.
  local function file_server(path, content_type)
    local results = {}
    local ctx, port = http.context(function(ws)
      results[#results + 1] = { ws:serve_http_file(path, content_type or 'text/plain') }
    end)
    return ctx, port, results
  end

  -- The same with a client of it, connected.
  local function open(path, content_type)
    local ctx, port, results = file_server(path, content_type)
    return client.connect(ctx, port), results, ctx, port
  end

  -- Reads so many bytes of a file made by big_file(), block by block.
  local function expect_content(c, size, block)
    for position = 1, size, #block do
      local expected = block:sub(1, size - position + 1)
      if c:read(#expected) ~= expected then error('other bytes behind ' .. position, 2) end
    end
  end

  local function big_file(size)
    local block = http.pattern(megabyte)
    local path = http.file ''
    local file = assert(io.open(path, 'wb'))
    for position = 1, size, megabyte do
      file:write(block:sub(1, size - position + 1))
    end
    file:close()
    return path, block
  end

  -- --- What is sent ---

  it('sends the file with its type, its length and the date', function()
    local c, results = open(http.file 'contents\r\n\0\255', 'text/x-test; charset=utf-8')
    c:send(http.request '/')
    local status, headers, body = c:read_response()
    assert.equal(200, status)
    assert.equal('contents\r\n\0\255', body)
    assert.equal('text/x-test; charset=utf-8', headers['content-type'])
    assert.equal('12', headers['content-length'])
    assert.is_truthy(headers.date:match '^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$')
    assert.same({ { 0 } }, results)
  end)

  it('sends several files on one connection', function()
    local paths = { http.file 'one', http.file 'two', http.file(http.pattern(100000)) }
    local c = http.open(function(ws, uri) ws:serve_http_file(paths[tonumber(uri:sub(2))], 'text/plain') end)
    for _ = 1, 3 do
      c:send(http.request '/1' .. http.request '/3' .. http.request '/2')
      assert.equal('one', select(3, c:read_response()))
      assert.is_true(http.pattern(100000) == select(3, c:read_response()))
      assert.equal('two', select(3, c:read_response()))
    end
  end)

  it('sends an empty file', function()
    local c, results = open(http.file '')
    c:send(http.request '/' .. http.request '/')
    for _ = 1, 2 do
      local status, headers, body = c:read_response()
      assert.equal(200, status)
      assert.equal('0', headers['content-length'])
      assert.equal('', body)
    end
    assert.same({ { 0 }, { 0 } }, results)
  end)

  it('sends files whole that do not tell their size, and such that are as long as those pretend to be', function()
    local c = http.open(function(ws, uri) ws:serve_http_file(uri, 'text/plain') end)
    local page = http.file(('x'):rep(4096))
    for _, path in ipairs { '/proc/sys/kernel/ostype', '/proc/self/limits', '/sys/class/net/lo/mtu', page } do
      local contents = http.contents(path)
      assert.is_true(#contents > 0)
      c:send(http.request(path) .. http.request(path, { method = 'HEAD' }))
      local status, headers, body = c:read_response()
      assert.same({ 200, tostring(#contents), contents }, { status, headers['content-length'], body })
      status, headers = c:read_response(true)
      assert.same({ 200, tostring(#contents) }, { status, headers['content-length'] })
    end
  end)

  it('answers 404 when a file cannot be read', function()
    local c, results = open '/proc/self/mem' -- at its begin there is nothing
    c:send(http.request '/')
    assert.equal(404, (c:read_response()))
    assert.same({ { -1, 'not found' } }, results)
  end)

  it('sends no body to HEAD', function()
    local c, results = open(http.file 'contents', 'image/png')
    c:send(http.request('/', { method = 'HEAD' }) .. http.request '/')
    local status, headers = c:read_response(true)
    assert.equal(200, status)
    assert.equal('8', headers['content-length'])
    assert.equal('image/png', headers['content-type'])
    assert.equal('contents', select(3, c:read_response()))
    assert.same({ { 0 }, { 0 } }, results)
  end)

  it('sends the file as it was when it was opened, though it is gone', function()
    local path = http.file 'contents'
    local c = http.open(function(ws)
      ws:serve_http_file(path, 'text/plain')
      os.remove(path)
    end)
    c:send(http.request '/')
    assert.equal('contents', select(3, c:read_response()))
  end)

  it('converts numbers', function()
    local c, results = open(12345678901, 42)
    c:send(http.request '/')
    assert.equal(404, (c:read_response()))
    assert.equal(-1, results[1][1])
  end)

  -- --- Big files ---

  it('lets others be served while a slow reader takes a big file', function()
    local path, block = big_file(big_bytes)
    local ctx, port = loop.context {
      protocols = { p = function(ws)
        ws:on_receive(function(self, data) self:write(data) end)
      end },
      on_http = function(ws) ws:serve_http_file(path, 'text/plain') end,
    }
    local reader, other = client.connect(ctx, port), client.open(ctx, port, 'p')
    reader:send(http.request '/')
    local _, headers = reader:read_head()
    assert.equal(tostring(big_bytes), headers['content-length'])
    for i = 1, 20 do -- without reading
      other:text('message ' .. i)
      other:expect_text('message ' .. i)
    end
    for position = 1, big_bytes, megabyte do
      expect_content(reader, math.min(megabyte, big_bytes - position + 1), block)
      other:text('message ' .. position)
      other:expect_text('message ' .. position)
    end
    reader:send(http.request('/', { method = 'HEAD' }))
    assert.equal(200, (reader:read_response(true)))
  end)

  it('sends a big file to several readers at once', function()
    local size = 3 * megabyte + 17
    local path, block = big_file(size)
    local ctx, port = file_server(path)
    local readers = {}
    for i = 1, 5 do
      readers[i] = client.connect(ctx, port)
      readers[i]:send(http.request('/', { headers = { 'Connection: close' } }))
    end
    for i = #readers, 1, -1 do
      assert.equal(200, (readers[i]:read_head()))
      expect_content(readers[i], size, block)
      readers[i]:expect_end()
    end
  end)

  it('sends a big file to who has ended its side', function()
    local path, block = big_file(big_bytes)
    for _, headers in ipairs { {}, { 'Connection: close' } } do
      local c = open(path)
      c:send(http.request('/', { headers = headers }))
      c:shutdown()
      assert.equal(200, (c:read_head()))
      expect_content(c, big_bytes, block)
      c:expect_end()
    end
  end)

  it('sends a file of which there is nothing on the disk', function()
    local path = http.file ''
    local file = assert(io.open(path, 'wb'))
    file:seek('set', big_bytes - 1)
    file:write 'x'
    file:close()
    local c = open(path)
    c:send(http.request '/' .. http.request '/next')
    assert.equal(200, (c:read_head()))
    expect_content(c, big_bytes - 1, ('\0'):rep(megabyte))
    assert.equal('x', c:read(1))
    assert.equal(200, (c:read_head()))
  end)

  -- --- What cannot be sent ---

  it('answers 404 when there is no such file', function()
    local file = http.file 'contents'
    local pipe, link, circle, directory = http.file(), http.file(), http.file(), http.file()
    local locked = http.file 'x'
    assert.is_truthy(os.execute('mkfifo ' .. pipe))
    assert.is_truthy(os.execute('ln -s /no/such/file ' .. link))
    assert.is_truthy(os.execute(('ln -s %s %s'):format(circle, circle)))
    assert.is_truthy(os.execute('mkdir ' .. directory))
    assert.is_truthy(os.execute('chmod 0 ' .. locked))
    local paths = { '/no/such/file', '', '/', '.', directory, pipe, link, circle, file .. '/', file .. '/x',
      '/dev/null', '/dev/zero', '/' .. ('x'):rep(300), ('/x'):rep(5000) }
    local may_read = io.open(locked) -- root may read everything
    if may_read then
      may_read:close()
    else
      paths[#paths + 1] = locked
    end
    for _, path in ipairs(paths) do
      local c, results = open(path)
      for _, method in ipairs { 'GET', 'HEAD' } do
        c:send(http.request('/', { method = method }))
        local status, headers, body = c:read_response(method == 'HEAD')
        assert.equal(404, status, path)
        assert.is_nil(headers.connection)
        assert.equal(method == 'GET', body:find '%w' ~= nil)
      end
      assert.same({ { -1, 'not found' }, { -1, 'not found' } }, results)
      c:close()
    end
    os.execute('rmdir ' .. directory)
  end)

  it('answers 404 to a name with a zero in it', function()
    local c, results = open(http.file 'contents' .. '\0.png', 'image/png')
    c:send(http.request '/')
    assert.equal(404, (c:read_response()))
    assert.same({ { -1, 'not found' } }, results)
  end)

  it('answers 405 to other methods', function()
    local c, results = open(http.file 'contents')
    for _, method in ipairs { 'POST', 'PUT', 'DELETE', 'OPTIONS', 'get' } do
      c:send(http.request('/', { method = method, body = 'x' }))
      local status, headers, body = c:read_response()
      assert.equal(405, status)
      assert.equal('GET, HEAD', headers.allow)
      assert.is_truthy(body:find '%w')
    end
    c:send(http.request '/')
    assert.equal('contents', select(3, c:read_response()))
    assert.equal(-1, results[1][1])
    assert.is_string(results[1][2])
    assert.same({ 0 }, results[6])
  end)

  it('answers once', function()
    local path = http.file 'contents'
    local results
    local c = http.open(function(ws)
      results = { { ws:serve_http_file(path, 'a/b') }, { ws:serve_http_file(path, 'c/d') },
        { ws:serve_http_file('/no/such/file', 'a/b') } }
    end)
    c:send(http.request '/' .. http.request '/')
    for _ = 1, 2 do
      local _, headers, body = c:read_response()
      assert.equal('a/b', headers['content-type'])
      assert.equal('contents', body)
    end
    assert.same({ { 0 }, { -1, 'already answered' }, { -1, 'already answered' } }, results)
  end)

  it('does not try another file after a 404', function()
    local path = http.file 'contents'
    local result
    local c = http.open(function(ws)
      ws:serve_http_file('/no/such/file', 'a/b')
      result = { ws:serve_http_file(path, 'a/b') }
    end)
    c:send(http.request '/' .. http.request '/')
    assert.equal(404, (c:read_response()))
    assert.equal(404, (c:read_response()))
    assert.same({ -1, 'already answered' }, result)
  end)

  it('lets no header be smuggled in', function()
    local path = http.file 'contents'
    local failures = 0
    local c = http.open(function(ws)
      for _, value in ipairs { 'a/b\r\nX-Evil: 1', 'a/b\nX-Evil: 1', 'a/b\r', 'a/b\0', '\n' } do
        local ok, message = pcall(ws.serve_http_file, ws, path, value)
        if not ok and message:find 'bad argument' then failures = failures + 1 end
      end
      ws:serve_http_file(path, 'a/b')
    end)
    c:send(http.request '/')
    local status, headers = c:read_response()
    assert.equal(200, status)
    assert.equal('a/b', headers['content-type'])
    assert.is_nil(headers['x-evil'])
    assert.equal(5, failures)
  end)

  it('checks its arguments', function()
    local path = http.file 'contents'
    local failures = 0
    local c = http.open(function(ws)
      local function expect_error(...)
        if not pcall(ws.serve_http_file, ...) then failures = failures + 1 end
      end
      expect_error(ws)
      expect_error(ws, path)
      expect_error(ws, nil, 'a/b')
      expect_error(ws, path, nil)
      expect_error(ws, {}, 'a/b')
      expect_error(ws, path, {})
      expect_error(path, 'a/b')
    end)
    c:send(http.request '/')
    assert.equal(404, (c:read_response()))
    assert.equal(7, failures)
  end)

  it('is for on_http only', function()
    local path = http.file 'contents'
    http.expect_for_on_http_only(function(ws) ws:serve_http_file(path, 'a/b') end)
  end)

  it('does nothing between two requests', function()
    local path = http.file 'contents'
    local kept
    local c = http.open(function(ws)
      kept = ws
      ws:serve_http_file(path, 'a/b')
    end)
    c:send(http.request '/')
    assert.equal('contents', select(3, c:read_response()))
    assert.equal(-1, (kept:serve_http_file(path, 'a/b')))
    c:send(http.request '/')
    assert.equal('contents', select(3, c:read_response()))
    kept = nil
  end)

  -- --- What may happen meanwhile ---

  it('ends the connection when the file becomes shorter', function()
    local path = big_file(big_bytes)
    local c = open(path)
    c:send(http.request '/' .. http.request '/')
    local _, headers = c:read_head()
    assert.equal(tostring(big_bytes), headers['content-length'])
    http.overwrite(path, '')
    local rest = c:read_all()
    assert.is_true(#rest < big_bytes)
    assert.is_nil(rest:find('HTTP/1.1', 1, true)) -- the next answer would be taken for contents
  end)

  it('sends no more than it announced when the file becomes longer', function()
    local path, block = big_file(big_bytes)
    local c = open(path)
    c:send(http.request '/')
    c:read_head()
    local file = assert(io.open(path, 'ab'))
    file:write(block)
    file:close()
    expect_content(c, big_bytes, block)
    c:send(http.request('/', { method = 'HEAD' }))
    local _, headers = c:read_response(true)
    assert.equal(tostring(big_bytes + #block), headers['content-length'])
  end)

  it('closes the file when the client goes in the midst', function()
    local path = big_file(big_bytes)
    local ctx, port = file_server(path)
    loop.step(ctx) -- the loop opens what it needs itself
    local before = leaks.count_descriptors()
    for _, ending in ipairs { 'reset', 'close' } do
      local c = client.connect(ctx, port)
      c:send(http.request '/')
      c:read(megabyte)
      assert.equal(before + 3, leaks.count_descriptors()) -- both ends and the file
      c[ending](c)
      loop.serve_until(ctx, function() return leaks.count_descriptors() == before end, 'the file to be closed')
    end
  end)

  it('closes the file when the context is destroyed in the midst', function()
    local path = big_file(big_bytes)
    local c, _, ctx = open(path)
    c:send(http.request '/')
    c:read(megabyte)
    ctx:destroy()
    assert.is_true(#c:read_all() < big_bytes)
    -- The check for leaks does the rest.
  end)

  it('drops a client that reads nothing any more', function()
    local path = big_file(big_bytes)
    local ctx, port = loop.context {
      send_timeout = 0.2,
      protocols = { p = function() end },
      on_http = function(ws) ws:serve_http_file(path, 'text/plain') end,
    }
    local c = client.connect(ctx, port)
    loop.step(ctx) -- the loop opens what it needs itself
    local before = leaks.count_descriptors()
    c:send(http.request '/')
    loop.serve_until(ctx, function() return leaks.count_descriptors() < before end) -- the server's end is gone
    c:close()
  end)

  -- The kernel tells of room only when there is enough of it.
  it('drops a client that reads a byte now and then', function()
    local path = big_file(big_bytes)
    local ctx, port = loop.context {
      send_timeout = 0.2,
      protocols = { p = function() end },
      on_http = function(ws) ws:serve_http_file(path, 'text/plain') end,
    }
    local c = client.connect(ctx, port, { receive_buffer = 4096 })
    loop.step(ctx)
    local before = leaks.count_descriptors()
    c:send(http.request '/')
    loop.serve_until(ctx, function()
      c.sock:receive(1)
      return leaks.count_descriptors() < before
    end, 'the end of a slow reader')
    c:close()
  end)

  it('waits for a client that goes on reading, for longer than send_timeout in all', function()
    local send_timeout, count = 2 * math.min(loop.time_factor, 3), big_bytes / (2 * megabyte)
    local path, block = big_file(big_bytes)
    local ctx, port = loop.context {
      send_timeout = send_timeout,
      protocols = { p = function() end },
      on_http = function(ws) ws:serve_http_file(path, 'text/plain') end,
    }
    local c = client.connect(ctx, port)
    c:send(http.request '/')
    c:read_head()
    local started = socket.gettime()
    for i = 1, count do
      assert.is_true(c:read(2 * megabyte) == block:rep(2))
      local due = started + i * 1.5 * send_timeout / count
      loop.serve_until(ctx, function() return socket.gettime() > due end)
    end
  end)

  it('opens one file at a time of a connection', function()
    local path = http.file(http.pattern(megabyte))
    local most = 0
    local asked = 0
    local ctx, port = http.context(function(ws)
      ws:serve_http_file(path, 'text/plain')
      asked = asked + 1
      most = math.max(most, leaks.count_descriptors())
    end)
    loop.step(ctx) -- the loop opens what it needs itself
    local before = leaks.count_descriptors()
    local c = client.connect(ctx, port)
    local count = 30
    c:send(http.request '/':rep(count))
    for _ = 1, 10 do
      loop.step(ctx)
    end
    assert.is_true(leaks.count_descriptors() <= before + 3) -- both ends of the connection, and the file
    for _ = 1, count do
      assert.is_true(http.pattern(megabyte) == select(3, c:read_response()))
    end
    assert.equal(count, asked)
    assert.is_true(most <= before + 3)
  end)

  it('serves many small files of one segment', function()
    local path = http.file 'contents'
    local c, results = open(path)
    local count = is_slow and 100 or 500
    c:send(http.request '/':rep(count))
    for _ = 1, count do
      assert.equal('contents', select(3, c:read_response()))
    end
    assert.equal(count, #results)
  end)
end)
