-- SPDX-License-Identifier: MIT
-- Ways out of a folder of static files that have worked somewhere. None may give a byte of what is outside.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local site = require 'spec.support.site'
local websockets = require 'websockets'

local refused = { [400] = true, [403] = true, [404] = true }

describe('static files', function()
  leaks.check_each(before_each, after_each)
  after_each(site.remove_folders)

  -- A folder with a secret beside it, and another one whose name begins alike:
  --   secret.txt  wwwx/secret.txt  www/index.html  www/sub/file.txt  www/...
  local function open(options)
    local outside = site.folder { ['secret.txt'] = 'SECRET', ['wwwx/secret.txt'] = 'SECRET',
      ['www/index.html'] = 'inside',
      ['www/sub/file.txt'] = 'inside', ['www/.htaccess'] = 'SECRET', ['www/index.html~'] = 'inside' }
    local ctx, port = http.context(websockets.static(outside .. '/www', options))
    return ctx, port, outside
  end

  -- Sends a request with this target as it is, on a connection of its own.
  local function expect_refusal(ctx, port, target)
    local c = client.connect(ctx, port)
    c:send(('GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'):format(target))
    local answer = c:read_all()
    local status = tonumber(answer:match '^HTTP/1%.1 (%d%d%d) ')
    assert.is_true(refused[status], ('%s to %q'):format(status, target))
    assert.is_nil(answer:find 'SECRET', target)
    assert.is_nil(answer:find 'root:', target)
    c:close()
  end

  local ups = {
    '..', '%2e%2e', '%2E%2e', '.%2e', '%2e.', '%252e%252e', '%%32%65%%32%65', '%c0%ae%c0%ae', '%c0%2e%c0%2e',
    '%e0%80%ae%e0%80%ae',
    '%uff0e%uff0e', '%u002e%u002e', '..%00', '..%00.html', '%00..', '..;', '..;a=b', '..%3b', '..%20', '.. ', '..%09',
    '..%0d%0a',
    '..%ff', '..%c0%af', '..%252f', '..%5c', '..\\', '...', '....', '..../', '.%00.', '.%0d.', '\\..', '%5c..', '..%01',
    '%2e%2e%2e', '..%u2215', '\239\188\142\239\188\142',
  }
  local separators = { '/', '%2f', '%2F', '\\', '%5c', '%5C', '%252f', '%c0%af', '//', '/./', '%2f%2f', '/%2f',
    '%u2215', '%00/' }

  it('are not left by going up', function()
    local ctx, port = open()
    for _, up in ipairs(ups) do
      for _, separator in ipairs(separators) do
        for _, prefix in ipairs { '/', '/sub' .. separator .. up .. separator } do
          local step = up .. separator
          if not step:find ' ' then -- a blank ends the target
            expect_refusal(ctx, port, prefix .. step .. 'secret.txt')
          end
        end
      end
    end
  end)

  it('are not left by going up as far as can be', function()
    local ctx, port = open()
    for _, up in ipairs { '../', '..%2f', '%2e%2e/', '%2e%2e%2f', '..\\', '..%5c', '..;/', './../', '.%2e/', '....//',
      '..//',
      '%252e%252e%252f', '..%c0%af', 'sub/../../' } do
      for _, depth in ipairs { 1, 8, 40 } do
        for _, file in ipairs { 'etc/passwd', 'etc%2fpasswd', 'etc/passwd%00.html', 'etc/passwd?x=.html',
          'etc/passwd/' } do
          expect_refusal(ctx, port, '/' .. up:rep(depth) .. file)
        end
      end
    end
  end)

  it('are not left by other tricks', function()
    local ctx, port, outside = open()
    local absolute = outside .. '/secret.txt'
    for _, target in ipairs {
      -- Paths that are absolute, with one slash or several, or of other schemes.
      '/' .. absolute, '//' .. absolute, '///' .. absolute, '/%2f' .. absolute, '/' .. absolute:gsub('/', '%%2f'),
      '/./' .. absolute, 'file://' .. absolute, 'file:' .. absolute, '/file://' .. absolute, 'http:' .. absolute,
      'http://localhost/..' .. absolute, 'http://localhost//' .. absolute, 'http://../../secret.txt',
      'http://x/../secret.txt',
      absolute:sub(2), '..' .. '/secret.txt', '*', '.', '..', '/..', '/.', '/../', '/./', '/../www/index.html',
      '/sub/../index.html', '/sub/./file.txt', '/sub//file.txt', '//index.html', '/sub/..', '/sub/.', '/%2e', '/%2e%2e',
      -- The name of the folder, and names that begin like it.
      '/../wwwx/secret.txt', '/..wwwx/secret.txt', '/../www', 'x/secret.txt', '/x/secret.txt',
      -- Zeros, control characters, malformed escapes.
      '/index.html%00', '/index.html%00.png', '/%00', '/%00/index.html', '/sub%00/file.txt', '/index.html%0a',
      '/%0d%0aX-Evil:1',
      '/index.html%', '/index.html%2', '/index.html%zz', '/%', '/%%', '/%2', '/index.html%7f', '/index.html\127',
      -- Names that mean another file elsewhere.
      '/index.html.', '/index.html..', '/index.html/', '/index.html/.', '/index.html/..', '/index.html%20',
      '/index.html%2f',
      '/index.html::$DATA', '/index.html%3a%3a$DATA', '/INDEX~1.HTM', '/con', '/nul.html', '/c:/windows/win.ini',
      '/c:%5cwindows%5cwin.ini', '/%5c%5clocalhost%5cc$%5cx', '/sub%5cfile.txt', '/sub\\file.txt', '/sub%2ffile.txt',
      '/.htaccess', '/%2ehtaccess', '/%2Ehtaccess', '/sub/../.htaccess', '/.htaccess/', '/.htaccess%00',
      '/index.html;.htaccess', '/~root/', '/~/', '/$HOME/', '/proc/self/root/etc/passwd', '/dev/stdin', '/dev/fd/0',
      -- Too long.
      '/' .. ('a'):rep(300), '/' .. ('a/'):rep(3000) .. 'x', '/' .. ('%61'):rep(2000),
      '/' .. ('sub/../'):rep(500) .. 'index.html',
      -- Another unicode.
      '/..\226\136\149secret.txt', '/\226\128\165/secret.txt', '/%e2%80%a5/secret.txt',
      '/%ef%bc%8e%ef%bc%8e/secret.txt',
    } do
      if not target:find ' ' then expect_refusal(ctx, port, target) end
    end
    local c = client.connect(ctx, port)
    assert.equal('inside', select(3, site.get(c, '/sub/file.txt')))
  end)

  it('are not left by dots and escapes of any kind', function()
    local ctx, port = open { dotfiles = true }
    local pieces = { '.', '..', '%2e', '/', '%2f', '\\', '%5c', '%00', 'sub', '%', '%25', '2e', ';', '?' }
    local state = 1
    local function random(n)
      state = (state * 16807) % 2147483647
      return state % n + 1
    end
    local c = client.connect(ctx, port)
    for _ = 1, 3000 do
      local target = { '/' }
      for _ = 1, random(8) do
        target[#target + 1] = pieces[random(#pieces)]
      end
      target = table.concat(target) .. '/secret.txt'
      local status, _, body = site.get(c, target)
      local is_index = (target:match '^[^?]*' == '/' or target:match '^/%?') and status == 200 or status == 301
      assert.is_true(refused[status] or is_index or body == 'inside', ('%s to %q'):format(status, target))
      assert.is_nil(body:find 'SECRET', target)
    end
  end)

  -- --- Links ---

  local function link(root, target, name) site.run(("ln -s '%s' '%s/%s'"):format(target, root, name)) end

  local function with_links(options)
    local ctx, port, outside = open(options)
    local root = outside .. '/www'
    link(root, '../secret.txt', 'up')
    link(root, outside .. '/secret.txt', 'absolute')
    link(root, root .. '/index.html', 'absolute-inside')
    link(root, '..', 'parent')
    link(root, '/', 'system')
    link(root, '../www/index.html', 'out-and-in')
    link(root, 'sub/../../secret.txt', 'zigzag')
    link(root, 'hop2', 'hop1')
    link(root, 'parent/secret.txt', 'hop2')
    link(root, 'circle', 'circle')
    link(root, 'nowhere', 'nowhere')
    link(root, '/proc/self/cwd/', 'process')
    link(root .. '/sub', '../../secret.txt', 'up')
    link(root, '../wwwx', 'folder')
    link(root, '../secret.txt', 'page.html.gz')
    http.overwrite(root .. '/page.html', 'inside')
    -- These stay inside.
    link(root, 'index.html', 'page')
    link(root, 'sub', 'folder-inside')
    link(root .. '/sub', '../index.html', 'back')
    link(root .. '/sub', '../sub/../sub/./file.txt', 'detour')
    link(root, 'page', 'twice')
    return ctx, port, outside
  end

  local outwards = { '/up', '/absolute', '/absolute-inside', '/parent/secret.txt', '/parent/', '/system/etc/passwd',
    '/system/etc/', '/out-and-in', '/zigzag', '/hop1', '/hop2', '/circle', '/circle/x', '/nowhere',
      '/process/README.md',
    '/sub/up', '/folder/secret.txt', '/folder/', '/parent/wwwx/secret.txt' }
  local inwards = { '/page', '/folder-inside/file.txt', '/sub/back', '/sub/detour', '/twice', '/folder-inside/back' }

  it('are not left by links, and links are not followed', function()
    local ctx, port = with_links()
    for _, target in ipairs(outwards) do
      expect_refusal(ctx, port, target)
    end
    for _, target in ipairs(inwards) do
      expect_refusal(ctx, port, target)
    end
    local c = client.connect(ctx, port)
    assert.equal('inside', select(3, site.get(c, '/page.html', { headers = { 'Accept-Encoding: gzip' } })))
  end)

  it('are not left by links that are followed inside', function()
    local ctx, port = with_links { follow_symlinks = true }
    for _, target in ipairs(outwards) do
      expect_refusal(ctx, port, target)
    end
    local c = client.connect(ctx, port)
    for _, target in ipairs(inwards) do
      local status, _, body = site.get(c, target)
      assert.same({ 200, 'inside' }, { status, body }, target)
    end
    assert.equal('inside', select(3, site.get(c, '/page.html', { headers = { 'Accept-Encoding: gzip' } })))
  end)

  it('may lie behind links that are part of the path of their folder', function()
    local outside = site.folder { ['files/a.txt'] = 'inside' }
    link(outside, 'files', 'link')
    local c = http.open(websockets.static(outside .. '/link'))
    assert.equal('inside', select(3, site.get(c, '/a.txt')))
  end)

  it('are regular files', function()
    local ctx, port, outside = open()
    site.run(('mkfifo %s/www/pipe %s/www/pipe.html'):format(outside, outside))
    for _, target in ipairs { '/pipe', '/pipe.html' } do
      expect_refusal(ctx, port, target)
    end
    local c = client.connect(ctx, port)
    assert.equal(301, (site.get(c, '/sub')))
    assert.equal(404, (site.get(c, '/sub/')))
  end)
end)
