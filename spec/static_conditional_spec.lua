-- SPDX-License-Identifier: MIT
-- RFC 9110 13
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local site = require 'spec.support.site'

describe('conditions of static files', function()
  leaks.check_each(before_each, after_each)
  after_each(site.remove_folders)

  local before, at, behind = 'Wed, 01 Jan 2020 00:00:00 GMT', 'Thu, 02 Jan 2020 03:04:05 GMT',
    'Fri, 03 Jan 2020 00:00:00 GMT'

  local function open()
    local c, root = site.open({ ['a.txt'] = 'contents' }, { max_age = 60 })
    site.touch(root .. '/a.txt', '2020-01-02 03:04:05.5 UTC')
    local _, headers = site.get(c, '/a.txt')
    return c, headers.etag, root
  end

  -- GET and HEAD, with these headers.
  local function expect(c, expected, ...)
    for _, method in ipairs { 'GET', 'HEAD' } do
      local status, headers, body = site.get(c, '/a.txt', { method = method, headers = { ... } })
      assert.equal(expected, status, table.concat({ ... }, ', '))
      if expected == 200 then assert.equal(method == 'GET' and 'contents' or '', body) end
      if expected == 304 then
        assert.is_nil(headers['content-length'])
        assert.is_nil(headers['content-type'])
        assert.is_truthy(headers.etag)
        assert.equal('Accept-Encoding', headers.vary)
        assert.equal('max-age=60', headers['cache-control'])
      end
    end
  end

  it('If-None-Match', function()
    local c, etag = open()
    expect(c, 304, 'If-None-Match: ' .. etag)
    expect(c, 304, 'If-None-Match: W/' .. etag) -- compared weakly
    expect(c, 304, 'If-None-Match: *')
    expect(c, 304, 'If-None-Match: "a", "b,c" ,' .. etag)
    expect(c, 304, 'If-None-Match: "a"', 'If-None-Match: ' .. etag)
    expect(c, 200, 'If-None-Match: "a"')
    expect(c, 200, 'If-None-Match: ' .. etag:gsub('"', ''))
    expect(c, 200, 'If-None-Match:')
    expect(c, 200, 'If-None-Match: "')
    expect(c, 200, 'If-None-Match: "a' .. etag)
    expect(c, 200, 'If-None-Match: x, ' .. etag)
    expect(c, 200, 'If-None-Match: "a", *')
  end)

  it('If-Modified-Since', function()
    local c = open()
    expect(c, 304, 'If-Modified-Since: ' .. at)
    expect(c, 304, 'If-Modified-Since: ' .. behind)
    expect(c, 304, 'If-Modified-Since: Thursday, 02-Jan-20 03:04:05 GMT')
    expect(c, 304, 'If-Modified-Since: Thu Jan  2 03:04:05 2020')
    expect(c, 200, 'If-Modified-Since: ' .. before)
    for _, value in ipairs { '', 'nonsense', at:sub(1, -2), at .. 'x', 'Thu, 32 Jan 2020 03:04:05 GMT',
      'Thu, 30 Feb 2020 03:04:05 GMT', 'Fri, 03 Jan 2020 24:00:00 GMT', 'Fri, 03 Jan 2020 00:00:00 CET',
      '1577934245' } do
      expect(c, 200, 'If-Modified-Since: ' .. value)
    end
  end)

  it('If-None-Match is what counts beside If-Modified-Since', function()
    local c, etag = open()
    expect(c, 200, 'If-None-Match: "a"', 'If-Modified-Since: ' .. behind)
    expect(c, 304, 'If-None-Match: ' .. etag, 'If-Modified-Since: ' .. before)
  end)

  it('If-Match', function()
    local c, etag = open()
    expect(c, 200, 'If-Match: ' .. etag)
    expect(c, 200, 'If-Match: *')
    expect(c, 200, 'If-Match: "a", ' .. etag)
    expect(c, 412, 'If-Match: "a"')
    expect(c, 412, 'If-Match: W/' .. etag) -- compared strongly
    expect(c, 412, 'If-Match:')
    expect(c, 412, 'If-Match: "a"', 'If-None-Match: ' .. etag)
    expect(c, 304, 'If-Match: ' .. etag, 'If-None-Match: ' .. etag)
  end)

  it('If-Unmodified-Since', function()
    local c, etag = open()
    expect(c, 200, 'If-Unmodified-Since: ' .. at)
    expect(c, 200, 'If-Unmodified-Since: ' .. behind)
    expect(c, 412, 'If-Unmodified-Since: ' .. before)
    expect(c, 200, 'If-Unmodified-Since: nonsense')
    expect(c, 200, 'If-Match: ' .. etag, 'If-Unmodified-Since: ' .. before)
    expect(c, 412, 'If-Match: "a"', 'If-Unmodified-Since: ' .. behind)
  end)

  it('come before ranges, and behind what is not there', function()
    local c, etag = open()
    expect(c, 304, 'If-None-Match: ' .. etag, 'Range: bytes=1-2')
    expect(c, 304, 'If-None-Match: ' .. etag, 'Range: bytes=100-')
    expect(c, 412, 'If-Match: "a"', 'Range: bytes=1-2')
    assert.equal(404, (site.get(c, '/none', { headers = { 'If-None-Match: *' } })))
    assert.equal(404, (site.get(c, '/none', { headers = { 'If-Match: "a"' } })))
  end)

  it('see each change of a file', function()
    local c, etag, root = open()
    local function changed()
      local _, headers = site.get(c, '/a.txt', { method = 'HEAD' })
      local is_new = headers.etag ~= etag
      etag = headers.etag
      return is_new
    end
    assert.is_false(changed())
    site.touch(root .. '/a.txt', '2020-01-02 03:04:05.6 UTC') -- the same second
    assert.is_true(changed())
    http.overwrite(root .. '/a.txt', 'contents!')
    site.touch(root .. '/a.txt', '2020-01-02 03:04:05.6 UTC') -- another size
    assert.is_true(changed())
    http.overwrite(root .. '/b.txt', 'contents?')
    site.touch(root .. '/b.txt', '2020-01-02 03:04:05.6 UTC')
    site.run(('mv %s/b.txt %s/a.txt'):format(root, root)) -- another file
    assert.is_true(changed())
    assert.is_false(changed())
  end)

  it('does not say that a file was modified after now', function()
    local c, _, root = open()
    site.touch(root .. '/a.txt', '2037-01-01')
    local _, headers = site.get(c, '/a.txt')
    assert.is_nil(headers['last-modified']:find '2037')
    assert.is_nil(headers.date:find '2037')
  end)
end)
