-- SPDX-License-Identifier: MIT
-- uid and gid. Only root can give something up, so this needs root, in a process of its own.
local client = require 'spec.support.client'
local command = require 'spec.support.command'
local leaks = require 'spec.support.leaks'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'
local tls = require 'spec.support.tls'

local uid, gid = 12345, 23456

local function contains(text, part)
  assert.is_truthy(text:find(part, 1, true), ('%q lacks %q'):format(text, part))
end

local function is_root()
  return (command.run({}, 'id -u'):gsub('%s', '')) == '0'
end

-- The ids of a process as in /proc/PID/status: Uid, Gid, Groups.
local function ids_of(pid)
  local ids = {}
  for line in io.lines(('/proc/%d/status'):format(pid)) do
    local name, value = line:match '^(%a+):%s*(.-)%s*$'
    if name == 'Uid' or name == 'Gid' or name == 'Groups' then ids[name] = value:gsub('%s+', ' ') end
  end
  return ids
end

local function four(id)
  return ('%d %d %d %d'):format(id, id, id, id)
end

local create = [[
  websockets = require 'websockets'
  local ok, result = pcall(websockets.context, { listen = { '127.0.0.1:0' }, protocols = { p = function() end }, %s })
  if not ok then return nil, result end
  contexts[1] = result
  return tonumber((result:addresses()[1]:match '%%d+$'))]]

describe('uid and gid', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)
  teardown(tls.remove_folders)

  it('are numbers of users and groups', function()
    for _, name in ipairs { 'uid', 'gid' } do
      for _, value in ipairs { -1, 4294967295, 1.5, 'root', true } do
        local ok, why = pcall(pair.context, { [name] = value })
        assert.is_false(ok)
        contains(why, ("option '%s' is "):format(name))
      end
    end
  end)

  if not is_root() then return pending 'needs root' end

  it('are given up for good, with all other groups', function()
    local server = remote.start { command = 'setpriv --groups 1,2,3' }
    assert.equal('1 2 3', ids_of(server.pid).Groups)
    local port = assert(server:call(create, ('uid = %d, gid = %d'):format(uid, gid)))
    local ids = ids_of(server.pid)
    assert.equal(four(uid), ids.Uid)
    assert.equal(four(gid), ids.Gid)
    assert.equal('', ids.Groups)
    client.open({}, port, 'p'):finish(1000)
    -- A second context may ask for the same, and for nothing else.
    assert.is_number((server:call(create, ('uid = %d, gid = %d'):format(uid, gid))))
    local result, why = server:call(create, 'uid = 0')
    assert.is_nil(result)
    contains(why, 'Operation not permitted')
  end)

  it('may come alone: a user has a group of its own', function()
    local nobody = tonumber((command.run({}, 'id -u nobody')))
    local group = tonumber((command.run({}, 'id -g nobody')))
    assert.not_equal(0, group)
    for name, id in pairs { uid = nobody, gid = gid } do
      local server = remote.start { command = 'setpriv --groups 1,2,3' }
      assert.is_number((server:call(create, ('%s = %d'):format(name, id))))
      local ids = ids_of(server.pid)
      assert.equal(four(name == 'uid' and nobody or 0), ids.Uid)
      assert.equal(four(name == 'uid' and group or gid), ids.Gid)
      assert.equal('', ids.Groups)
      server:close()
    end
  end)

  it('need each other when the user is not known', function()
    local server = remote.start()
    local result, why = server:call(create, 'uid = 1234567')
    assert.is_nil(result)
    contains(why, 'user (uid) 1234567 is not known')
    contains(why, 'gid')
    assert.equal(four(0), ids_of(server.pid).Uid)
    assert.equal(four(0), ids_of(server.pid).Gid)
  end)

  it('are given up when all is open: keys are read, ports bound before', function()
    local folder = tls.folder 'ours'
    local _, status = command.run({}, ('chmod 700 %s && chmod 400 %s/server.key'):format(folder, folder))
    assert.equal(0, status)
    local port = 0
    -- Below 1024 where nobody listens.
    local server = remote.start()
    for candidate = 1023, 600, -1 do
      port = server:call(create, ("port = %d, uid = %d, gid = %d, ssl_cert_path = '%s/server.pem', " ..
        "ssl_private_key_path = '%s/server.key'"):format(candidate, uid, gid, folder, folder))
      if port then break end
    end
    assert.is_number(port)
    assert.equal(four(uid), ids_of(server.pid).Uid)
    port = server:call "return tonumber((contexts[1]:addresses()[2]:match '%d+$'))"
    client.open({}, port, { protocol = 'p', tls = {} }):finish(1000)
    local ok, why = server:call 'return contexts[1]:reload_certificates()'
    assert.is_nil(ok)
    contains(why, 'Permission denied')
    client.open({}, port, { protocol = 'p', tls = {} }):finish(1000)
  end)

  it('are an error for who may not change them', function()
    local server = remote.start { command = 'setpriv --reuid 1000 --regid 1000 --clear-groups' }
    for _, config in ipairs { 'uid = 0', 'gid = 0', 'uid = 1', 'gid = 1001', 'uid = 1000, gid = 1001' } do
      local result, why = server:call(create, config)
      assert.is_nil(result)
      contains(why, 'websocket could not create context: ')
      contains(why, 'Operation not permitted')
    end
    assert.is_number((server:call(create, 'uid = 1000, gid = 1000')))
  end)

  it('are an error when the groups cannot be given up', function()
    local server = remote.start { command = 'setpriv --bounding-set -setgid --inh-caps -setgid' }
    local result, why = server:call(create, ('gid = %d'):format(gid))
    assert.is_nil(result)
    contains(why, 'supplementary groups')
    assert.equal(four(0), ids_of(server.pid).Gid)
  end)
end)
