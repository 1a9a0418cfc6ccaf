-- SPDX-License-Identifier: MIT
-- Runs the Lua blocks of the documents, and checks what the shell blocks name. A block has `websockets`, a
-- context and an open websocket of it; the contexts that it makes itself listen on free ports, and a client
-- visits them. A loop without end runs a few times. A block marked 'lua other' shows another library, or its
-- loop: it is only compiled here; see tests/interop/readme.mjs, too.

local client = require 'spec.support.client'
local http = require 'spec.support.http'
local loop = require 'spec.support.loop'
local websockets = require 'websockets'

local documents = { 'README.md', 'CHANGELOG.md' } -- and what is in docs/
local languages = { lua = true, ['lua other'] = true, sh = true, js = true, text = true }
for _, name in ipairs { 'nginx', 'ini', 'dockerfile', 'json' } do languages[name] = true end -- see tests/interop/cookbook.py
local rounds = 3
local compile = rawget(_G, 'loadstring') or load

local function read(path)
  local file = io.open(path)
  local text = file and file:read '*a'
  if file then file:close() end
  return text
end

-- Calls fn(text, line) for each block in a language.
local function each_block(path, language, fn)
  local number, first, lines = 0, nil, nil
  for line in io.lines(path) do
    number = number + 1
    if lines == nil and line == '```' .. language then
      first, lines = number + 1, {}
    elseif lines ~= nil and line == '```' then
      fn(table.concat(lines, '\n') .. '\n', first)
      lines = nil
    elseif lines ~= nil then
      lines[#lines + 1] = line
    end
  end
end

local function add_documents()
  local files = assert(io.popen 'ls docs/*.md')
  for path in files:lines() do
    documents[#documents + 1] = path
  end
  files:close()
end

-- --- Certificates ---

local folder

local function make_certificate()
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute('mkdir ' .. folder))
  local log = folder .. '/log'
  local status = os.execute(('cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes '
    .. '-days 30 -subj /CN=localhost -keyout server.key -out server.crt >%s 2>&1'):format(folder, log))
  assert(status == 0 or status == true, read(log))
end

-- Whatever they are called in a document, they are these.
local function with_certificate(config)
  for name, value in pairs(config) do
    if name == 'ssl_names' then
      for _, files in pairs(value) do
        with_certificate(files)
      end
    elseif name:find '^ssl_' then
      config[name] = folder .. (name:find 'key' and '/server.key' or '/server.crt')
    end
  end
  return config
end

-- --- What a block sees ---

-- A context as a document asks for it, but on a free port of 127.0.0.1.
local function context_of(config, made)
  if config.port ~= nil or config.listen then
    config.port, config.listen = 0, { '127.0.0.1:0' }
  end
  local ctx = loop.context(with_certificate(config))
  made[#made + 1] = { ctx = ctx, config = config }
  return ctx
end

local function environment(made, context, ws)
  local module = setmetatable({}, { __index = websockets })
  function module.context(config) return context_of(config, made) end
  -- Wherever a client leads to in a document, it is a client of the context.
  function module.connect(url, options)
    if type(url) == 'function' then url = url(ws) end
    local copy = {}
    for _, name in ipairs { 'headers', 'reconnect', 'protocols', 'resume' } do
      copy[name] = (options or {})[name]
    end
    assert(url:find '^ws')
    return context:connect('ws://' .. context:addresses()[1], copy)
  end
  function module.run()
    for _ = 1, rounds do context:service(1) end
    return 0, 'done'
  end

  local env = setmetatable({ websockets = module, context = context, ws = ws }, { __index = _G })
  env.print = function() end
  env.arg = { [0] = 'example.lua' }
  local round = 0
  env.goes_on = function()
    round = round + 1
    return round <= rounds
  end
  env.my_loop = { watch_reading = function() end, forget = function() end }
  env.require = function(name)
    return name == 'websockets' and module or require(name)
  end
  return env
end

-- What a client of a block meets: an echo, for a while.
local function answer(context, ws)
  ws:on_receive(function(_, data, type) ws:write(data, type) end)
  context:after(0.1, function() ws:close(websockets.CLOSE_NORMAL) end)
end

-- What goes on without end, as a statement of its own: a few rounds of it. Who waits is told when it ends.
local function shortened(text)
  if not text:find(':receive(', 1, true) then text = text:gsub('while true do', 'while goes_on() do') end
  return (text:gsub('service%(%-1%)', 'service(1)')
    :gsub('%f[^\n]context:run%(%)', 'while goes_on() do context:service(1) end')
    :gsub('os%.exit%(%(context:run%(%)%)%)', 'while goes_on() do context:service(1) end'))
end

local function run(text, name, env)
  local chunk, why = compile(text, '=' .. name)
  assert(chunk, why)
  if rawget(_G, 'setfenv') then
    setfenv(chunk, env)
  else
    debug.setupvalue(chunk, 1, env) -- _ENV, unless no global is used
  end
  chunk()
end

-- --- Visitors ---

-- Sends a text and a ping; returns what texts came before the pong.
local function converse(c)
  local texts = {}
  c:text 'hello'
  c:ping 'p'
  while true do
    local frame = c:receive_frame()
    if frame.opcode == client.PONG then return texts end
    texts[#texts + 1] = frame.payload
  end
end

local function visit(one)
  local config, ctx = one.config, one.ctx
  if loop.is_destroyed(ctx) or config.ssl_cert_path or config.port == nil then return end
  local port = tonumber(ctx:addresses()[1]:match ':(%d+)$')
  local request = config.on_http and client.connect(ctx, port)
  if request then request:send(http.request '/') end
  for name in pairs(config.protocols) do
    local c = client.open(ctx, port, name)
    local texts = converse(c)
    -- A coroutine goes on at the end of the round, so that the pong may come first.
    if one.echoes then assert.equal('hello', texts[1] or c:receive_frame().payload) end
    c:close()
  end
  if request then
    assert.equal(200, (request:read_response()))
    request:close()
  end
  if not loop.is_destroyed(ctx) then
    loop.serve_until(ctx, function() return ctx:stats().open_connections == 0 end, 'all visitors to be gone')
  end
end

add_documents()

describe('examples:', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  setup(make_certificate)
  teardown(function() os.execute('rm -r ' .. folder) end)

  local function open(waits)
    local opened, is_ready
    local context, port
    context, port = loop.context {
      protocols = {
        echo = function(ws)
          if is_ready and waits then return answer(context, ws) end
          opened = ws
        end,
      },
    }
    local c = client.open(context, port, 'echo')
    local ws = opened
    opened, is_ready = nil, true
    return context, ws, c
  end

  local function is_open(ws)
    return tostring(ws):find('(open)', 1, true) ~= nil
  end

  for _, path in ipairs(documents) do
    if read(path) and path ~= 'docs/deploying.md' then -- whose programs tests/interop/deploying.py runs
      each_block(path, 'lua', function(text, line)
        local name = path .. ':' .. line
        local needs_pollfd = text:find 'on_add_fd' or text:find 'pollfd'
        local waits = text:find ':receive%(' or text:find ':messages%(' or text:find ':wait_'
        text = shortened(text)
        it(name .. (needs_pollfd and ' #pollfd' or ''), function()
          local made = {}
          local context, ws, c = open(waits)
          if text:find 'context:run' then c:close() end -- its shutdown would wait for an answer
          run(text, name, environment(made, context, ws))
          for _, one in ipairs(made) do
            one.echoes = text:find('ws:write(data, type)', 1, true)
            visit(one)
          end
          if is_open(ws) then converse(c) end
          if not loop.is_destroyed(context) then
            context:broadcast('echo', 'news')
            loop.step(context)
          end
        end)
      end)

      each_block(path, 'lua other', function(text, line)
        it(path .. ':' .. line, function() assert(compile(text)) end)
      end)

      it('languages of ' .. path, function()
        local is_open = false
        for line in io.lines(path) do
          local language = line:match '^```(.*)$'
          if language and not is_open then assert.is_true(languages[language], language) end
          if language then is_open = not is_open end
        end
      end)

      each_block(path, 'sh', function(text, line)
        it(path .. ':' .. line, function()
          local script = os.tmpname()
          local file = assert(io.open(script, 'w'))
          file:write(text)
          file:close()
          local status = os.execute('bash -n ' .. script)
          os.remove(script)
          assert.is_true(status == 0 or status == true)
          for name in text:gsub('%$PWD/', ''):gmatch '%f[%w_./]([%w_-]+/[%w_./-]+)' do
            if not name:find '^build/' then assert.is_truthy(read(name), name .. ' does not exist') end
          end
        end)
      end)
    end
  end

  for _, path in ipairs { 'examples/echo.lua', 'examples/smallest-client.lua', 'examples/client.lua' } do
    it(path .. ' is in the README', function()
      local example = read(path):gsub('^%-%- SPDX[^\n]*\n', '')
      local found = false
      each_block('README.md', 'lua', function(text) found = found or text == example end)
      assert.is_true(found)
    end)
  end

  it('examples/static.lua serves a page and a chat', function()
    local made = {}
    local env = environment(made)
    env.arg = { [0] = 'examples/static.lua' }
    run(shortened(read 'examples/static.lua'), 'examples/static.lua', env)
    visit(made[1])
  end)

  it('links lead somewhere', function()
    for _, path in ipairs(documents) do
      local prose = (read(path) or ''):gsub('`[^`\n]*`', '')
      for target in prose:gmatch '%]%(([^)]+)%)' do
        local file, anchor = target:match '^([^#]*)#?(.*)$'
        if not file:find '^https?:' then
          file = file == '' and path or path:match '^(.-)[^/]*$' .. file
          local handle = assert(io.open(file), path .. ': ' .. target)
          local text = handle:read '*a' or '' -- of a folder
          handle:close()
          local anchors = {}
          for title in ('\n' .. text):gmatch '\n#+ ([^\n]+)' do
            anchors[title:lower():gsub('[^%w_ -]', ''):gsub(' ', '-')] = true
          end
          assert.is_true(anchor == '' or anchors[anchor] or false, path .. ': ' .. target)
        end
      end
    end
  end)
end)
