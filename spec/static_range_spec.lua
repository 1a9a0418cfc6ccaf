-- SPDX-License-Identifier: MIT
-- RFC 9110 14
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local site = require 'spec.support.site'

describe('ranges of static files', function()
  leaks.check_each(before_each, after_each)
  after_each(site.remove_folders)

  local digits = '0123456789'

  local function get(c, path, range, ...)
    return site.get(c, path, { headers = { range and 'Range: ' .. range, ... } })
  end

  -- The parts of a multipart/byteranges: a list of { range, body, type }.
  local function parse_parts(headers, body)
    local boundary = headers['content-type']:match '^multipart/byteranges; boundary=(%w+)$'
    assert.is_string(boundary)
    local parts = {}
    local rest = body
    while rest ~= ('\r\n--%s--\r\n'):format(boundary) do
      local head, behind = rest:match('^\r\n%-%-' .. boundary .. '\r\n(.-\r\n)\r\n(.*)$')
      assert.is_string(head, rest)
      local range, first, last = head:match 'Content%-Range: (bytes (%d+)%-(%d+)/%d+)\r\n'
      local size = last - first + 1
      parts[#parts + 1] = { range, behind:sub(1, size), head:match 'Content%-Type: ([^\r]*)\r\n' }
      rest = behind:sub(size + 1)
    end
    return parts
  end

  it('are sent', function()
    local c = site.open { ['a.txt'] = digits }
    for range, expected in pairs {
      ['bytes=0-0'] = '0', ['bytes=0-9'] = digits, ['bytes=2-4'] = '234', ['bytes=9-9'] = '9', ['bytes=3-'] = '3456789',
      ['bytes=-1'] = '9', ['bytes=-3'] = '789', ['bytes=-10'] = digits, ['bytes=-11'] = digits, ['bytes=0-'] = digits,
      ['bytes=5-99999999999999999999999'] = '56789', ['bytes=-99999999999999999999999'] = digits, ['BYTES=1-2'] = '12',
      ['bytes= 1-2 '] = '12', ['bytes=,1-2,,'] = '12', ['bytes=1-2,20-30'] = '12', ['bytes=007-8'] = '78',
    } do
      local status, headers, body = get(c, '/a.txt', range)
      assert.same({ 206, expected }, { status, body }, range)
      local first = digits:find(expected, 1, true) - 1
      assert.equal(('bytes %d-%d/10'):format(first, first + #expected - 1), headers['content-range'])
      assert.equal('text/plain; charset=utf-8', headers['content-type'])
      assert.equal('bytes', headers['accept-ranges'])
      assert.is_truthy(headers.etag and headers['last-modified'])
    end
  end)

  it('that are none, or are of something else, get the whole', function()
    local c = site.open { ['a.txt'] = digits }
    for _, range in ipairs { '', 'bytes', 'bytes=', 'bytes=,', 'bytes=-', 'bytes=x', 'bytes=1', 'bytes=1-x',
      'bytes=x-1',
      'bytes=3-2', 'bytes=1--2', 'bytes=--2', 'bytes=+1-2', 'bytes=1-2-3', 'bytes=0x1-2', 'bytes=1 -2', 'bytes=1-2;3-4',
      'bytes 1-2', 'bytes =1-2', 'items=1-2', 'bytes=1-2, x', 'bytes=9999999999999999999999-1', '1-2' } do
      local status, headers, body = get(c, '/a.txt', range)
      assert.same({ 200, digits }, { status, body }, range)
      assert.is_nil(headers['content-range'])
    end
  end)

  it('behind the end are refused', function()
    local c = site.open { ['a.txt'] = digits, empty = '' }
    for _, case in ipairs { { '/a.txt', 'bytes=10-' }, { '/a.txt', 'bytes=10-20' }, { '/a.txt', 'bytes=-0' },
      { '/a.txt', 'bytes=99999999999999999999-' }, { '/a.txt', 'bytes=10-11, 12-13, -0' }, { '/empty', 'bytes=0-' },
      { '/empty', 'bytes=0-0' }, { '/empty', 'bytes=-1' } } do
      local status, headers, body = get(c, case[1], case[2])
      assert.equal(416, status, case[2])
      assert.equal(case[1] == '/empty' and 'bytes */0' or 'bytes */10', headers['content-range'])
      assert.is_nil(body:find '%d')
    end
    assert.equal(200, (get(c, '/a.txt')))
  end)

  it('are for GET only', function()
    local c = site.open { ['a.txt'] = digits }
    local status, headers = site.get(c, '/a.txt', { method = 'HEAD', headers = { 'Range: bytes=1-2' } })
    assert.equal(200, status)
    assert.equal('10', headers['content-length'])
    status = site.get(c, '/a.txt', { method = 'HEAD', headers = { 'Range: bytes=10-' } })
    assert.equal(200, status)
    status = get(c, '/none', 'bytes=1-2')
    assert.equal(404, status)
  end)

  it('of which there are several come as parts, in the order asked for', function()
    local c = site.open { ['a.txt'] = digits }
    local status, headers, body = get(c, '/a.txt', 'bytes=0-0, -2,3-4 ,20-30')
    assert.equal(206, status)
    assert.is_nil(headers['content-range'])
    local kind = 'text/plain; charset=utf-8'
    assert.same({ { 'bytes 0-0/10', '0', kind }, { 'bytes 8-9/10', '89', kind }, { 'bytes 3-4/10', '34', kind } },
      parse_parts(headers, body))
    local _, other = get(c, '/a.txt', 'bytes=0-0,2-2')
    assert.are_not.equal(headers['content-type'], other['content-type'])
  end)

  it('of which there are several may be large', function()
    local contents = http.pattern(3000000)
    local c = site.open { big = contents, ['a.txt'] = digits }
    c:send(http.request('/big', { headers = { 'Range: bytes=2000000-2999999, 0-999999,1500000-1500000' } })
      .. http.request('/a.txt', { headers = { 'Range: bytes=1-2' } }))
    local status, headers, body = c:read_response()
    assert.equal(206, status)
    local parts = parse_parts(headers, body)
    assert.equal(3, #parts)
    assert.is_true(parts[1][2] == contents:sub(2000001, 3000000))
    assert.is_true(parts[2][2] == contents:sub(1, 1000000))
    assert.equal(contents:sub(1500001, 1500001), parts[3][2])
    assert.same({ 206, '12' }, { (c:read_head()), c:read(2) })
  end)

  it('that overlap, or are many, get the whole', function()
    local contents = http.pattern(1000)
    local c = site.open { a = contents }
    local many, too_many = {}, {}
    for i = 1, 17 do
      too_many[i] = ('%d-%d'):format(i * 10, i * 10 + 1)
      if i <= 16 then many[i] = too_many[i] end
    end
    local status, headers, body = get(c, '/a', 'bytes=' .. table.concat(many, ','))
    assert.equal(206, status)
    assert.equal(16, #parse_parts(headers, body))
    for _, range in ipairs { 'bytes=' .. table.concat(too_many, ','), 'bytes=0-,0-', 'bytes=0-5,5-9', 'bytes=-1,0-',
      'bytes=10-20,30-40,15-16', 'bytes=' .. ('0-,'):rep(1000), 'bytes=5-' .. (',0-'):rep(1300) } do
      status, headers, body = get(c, '/a', range)
      assert.equal(200, status, range)
      assert.is_nil(headers['content-range'])
      assert.is_true(body == contents)
    end
  end)

  it('are of the compressed file where that is sent', function()
    local c = site.open { ['a.js'] = digits, ['a.js.gz'] = 'abcdefghij' }
    local status, headers, body = get(c, '/a.js', 'bytes=2-3', 'Accept-Encoding: gzip')
    assert.same({ 206, 'cd', 'gzip' }, { status, body, headers['content-encoding'] })
    assert.equal('23', select(3, get(c, '/a.js', 'bytes=2-3')))
  end)

  it('are sent if the file is still the one that If-Range names', function()
    local c, root = site.open { ['a.txt'] = digits }
    site.touch(root .. '/a.txt', '2020-01-02 03:04:05 UTC')
    local _, headers = get(c, '/a.txt')
    assert.equal('Thu, 02 Jan 2020 03:04:05 GMT', headers['last-modified'])
    for value, expected in pairs {
      [headers.etag] = 206, ['W/' .. headers.etag] = 200, ['"other"'] = 200, [headers['last-modified']] = 206,
      ['Thursday, 02-Jan-20 03:04:05 GMT'] = 206, ['Thu Jan  2 03:04:05 2020'] = 206,
      ['Thu, 02 Jan 2020 03:04:06 GMT'] = 200,
      ['Thu, 02 Jan 2020 03:04:04 GMT'] = 200, ['nonsense'] = 200, [headers.etag .. ', "x"'] = 200, ['*'] = 200,
    } do
      local status, _, body = get(c, '/a.txt', 'bytes=1-2', 'If-Range: ' .. value)
      assert.same({ expected, expected == 206 and '12' or digits }, { status, body }, value)
    end
    assert.equal(200, (get(c, '/a.txt', 'bytes=10-', 'If-Range: "other"'))) -- not 416
    assert.equal(200, (get(c, '/a.txt', nil, 'If-Range: ' .. headers.etag)))
    -- What was changed within this second may have been changed again.
    site.touch(root .. '/a.txt', '2037-01-01')
    local _, later = get(c, '/a.txt')
    assert.equal(200, (get(c, '/a.txt', 'bytes=1-2', 'If-Range: ' .. later['last-modified'])))
  end)
end)
