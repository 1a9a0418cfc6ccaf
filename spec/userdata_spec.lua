-- SPDX-License-Identifier: MIT
-- What the functions of the module take for an object of its own, whatever was done to tables.
local leaks = require 'spec.support.leaks'
local pair = require 'spec.support.pair'

describe('an object of the module', function()
  leaks.check_each(before_each, after_each)

  -- One of each type, by its name.
  local function objects()
    local _, plain, ctx = pair.open { keep_request = true }
    local _, named = pair.open(nil, function(ws) ws.name = 'alice' end)
    return {
      ['websockets.context'] = { ctx },
      ['websockets.websocket'] = { plain, named },
      ['websockets.timer'] = { ctx:after(60, print) },
      ['websockets.request'] = { plain:request() },
    }, plain:request().headers
  end

  local function methods_of(object)
    local methods = debug.getmetatable(object).__index
    if type(methods) == 'function' then return { object.accept, object.reject, object.defer } end
    local fields = getmetatable(methods) -- of one that has fields of its own
    return fields and fields.__index or methods
  end

  -- Every function that takes an object of this type as its first argument, with something else there.
  local function expect_refused(objects_of_type, type_name, other)
    for _, object in ipairs(objects_of_type) do
      local metatable = debug.getmetatable(object)
      local functions = { metatable.__tostring, metatable.__gc, metatable.__close }
      for _, method in pairs(methods_of(object)) do
        functions[#functions + 1] = method
      end
      assert.is_true(#functions > 1)
      for _, method in pairs(functions) do
        local messages = ''
        for _, others in ipairs { { 1, 1000 }, { 1, 'r' }, { 1, print }, { print } } do -- some look at these first
          local succeeded, message = pcall(method, other, others[1], others[2])
          assert.is_false(succeeded)
          messages = messages .. message
        end
        assert.matches(type_name .. ' expected, got userdata', messages, 1, true)
      end
    end
  end

  it('shows scripts the name of its type in place of its metatable', function()
    local all, headers = objects()
    for type_name, of_type in pairs(all) do
      for _, object in ipairs(of_type) do
        assert.equal(type_name, getmetatable(object))
      end
    end
    assert.equal('websockets.headers', getmetatable(headers))
    assert.has_error(function() setmetatable(headers, {}) end, 'cannot change a protected metatable')
  end)

  it('is no object of another type', function()
    local all = objects()
    for type_name, of_type in pairs(all) do
      for other_name, others in pairs(all) do
        if other_name ~= type_name then expect_refused(of_type, type_name, others[1]) end
      end
    end
  end)

  it('is told from others whose metatable has fields of its metatable', function()
    local all = objects()
    local foreign = debug.getmetatable(io.stdout)
    local kept = {}
    for key, value in pairs(foreign) do
      kept[key] = value
    end
    finally(function()
      for key in pairs(foreign) do
        foreign[key] = nil
      end
      for key, value in pairs(kept) do
        foreign[key] = value
      end
    end)
    for type_name, of_type in pairs(all) do
      for _, object in ipairs(of_type) do
        local ours = debug.getmetatable(object)
        for key, value in pairs(ours) do
          if key ~= '__gc' and key ~= '__close' then foreign[key] = value end
        end
        foreign[1] = debug.getregistry()[type_name]
        expect_refused({ object }, type_name, io.stdout)
      end
    end
  end)

  it('is told from others that the registry says are of its type', function()
    local all = objects()
    local registry = debug.getregistry()
    for type_name, of_type in pairs(all) do
      local ours = registry[type_name]
      registry[type_name] = debug.getmetatable(io.stdout)
      local succeeded, why = pcall(expect_refused, of_type, type_name, io.stdout)
      registry[type_name] = ours
      assert(succeeded, why)
    end
  end)

  it('is the same with another metatable', function()
    local _, ws = pair.open()
    local ours = debug.getmetatable(ws)
    debug.setmetatable(ws, { __index = ours.__index })
    assert.equal(0, ws:write 'x')
    debug.setmetatable(ws, ours)
  end)

  it('has headers, which are a table', function()
    local _, headers = objects()
    local index = debug.getmetatable(headers).__index
    assert.equal('Upgrade', index(headers, 'connection'))
    for _, other in ipairs { 5, 'x', io.stdout, print } do
      assert.has_error(function() index(other, 'connection') end)
    end
  end)

  it('may be anything but one of them when a handler for files is called', function()
    local serve = require('websockets').static '.'
    assert.has_error(function() serve(io.stdout, '/') end)
    assert.has_error(function() serve(nil, '/') end)
  end)
end)
