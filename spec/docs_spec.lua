-- SPDX-License-Identifier: MIT
-- What is registered is documented and annotated, and nothing else is. What module, contexts and websockets
-- have is asked of themselves, and so are the options; the texts of errors are read out of the sources.

local files = require 'spec.support.files'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

local read = files.read

local function insert_all(set, text, pattern)
  for name in text:gmatch(pattern) do
    set[name] = true
  end
  return set
end

local function keys(values)
  local list = {}
  for key in pairs(values) do
    list[#list + 1] = key
  end
  table.sort(list)
  return list
end

local function same_names(expected, actual, what)
  assert.same(keys(expected), keys(actual), what)
end

local manual = read 'docs/manual.md'
local types = read 'types/websockets.lua'

-- The part of the manual from a heading to the next one of the same level.
local function section(title)
  local text = manual:match('\n## ' .. title .. '\n(.*)$')
  assert(text, title)
  return text:match '^(.-)\n## ' or text
end

-- What stands between backquotes in the first column of tables.
local function documented_in_tables(text)
  local names = {}
  for row in text:gmatch '\n| ([^\n]*)' do
    insert_all(names, row:match '^(.-) | ' or '', '`(.-)`')
  end
  return names
end

local function methods_of(object)
  return debug.getmetatable(object).__index
end

local function constants()
  local names = {}
  for name, value in pairs(websockets) do
    if type(value) ~= 'function' then names[name] = true end
  end
  return names
end

local function functions()
  local names = {}
  for name, value in pairs(websockets) do
    if type(value) == 'function' then names[name] = true end
  end
  return names
end

-- What a context looks for in its config.
local function options()
  local names = {}
  local ctx = websockets.context(setmetatable({}, {
    __index = function(_, name)
      names[name] = true
      if name == 'protocols' then return { p = function() end } end
    end,
  }))
  ctx:destroy()
  return names
end

local function fields_of_class(class)
  local text = assert(types:match('%-%-%-@class websockets%.' .. class .. '%f[^%w].-\n\n'), class)
  return insert_all({}, text, '@field ([%w_]+)%??')
end

describe('the manual and the annotations', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  it('have the functions of the module', function()
    assert(loadfile 'types/websockets.lua')
    same_names(functions(), insert_all({}, manual, '\n### websockets%.([%w_]+)%('), 'in the manual')
    same_names(functions(), insert_all({}, types, '\nfunction websockets%.([%w_]+)%('), 'in the types')
  end)

  it('have the methods of a context', function()
    local ctx = loop.context { port = 0, protocols = { p = function() end } }
    same_names(methods_of(ctx), insert_all({}, manual, '\n### context:([%w_]+)%('), 'in the manual')
    same_names(methods_of(ctx), insert_all({}, types, '\nfunction Context:([%w_]+)%('), 'in the types')
  end)

  it('have the methods of a timer', function()
    local ctx = loop.context { port = 0, protocols = { p = function() end } }
    local timer = ctx:after(1, function() end)
    same_names(methods_of(timer), insert_all({}, manual, '\n### timer:([%w_]+)%('), 'in the manual')
    same_names(methods_of(timer), insert_all({}, types, '\nfunction Timer:([%w_]+)%('), 'in the types')
  end)

  it('have the methods of a thread', function()
    local ctx = loop.context { port = 0, protocols = { p = function() end } }
    local methods = insert_all({}, read 'lua/websockets/waits.lua', '\nfunction Thread%.([%w_]+)%(')
    local thread = ctx:spawn(function() end)
    for name in pairs(methods) do
      assert.equal('function', type(thread[name]))
    end
    same_names(methods, insert_all({}, manual, '\n### thread:([%w_]+)%('), 'in the manual')
    same_names(methods, insert_all({}, types, '\nfunction Thread:([%w_]+)%('), 'in the types')
  end)

  it('have the methods of a websocket', function()
    local _, ws = pair.open()
    same_names(methods_of(ws), insert_all({}, manual, '\n### ws:([%w_]+)%('), 'in the manual')
    same_names(methods_of(ws), insert_all({}, types, '\nfunction Websocket:([%w_]+)%('), 'in the types')
  end)

  it('have the methods and the fields of a request', function()
    local methods = insert_all({}, read 'src/lua/wrap_request.cpp', '\n    {"([a-z]+)", ')
    same_names(methods, insert_all({}, manual, '\n### request:([%w_]+)%('), 'in the manual')
    same_names(methods, insert_all({}, types, '\nfunction Request:([%w_]+)%('), 'in the types')
    local fields = insert_all({}, read 'src/lua/request_fields.cpp', '\n    {"([%w_]+)", push_')
    assert.is_true(fields.method)
    local text = section('Requests'):match '^(.-)\n### '
    same_names(fields, documented_in_tables(text), 'in the manual')
    same_names(fields, fields_of_class 'Request', 'in the types')
  end)

  it('have the adapters for other loops', function()
    local files = assert(io.popen 'ls lua/websockets')
    local names = insert_all({}, files:read '*a', '([%w_]+)%.lua')
    files:close()
    names.waits = nil -- no adapter
    for _, fn in ipairs { 'context', 'connect' } do
      local heading = ("\n### require%%('websockets%%.([%%w_]+)'%%)%%.%s%%("):format(fn)
      same_names(names, insert_all({}, manual, heading), 'in the manual')
    end
    for name in pairs(names) do
      local annotated = read('types/websockets/' .. name .. '.lua')
      assert(loadfile('types/websockets/' .. name .. '.lua'))
      assert.is_truthy(annotated:find('function ' .. name .. '.context(config', 1, true), name)
      assert.is_truthy(annotated:find('function ' .. name .. '.connect(url, options', 1, true), name)
    end
  end)

  it('have the constants, with their values', function()
    local text = section 'Constants'
    same_names(constants(), documented_in_tables(text), 'in the manual')
    local module_types = types:match '^(.-)\nlocal websockets'
    same_names(constants(), insert_all({}, module_types, '@field ([%w_]+)'), 'in the types')
    for name in pairs(constants()) do
      local shown = text:match('| `' .. name .. '` | (%d+) |')
      if shown then assert.equal(tonumber(shown), websockets[name], name) end
      local annotated = module_types:match('@field ' .. name .. ' (%d+)\n')
      if annotated then assert.equal(tonumber(annotated), websockets[name], name) end
    end
    assert.is_truthy(text:find('"' .. websockets._VERSION .. '"', 1, true))
  end)

  it('have the options', function()
    local text = manual:match '\n### Options\n(.-)\n## '
    same_names(options(), documented_in_tables(text), 'in the manual')
    local annotated = fields_of_class 'Config'
    for name in pairs(fields_of_class 'Certificate') do
      annotated[name] = true
    end
    same_names(options(), annotated, 'in the types')
  end)

  it('have the options of run', function()
    local names = {}
    local ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = print } }
    pcall(ctx.run, ctx, setmetatable({}, { __index = function(_, name)
      names[name] = true
      if name == 'drain' then return 1 end -- which is refused, as there are no workers
    end }))
    ctx:destroy()
    same_names(names, documented_in_tables(section 'Workers'), 'in the manual')
    same_names(names, fields_of_class 'RunOptions', 'in the types')
  end)

  it('have the options of static', function()
    local names = {}
    websockets.static('.', setmetatable({}, { __index = function(_, name) names[name] = true end }))
    local text = manual:match '\n#### Options of static\n(.-)\n###? '
    same_names(names, documented_in_tables(text), 'in the manual')
    same_names(names, fields_of_class 'StaticOptions', 'in the types')
  end)

  it('have the options of connect', function()
    local names = {}
    local ctx = websockets.context {}
    ctx:connect('ws://127.0.0.1:1/', setmetatable({}, { __index = function(_, name) names[name] = true end }))
    ctx:destroy()
    local text = manual:match '\n#### Options of connect\n(.-)\n###? '
    same_names(names, documented_in_tables(text:match '^(.-)\n#### '), 'in the manual')
    same_names(names, fields_of_class 'ConnectOptions', 'in the types')
  end)

  it('agree on the defaults of numbers', function()
    local text = manual:match '\n### Options\n(.-)\n## '
    for name, default in text:gmatch '\n| `([%w_]+)` | %l+ | (%d+)' do
      local comment = assert(types:match('([^\n]*)\n%-%-%-@field ' .. name .. '%?'), name)
      assert.equal(default, comment:match 'Default: (%d+)', name)
    end
  end)

  it('have the errors', function()
    local texts = {}
    local files = assert(io.popen 'ls src/lua/*')
    for path in files:lines() do
      local source = read(path):gsub('"%s*\n%s*"', '')
      insert_all(texts, source, 'luaL_error%(L,%s*"([^"]*)"')
      insert_all(texts, source, 'raise%(L, "([^"]*)"')
      insert_all(texts, source, 'raise_at_caller%(L, "(websocket [^"]*)"')
      insert_all(texts, source, 'raise_create_error%(L, "([^"]*)"')
      insert_all(texts, source, 'raise_create_error%(L, lua_pushfstring%(L, "([^"]*)"')
      insert_all(texts, source, 'raise_create_error%(reader.state%(%), "([^"]*)"')
      insert_all(texts, source, 'raise_text%(lua_pushfstring%(L_, "([^"]*)"')
      insert_all(texts, source, 'raise_connect_error%(L, "([^"]*)"')
      insert_all(texts, source, 'raise_connect_error%(L, lua_pushfstring%(L, "([^"]*)"')
      insert_all(texts, source, 'raise_static_error%(L, "([^"]*)"')
      insert_all(texts, source, 'raise_static_error%(L, lua_pushfstring%(L, "([^"]*)"')
      insert_all(texts, source, 'raise_text%("([^"]*)"')
      insert_all(texts, source, 'raise_text%(lua_pushfstring%(L, "([^"]*)"')
      for text in source:gmatch 'refuse%(L, ([^;]*)%);' do
        for why in text:gmatch '"([^"]*)"' do
          texts['workers cannot be started ' .. why] = true
        end
      end
      insert_all(texts, source, 'warnings.emplace_back%(%s*"([^"]*)"')
      insert_all(texts, source, 'push_failure%(L, "([^"]*)"')
      insert_all(texts, source, 'fail%(CloseCode::k%w+, "([^"]*)"')
      insert_all(texts, source, 'luaL_argerror%(L, %d+, "([^"]*)"')
      for call in source:gmatch 'luaL_argcheck(%b())' do
        local literal = call:match '"([^"]*)"%)$'
        if literal then texts[literal] = true end
      end
      insert_all(texts, source, 'constexpr const char%* k%w+Expected = "([^"]*)"')
      for first, second in source:gmatch 'push_?%a+%(L, status [^\n]-%? "([^"]*)" : "([^"]*)"' do
        texts[first], texts[second] = true, true
      end
    end
    files:close()
    local waits = read('lua/websockets/waits.lua'):gsub("'%s*\n%s*%.%. '", '')
    insert_all(texts, waits, "'(websocket[ :][^']*)'")
    insert_all(texts, waits, "core%.fail%(ws, '([^']*)'")
    insert_all(texts, waits, '"bad argument #[^"(]*%(([^")]*)%)"')
    texts['not the queue of an inbox'] = nil -- no script gets there
    texts['websocket could not connect: %s'] = nil -- stands above the table
    texts['websocket could not create context: %s'] = nil
    texts['websocket could not run: %s'] = nil
    texts['websocket could not subscribe: %s'] = nil
    texts['websocket could not serve a folder: %s'] = nil
    same_names(texts, documented_in_tables(section 'Errors'), 'in the manual')
  end)
end)
