-- SPDX-License-Identifier: MIT
-- Every kind of callback there is, and a server to have each of them called.
--
-- In callbacks.kinds, name -> a table:
--   set(ws, act): called in the function of the protocol: has `act` called by this websocket
--   options(act, server): the options that have `act` called by the context
--   trigger(server): leads to one call, at once or when the context is served
--   is_over: whether the websocket has ended when it is called
--   is_last: whether the context is ending then, too
--   has_no_websocket: whether it is called without one, so that an error ends nothing
--   status: of the answer that the subject gets, when it gets one; an error makes 101 no other one
--   needs_pollfd: whether it is on_add_fd or on_del_fd

local assert = require 'luassert'
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local loop = require 'spec.support.loop'

local callbacks = {}

local function on_closed(trigger, is_last)
  local function set(ws, act)
    ws:on_closed(function() act(ws) end)
  end
  return { is_over = true, is_last = is_last, trigger = trigger, set = set }
end

local function for_one_subject(trigger)
  return function(server) return trigger(server.subject, server.ws, server.ctx) end
end

-- The one before stays until the next one.
local function connect(server)
  server.former = server.subject
  server.subject = client.connect(server.ctx, server.port)
  return server.subject
end

local function open(server) connect(server):send(client.request { protocol = 'p' }) end

-- A server's timers go on calling `act`, which does nothing but once.
local function timer(method)
  return { has_no_websocket = true, trigger = function(server)
    server.ctx[method](server.ctx, 0.0001, function() server.act() end)
  end }
end

callbacks.kinds = {
  ['the function of a protocol'] = { status = 101, trigger = open, set = function(ws, act) act(ws) end },
  ['the function of a protocol, by accept'] = {
    status = 101,
    set = function(ws, act) act(ws) end,
    options = function(_, server)
      return { on_upgrade = function(request)
        server.request = request
        return not server.action or request:defer()
      end }
    end,
    trigger = function(server)
      server.request = nil
      open(server)
      loop.serve_until(server.ctx, function() return server.request end, 'the request')
      local request = server.request
      server.request = nil
      assert.is_true(request:accept())
    end,
  },
  on_receive = {
    set = function(ws, act) ws:on_receive(function() act(ws) end) end,
    trigger = for_one_subject(function(c) c:send(client.frame(client.TEXT, 'x'):rep(3)) end),
  },
  on_receive_chunk = {
    set = function(ws, act) ws:on_receive_chunk(function() act(ws) end) end,
    trigger = for_one_subject(function(c) c:send(client.frame(client.TEXT, 'x'):rep(3)) end),
  },
  on_pong = {
    set = function(ws, act) ws:on_pong(function() act(ws) end) end,
    trigger = for_one_subject(function(c) c:send(client.frame(client.PONG, 'x'):rep(3)) end),
  },
  on_broadcast = {
    set = function(ws, act) ws:on_broadcast(function() act(ws) end) end,
    trigger = function(server) server.ctx:broadcast('p', 'x') end,
  },
  on_server_writeable = {
    set = function(ws, act) ws:on_server_writeable(function() act(ws) end) end,
    trigger = for_one_subject(function(_, ws) ws:write 'x' end),
  },
  ['on_closed, after a Close'] = on_closed(for_one_subject(function(c) c:send_close(1000) end)),
  ['on_closed, after a reset'] = on_closed(for_one_subject(function(c) c:reset() end)),
  ['on_closed, after an error of the peer'] = on_closed(for_one_subject(function(c) c:send(client.frame(3, '')) end)),
  ['on_closed, within close'] = on_closed(for_one_subject(function(_, ws) ws:close(1000) end)),
  ['on_closed, within terminate'] = on_closed(for_one_subject(function(_, ws) ws:terminate() end)),
  ['on_closed, within destroy'] = on_closed(for_one_subject(function(_, _, ctx) ctx:destroy() end), true),
  ['on_closed, within shutdown'] = on_closed(for_one_subject(function(_, _, ctx) ctx:shutdown(0) end), true),
  on_http = {
    status = 500,
    options = function(act) return { on_http = function(ws) act(ws) end } end,
    trigger = function(server) connect(server):send(http.request '/') end,
  },
  on_upgrade = {
    has_no_websocket = true,
    status = 500,
    options = function(act)
      return { on_upgrade = function(request)
        act(nil, request)
        return true
      end }
    end,
    trigger = open,
  },
  on_refused = {
    has_no_websocket = true,
    status = 400,
    options = function(act) return { on_refused = function() act() end } end,
    trigger = function(server) connect(server):send(client.request { protocol = 'not served' }) end,
  },
  on_add_fd = {
    has_no_websocket = true,
    needs_pollfd = true,
    options = function(act) return { on_add_fd = function() act() end, on_del_fd = function() end } end,
    trigger = open,
  },
  on_del_fd = {
    has_no_websocket = true,
    needs_pollfd = true,
    options = function(act) return { on_add_fd = function() end, on_del_fd = function() act() end } end,
    trigger = for_one_subject(function(c) c:reset() end),
  },
  after = timer 'after',
  every = timer 'every',
}

-- Iterates over the names, in order, and the kinds.
function callbacks.each()
  local names, position = {}, 0
  for name in pairs(callbacks.kinds) do
    names[#names + 1] = name
  end
  table.sort(names)
  return function()
    position = position + 1
    local name = names[position]
    local kind = callbacks.kinds[name]
    return name and name .. (kind.needs_pollfd and ' #pollfd' or ''), kind
  end
end

-- --- A server ---

-- `errors`: what reached on_error, a list of { message =, ws = }. `opened` and `closed`: how many websockets.
-- `ctx`, `port`, `subject` and `ws`: who has the callback; `other`: a client of another protocol, which echoes.
-- `action`: is called by the next callback of the kind, once, as action(server, ws). `is_ending`: of the context.
local server = {}
server.__index = server

-- Connects a subject, in place of those before.
function server:connect_subject()
  for _, name in ipairs { 'subject', 'former' } do
    if self[name] then self[name]:close() end
  end
  loop.serve_until(self.ctx, function() return self.opened == self.closed end, 'those before to be gone')
  self.former = nil
  local before = self.opened
  self.subject = client.open(self.ctx, self.port, 'p')
  loop.serve_until(self.ctx, function() return self.opened > before end, 'the websocket')
  loop.step(self.ctx)
end

-- Has the callback call action(server, ws), and serves until it has.
function server:call(action)
  self.action = action
  self.is_ending = self.kind.is_last
  self.kind.trigger(self)
  loop.serve_until(self.ctx, function() return not self.action end, 'the callback')
end

-- The other client is served still, or was told of the end.
function server:expect_other_undisturbed()
  if self.is_ending then return self.other:expect_close(1001) end
  self.other:text 'still there?'
  self.other:expect_text 'still there?'
end

-- Ends everything; on_closed was called once for each websocket.
function server:finish()
  self.ctx:destroy()
  assert.equal(self.opened, self.closed, 'calls of on_closed')
  for _, name in ipairs { 'subject', 'former', 'other' } do
    if self[name] then self[name]:close() end
  end
  self.ws, self.errors = nil, {}
end

-- The protocol of the subjects: each call of on_closed counts, whoever has set it.
local function subject_protocol(self, act)
  return function(ws)
    self.opened, self.ws = self.opened + 1, ws
    local is_closed = false
    local function count()
      assert(not is_closed, 'on_closed twice')
      is_closed = true
      self.closed = self.closed + 1
    end
    ws:on_closed(count)
    ws:subscribe 'topic'
    if not self.kind.set then return end
    self.kind.set(ws, function(...)
      if self.kind.is_over then count() end
      return act(...)
    end)
  end
end

-- A server for callbacks of a kind, its subject and the other client.
function callbacks.serve(kind)
  local self = setmetatable({ kind = kind, errors = {}, opened = 0, closed = 0 }, server)
  local function act(...)
    local action = self.action
    self.action = nil
    if action then return action(self, ...) end
  end
  self.act = act
  local options = kind.options and kind.options(act, self) or {}
  function options.on_error(message, ws)
    self.errors[#self.errors + 1] = { message = message, ws = ws }
    if self.on_error then return self.on_error(self, ws) end
  end
  options.protocols = {
    p = subject_protocol(self, act),
    other = function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end,
  }
  self.ctx, self.port = loop.context(options)
  self.other = client.open(self.ctx, self.port, 'other')
  self:connect_subject()
  return self
end

return callbacks
