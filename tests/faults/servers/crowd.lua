-- SPDX-License-Identifier: MIT
local websockets = require 'websockets'

local context
local server = {}

function server.start()
  context = websockets.context {
    listen = { 'unix:' .. path },
    on_error = function() note 'error' end,
    protocols = {
      crowd = function(ws)
        note 'open'
        ws:on_closed(function()
          note 'closed'
          pcall(context.publish, context, 'news', '?gone') -- not when the context is destroyed
        end)
        ws:subscribe 'news'
      end,
    },
  }
end

-- Once more if nobody could be sent it.
local is_published = true

function server.publish()
  is_published = false
  context:publish('news', 'published')
  is_published = true
end

function server.fill() context:publish('news', ('x'):rep(2000000)) end

function server.step()
  if not is_published then server.publish() end
  context:service(0)
end

function server.stop() context:destroy() end

return server
