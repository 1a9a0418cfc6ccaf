-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local site = require 'spec.support.site'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

local is_slow = loop.time_factor > 1
local big_bytes = (is_slow and 4 or 24) * 1024 * 1024

describe('static', function()
  leaks.check_each(before_each, after_each)
  after_each(site.remove_folders)
  teardown(tls.remove_folders)

  -- --- What is served ---

  it('serves the files of a folder', function()
    local c = site.open { ['a.txt'] = 'text', ['b/c/d.png'] = 'image', ['empty'] = '' }
    local status, headers, body = site.get(c, '/a.txt')
    assert.equal(200, status)
    assert.equal('text', body)
    assert.equal('text/plain; charset=utf-8', headers['content-type'])
    assert.equal('bytes', headers['accept-ranges'])
    assert.is_truthy(headers['last-modified']:find 'GMT$')
    assert.is_truthy(headers.etag:find '^"[%x%-]+"$')
    assert.equal('Accept-Encoding', headers.vary)
    assert.is_nil(headers['cache-control'])
    assert.is_nil(headers['content-encoding'])
    status, headers, body = site.get(c, '/b/c/d.png?query')
    assert.same({ 200, 'image/png', 'image' }, { status, headers['content-type'], body })
    status, headers, body = site.get(c, '/empty')
    assert.same({ 200, '0', '' }, { status, headers['content-length'], body })
    assert.equal(404, (site.get(c, '/b/')))
    assert.equal(404, (site.get(c, '/none')))
    assert.equal(404, (site.get(c, '/a.txt/')))
    assert.equal(404, (site.get(c, '/a.txt/x')))
  end)

  it('serves files whole that do not tell their size', function()
    for root, name in pairs { ['/proc/sys/kernel'] = 'ostype', ['/sys/class/net/lo'] = 'mtu' } do
      local c = http.open(websockets.static(root, { max_age = 1 }))
      local contents = http.contents(root .. '/' .. name)
      for _, method in ipairs { 'GET', 'HEAD' } do
        local status, headers, body = site.get(c, '/' .. name, { method = method, headers = { 'Range: bytes=1-2' } })
        assert.same({ 200, tostring(#contents) }, { status, headers['content-length'] })
        assert.equal(method == 'GET' and contents or '', body)
        assert.is_nil(headers.etag)
        assert.is_nil(headers['last-modified'])
        assert.is_nil(headers['accept-ranges'])
        assert.equal('max-age=1', headers['cache-control'])
      end
    end
  end)

  it('decodes the names in the path', function()
    local c = site.open { ['a b+c%.txt'] = 'one', ['\195\164.txt'] = 'two', ["it's(~)&=$@!*,;:.txt"] = 'three' }
    for path, word in pairs {
      ['/a%20b+c%25.txt'] = 'one', ['/%61%20b%2bc%25%2Etxt?x=%zz'] = 'one', ['/%c3%A4.txt'] = 'two',
      ['/\195\164.txt'] = 'two', ["/it's(~)&=$@!*,;:.txt"] = 'three', ['http://localhost/%C3%A4.txt'] = 'two',
    } do
      local status, _, body = site.get(c, path)
      assert.same({ 200, word }, { status, body }, path)
    end
  end)

  it('answers HEAD without a body', function()
    local c = site.open { ['a.txt'] = 'text', ['sub/index.html'] = 'x' }
    local _, get = site.get(c, '/a.txt')
    local status, head = site.get(c, '/a.txt', { method = 'HEAD' })
    assert.equal(200, status)
    get.date, head.date = nil, nil
    assert.same(get, head)
    assert.equal(404, (site.get(c, '/none', { method = 'HEAD' })))
    assert.equal(301, (site.get(c, '/sub', { method = 'HEAD' })))
    assert.equal(200, (site.get(c, '/a.txt')))
  end)

  it('answers 405 to other methods', function()
    local c = site.open { ['a.txt'] = 'text' }
    for _, method in ipairs { 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'get' } do
      for _, path in ipairs { '/a.txt', '/none', '/..' } do
        local status, headers = site.get(c, path, { method = method, body = 'x' })
        assert.equal(405, status)
        assert.equal('GET, HEAD', headers.allow)
      end
    end
    assert.equal(200, (site.get(c, '/a.txt')))
  end)

  it('knows the types of files, whatever the case of their suffix', function()
    local c = site.open({ ['a.HTML'] = '', ['b.js'] = '', ['c.wasm'] = '', ['d.unknown'] = '', ['e'] = '',
      ['f.tar.gz'] = '', ['g.css'] = '', ['x.html/h'] = '', ['i.own'] = '', ['j.'] = '' },
      { types = { own = 'x/own', CSS = 'text/x-css' } })
    for path, expected in pairs {
      ['/a.HTML'] = 'text/html; charset=utf-8', ['/b.js'] = 'text/javascript; charset=utf-8',
      ['/c.wasm'] = 'application/wasm', ['/d.unknown'] = 'application/octet-stream',
      ['/e'] = 'application/octet-stream',
      ['/f.tar.gz'] = 'application/gzip', ['/g.css'] = 'text/x-css', ['/x.html/h'] = 'application/octet-stream',
      ['/i.own'] = 'x/own', ['/j.'] = 'application/octet-stream',
    } do
      local status, headers = site.get(c, path)
      assert.same({ 200, expected }, { status, headers['content-type'] }, path)
    end
  end)

  it('serves the index of a folder', function()
    local files = { ['index.html'] = 'root', ['sub/index.html'] = 'sub', ['other/start.htm'] = 'start',
      ['other/index.html'] = 'index', ['folder/index.html/x'] = '', ['none/x'] = '' }
    local c = site.open(files)
    for path, word in pairs { ['/'] = 'root', ['/?a=b'] = 'root', ['/sub/'] = 'sub', ['/sub/?x'] = 'sub',
      ['/other/'] = 'index', ['http://localhost'] = 'root' } do
      local status, headers, body = site.get(c, path)
      assert.same({ 200, word, 'text/html; charset=utf-8' }, { status, body, headers['content-type'] }, path)
    end
    assert.equal(404, (site.get(c, '/none/')))
    assert.equal(404, (site.get(c, '/folder/')))
    c = site.open(files, { index = { 'start.htm', 'index.html' } })
    assert.equal('start', select(3, site.get(c, '/other/')))
    assert.equal('sub', select(3, site.get(c, '/sub/')))
    c = site.open(files, { index = 'start.htm' })
    assert.equal('start', select(3, site.get(c, '/other/')))
    assert.equal(404, (site.get(c, '/sub/')))
    c = site.open(files, { index = false })
    assert.equal(404, (site.get(c, '/')))
    assert.equal(404, (site.get(c, '/sub/')))
  end)

  it('sends who asks for a folder to its slash', function()
    local c = site.open { ['sub/index.html'] = 'x', ['sub/a b/index.html'] = 'y', ['e:f/index.html'] = 'z' }
    for path, location in pairs { ['/sub'] = 'sub/', ['/sub?a=/b&c'] = 'sub/?a=/b&c', ['/sub/a%20b'] = 'a%20b/',
      ['/sub/a%20b??'] = 'a%20b/??', ['/e:f'] = 'e%3Af/' } do
      local status, headers, body = site.get(c, path)
      assert.same({ 301, location, '' }, { status, headers.location, body }, path)
    end
    for _, path in ipairs { '//evil.org', '//evil.org/..', '///evil.org', '/\\evil.org', '/%2fevil.org', '/%5cevil.org',
      '//evil.org/%2e%2e', '/%2f%2fevil.org/sub', '//sub', '/sub//', '/.//sub' } do
      local status, headers = site.get(c, path)
      assert.equal(404, status, path)
      assert.is_nil(headers.location)
    end
  end)

  it('hides names with a dot in front', function()
    local files = { ['.env'] = 'secret', ['.git/config'] = 'secret', ['a/.b/c'] = 'secret',
      ['.well-known/security.txt'] = 'public', ['.well-known/.x'] = 'secret', ['a/.well-known/x'] = 'secret',
      ['.hidden/index.html'] = 'secret' }
    local c = site.open(files)
    for _, path in ipairs { '/.env', '/%2eenv', '/.git/config', '/a/.b/c', '/.well-known/.x', '/a/.well-known/x',
      '/.hidden/',
      '/.hidden' } do
      local status, _, body = site.get(c, path)
      assert.equal(404, status, path)
      assert.is_nil(body:find 'secret')
    end
    assert.equal('public', select(3, site.get(c, '/.well-known/security.txt')))
    c = site.open(files, { dotfiles = true })
    for _, path in ipairs { '/.env', '/%2eenv', '/.git/config', '/a/.b/c', '/.hidden/' } do
      assert.equal('secret', select(3, site.get(c, path)), path)
    end
  end)

  it('adds headers of one\'s own, and how long a file may be kept', function()
    local c = site.open({ ['a.txt'] = 'text', ['sub/x'] = '' },
      { max_age = 3600, headers = { ['X-Frame-Options'] = 'DENY', Link = { '<a>', '<b>' } } })
    for path, status in pairs { ['/a.txt'] = 200, ['/sub'] = 301, ['/none'] = 404, ['/%'] = 400 } do
      local actual, headers = site.get(c, path)
      assert.equal(status, actual)
      assert.equal('DENY', headers['x-frame-options'])
      assert.equal('<a>, <b>', headers.link)
      assert.equal(status == 200 and 'max-age=3600' or nil, headers['cache-control'])
    end
    c = site.open({ ['a.txt'] = 'text' }, { max_age = 0 })
    assert.equal('max-age=0', select(2, site.get(c, '/a.txt'))['cache-control'])
  end)

  -- --- Compressed files ---

  local compressed = { ['a.js'] = 'plain', ['a.js.br'] = 'BROTLI', ['a.js.gz'] = 'GZIP', ['b.js'] = 'plain',
    ['b.js.gz'] = 'GZIP', ['c.js'] = 'plain', ['d.js.gz'] = 'GZIP', ['e.js'] = 'plain', ['e.js.gz/x'] = '',
    ['index.html'] = 'plain', ['index.html.gz'] = 'GZIP' }

  it('sends what lies compressed beside a file to who accepts it', function()
    local c = site.open(compressed)
    for _, case in ipairs {
      { '/a.js', nil, nil }, { '/a.js', '', nil }, { '/a.js', 'gzip', 'gzip' }, { '/a.js', 'br', 'br' },
      { '/a.js', 'gzip, deflate, br, zstd', 'br' }, { '/a.js', 'gzip;q=1, br;q=0.5', 'gzip' },
      { '/a.js', 'gzip;q=0, br;q=0', nil }, { '/a.js', 'gzip;q=0.000, br;q=0.001', 'br' }, { '/a.js', '*', 'br' },
      { '/a.js', '*;q=0', nil }, { '/a.js', 'br;q=0, *', 'gzip' }, { '/a.js', 'identity', nil },
      { '/a.js', 'identity, gzip;q=0.5', nil }, { '/a.js', 'identity;q=0.5, gzip', 'gzip' },
      { '/a.js', 'x-gzip', 'gzip' },
      { '/a.js', 'GZIP ; Q=0.5', 'gzip' }, { '/a.js', 'gzip;q=2, br;q=x', nil }, { '/a.js', 'deflate, compress', nil },
      { '/b.js', 'br, gzip', 'gzip' }, { '/b.js', 'br', nil }, { '/c.js', 'br, gzip', nil }, { '/e.js', 'gzip', nil },
      { '/', 'gzip', 'gzip' },
    } do
      local path, accepted, encoding = case[1], case[2], case[3]
      local status, headers, body = site.get(c, path, { headers = { accepted and 'Accept-Encoding: ' .. accepted } })
      assert.equal(200, status)
      assert.equal(encoding, headers['content-encoding'], accepted)
      assert.equal(encoding == 'br' and 'BROTLI' or encoding == 'gzip' and 'GZIP' or 'plain', body)
      assert.equal('Accept-Encoding', headers.vary)
      assert.equal(path == '/' and 'text/html; charset=utf-8' or 'text/javascript; charset=utf-8',
        headers['content-type'])
    end
    assert.equal(404, (site.get(c, '/d.js', { headers = { 'Accept-Encoding: gzip' } })))
    local _, headers, body = site.get(c, '/a.js.gz') -- asked for by its own name
    assert.same({ 'GZIP', 'application/gzip' }, { body, headers['content-type'] })
    assert.is_nil(headers['content-encoding'])
  end)

  it('tells what is compressed from what is not', function()
    local c = site.open(compressed)
    local tags = {}
    for _, accepted in ipairs { 'identity', 'gzip', 'br' } do
      local _, headers = site.get(c, '/a.js', { headers = { 'Accept-Encoding: ' .. accepted } })
      assert.is_nil(tags[headers.etag])
      tags[headers.etag] = true
      assert.equal(304, (site.get(c, '/a.js',
        { headers = { 'Accept-Encoding: ' .. accepted, 'If-None-Match: ' .. headers.etag } })))
      assert.equal(200, (site.get(c, '/a.js', { headers = { 'Accept-Encoding: *;q=0.1, br;q=0, gzip;q=0',
        'If-None-Match: ' .. (accepted == 'identity' and '"x"' or headers.etag) } })))
    end
  end)

  it('does not send what was compressed before the file changed', function()
    local c, root = site.open(compressed)
    site.touch(root .. '/a.js.br', '2001-01-01')
    local _, headers, body = site.get(c, '/a.js', { headers = { 'Accept-Encoding: br, gzip' } })
    assert.same({ 'gzip', 'GZIP' }, { headers['content-encoding'], body })
  end)

  it('leaves compressed files alone when told so', function()
    local c = site.open(compressed, { precompressed = false })
    local _, headers, body = site.get(c, '/a.js', { headers = { 'Accept-Encoding: br, gzip' } })
    assert.equal('plain', body)
    assert.is_nil(headers.vary)
    assert.is_nil(headers['content-encoding'])
  end)

  -- --- How it is used ---

  it('can be called from on_http, with a target of one\'s own', function()
    local results = {}
    local static = websockets.static(site.folder { ['a.txt'] = 'text', ['sub/index.html'] = 'sub' })
    local c = http.open(function(ws, uri)
      results[#results + 1] = { static(ws, uri:match '^/assets(/.*)$' or uri) }
      results[#results + 1] = { static(ws, '/a.txt') }
    end)
    assert.equal('text', select(3, site.get(c, '/assets/a.txt')))
    local status, headers = site.get(c, '/assets/sub')
    assert.same({ 301, 'sub/' }, { status, headers.location })
    assert.equal(404, (site.get(c, '/none')))
    for i = 1, 6, 2 do
      assert.same({ true }, results[i])
      assert.same({ false, 'already answered' }, results[i + 1])
    end
  end)

  it('leaves what is not there to others when told so', function()
    local static = websockets.static(site.folder { ['a.txt'] = 'text', ['sub/x'] = '' }, { fallthrough = true })
    local results = {}
    local c = http.open(function(ws, uri)
      local answered = static(ws, uri)
      results[#results + 1] = answered
      if not answered then ws:respond(404, { ['Content-Type'] = 'text/html' }, '<h1>own</h1>') end
    end)
    assert.equal('text', select(3, site.get(c, '/a.txt')))
    for _, path in ipairs { '/none', '/sub/', '/%', '/../x', '/.x' } do
      local status, _, body = site.get(c, path)
      assert.same({ 404, '<h1>own</h1>' }, { status, body })
    end
    assert.equal('<h1>own</h1>', select(3, site.get(c, '/a.txt', { method = 'POST', body = '' })))
    assert.equal(301, (site.get(c, '/sub')))
    assert.equal(416, (site.get(c, '/a.txt', { headers = { 'Range: bytes=9-' } })))
    assert.same({ true, false, false, false, false, false, false, true, true }, results)

    c = http.open(websockets.static(site.folder {}, { fallthrough = true }))
    assert.equal(404, (site.get(c, '/none')))
  end)

  it('takes a target with anything in its query for what it is', function()
    local static = websockets.static(site.folder { ['sub/x'] = '' })
    local c = http.open(function(ws) static(ws, '/sub?a=\r\nSet-Cookie: b \127\228') end)
    local status, headers = site.get(c, '/')
    assert.same({ 301, 'sub/?a=%0D%0ASet-Cookie:%20b%20%7F%E4' }, { status, headers.location })
    assert.is_nil(headers['set-cookie'])
  end)

  it('serves several contexts, later, and goes when nobody has it', function()
    local static = websockets.static(site.folder { ['a.txt'] = 'text' })
    local c, waiting = http.open_deferred()
    local other = http.open(static)
    c:send(http.request '/')
    assert.is_true(static(http.await(c, waiting), '/a.txt'))
    http.expect_word(c, 'text')
    assert.equal('text', select(3, site.get(other, '/a.txt')))
    c:send(http.request '/')
    local ws = http.await(c, waiting, 2)
    ws:close()
    assert.same({ false, 'closed' }, { static(ws, '/a.txt') })
  end)

  it('serves websockets on the same port', function()
    local ctx, port = loop.context {
      protocols = { p = function(ws)
        ws:on_receive(function(_, data) ws:write(data) end)
      end },
      on_http = websockets.static(site.folder { ['index.html'] = 'page' }),
    }
    local ws, c = client.open(ctx, port, 'p'), client.connect(ctx, port)
    for i = 1, 3 do
      assert.equal('page', select(3, site.get(c, '/')))
      ws:text('message ' .. i)
      ws:expect_text('message ' .. i)
    end
    c:send(client.request { protocol = 'p' })
    assert.equal(101, (c:read_head()))
    c:text 'x'
    c:expect_text 'x'
  end)

  it('serves over TLS', function()
    local body = http.pattern(300000)
    local root = site.folder { ['a.txt'] = body }
    local ctx, port = http.context(websockets.static(root), tls.config())
    local c = client.connect(ctx, port, { tls = {} })
    assert.is_true(select(3, site.get(c, '/a.txt')) == body)
    local _, headers, part = site.get(c, '/a.txt', { headers = { 'Range: bytes=100000-199999' } })
    assert.equal('bytes 100000-199999/300000', headers['content-range'])
    assert.is_true(part == body:sub(100001, 200000))
    local status, _, parts = site.get(c, '/a.txt', { headers = { 'Range: bytes=0-99999, -100000' } })
    assert.equal(206, status)
    assert.is_truthy(parts:find(body:sub(1, 100000), 1, true))
    assert.is_truthy(parts:find(body:sub(-100000), 1, true))
  end)

  it('keeps the folder that it was made for', function()
    local c, root = site.open { ['a.txt'] = 'text' }
    local moved = site.folder {}
    site.run(('mv %s %s/moved && mkdir %s'):format(root, moved, root))
    http.overwrite(root .. '/a.txt', 'another')
    assert.equal('text', select(3, site.get(c, '/a.txt')))
  end)

  it('ends the connection when a file becomes shorter meanwhile, and sends no more than it said', function()
    local body = http.pattern(big_bytes)
    local c, root = site.open { ['big'] = body }
    c:send(http.request '/big')
    assert.equal(tostring(big_bytes), select(2, c:read_head())['content-length'])
    http.overwrite(root .. '/big', body .. 'more')
    assert.is_true(c:read(big_bytes) == body)
    c:send(http.request('/big', { headers = { 'Range: bytes=10-' } }) .. http.request '/big')
    assert.equal(tostring(big_bytes + 4 - 10), select(2, c:read_head())['content-length'])
    http.overwrite(root .. '/big', 'short')
    local rest = c:read_all()
    assert.is_true(#rest < big_bytes)
    assert.is_nil(rest:find('HTTP/1.1', 1, true))
  end)

  it('drops a client that does not read', function()
    local root = site.folder { ['big'] = http.pattern(big_bytes * 2) }
    local ctx, port = http.context(websockets.static(root), { send_timeout = 0.2 })
    local c = client.connect(ctx, port)
    loop.step(ctx) -- the loop opens what it needs itself
    local before = leaks.count_descriptors()
    c:send(http.request '/big')
    loop.serve_until(ctx, function() return leaks.count_descriptors() < before end, 'the server to close')
    assert.is_true(#c:read_all() < 2 * big_bytes)
  end)

  -- --- What is refused ---

  it('checks its arguments', function()
    local root = site.folder {}
    local function expect_error(text, ...)
      local ok, message = pcall(websockets.static, ...)
      assert.is_false(ok, text)
      assert.is_truthy(message:find(text, 1, true), message)
    end
    expect_error 'bad argument #1'
    expect_error('bad argument #1', {})
    expect_error("call websockets.static with '.', not with ':'", websockets, root)
    expect_error('a path has no zeros', root .. '\0x')
    expect_error('bad argument #2', root, 'x')
    local prefix = 'websocket could not serve a folder: '
    expect_error(prefix .. "cannot open '/no/such/folder': No such file or directory", '/no/such/folder')
    expect_error(prefix .. "cannot open '/dev/null': Not a directory", '/dev/null')
    for name, values in pairs { dotfiles = { 1, 'x' }, follow_symlinks = { 1 }, fallthrough = { {} },
      precompressed = { 'no' },
      index = { 1, true, '', 'a/b', { 'a', 1 }, { 'a\n' } }, types = { 'x', { 'x' }, { x = 1 }, { x = 'a/b\r\nX: y' } },
      max_age = { -1, 'x', '-1', true, 0 / 0, 1 / 0 } } do
      for _, value in ipairs(values) do
        expect_error(prefix .. "option '" .. name .. "' is ", root, { [name] = value })
      end
    end
    expect_error(prefix .. "option 'headers': 'X-A': ", root, { headers = { ['X-A'] = 'b\nc' } })
    expect_error(prefix .. "option 'headers': a table", root, { headers = 'X-A: b' })
    expect_error(prefix .. "option 'headers': ", root, { headers = { ['Content-Type'] = 'a/b' } })
    expect_error(prefix .. "option 'headers': 'Date'", root, { headers = { Date = 'today' } })
  end)

  it('is for on_http only', function()
    local static = websockets.static(site.folder {})
    http.expect_for_on_http_only(function(ws) static(ws, '/') end)
    assert.is_false((pcall(static)))
    assert.is_false((pcall(static, {}, '/')))
    assert.is_false((pcall(static, io.stdout, '/')))
  end)
end)
