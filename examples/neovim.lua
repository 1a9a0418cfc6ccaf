-- SPDX-License-Identifier: MIT
-- The chat of chat.lua within Neovim: a buffer in which Enter sends what was typed.
-- Usage: nvim -S neovim.lua, then :Chat NAME [URL]
local function describe(event)
  if event.kind == 'welcome' then
    table.sort(event.here)
    return ('In the %s: %s'):format(event.room, table.concat(event.here, ', '))
  elseif event.kind == 'said' then
    return ('%s: %s'):format(event.name, event.text)
  elseif event.kind == 'came' or event.kind == 'left' then
    return ('%s %s'):format(event.name, event.kind)
  end
end

local function open_chat(name, url)
  vim.cmd 'new'
  local buffer = vim.api.nvim_get_current_buf()
  vim.bo.buftype, vim.bo.bufhidden = 'prompt', 'wipe'
  vim.fn.prompt_setprompt(buffer, '> ')

  local function show(text)
    vim.schedule(function() -- in callbacks of its loop Neovim's own functions are not to be called
      if text and vim.api.nvim_buf_is_loaded(buffer) then
        vim.api.nvim_buf_set_lines(buffer, -2, -2, false, vim.split(text, '\n'))
      end
    end)
  end

  local ws = require('websockets.luv').connect(url, { protocols = { 'chat' }, reconnect = true })
  ws:on_open(function()
    ws:write(name)
  end)
  ws:on_receive(function(_, data)
    local event = vim.json.decode(data)
    for _, earlier in ipairs(event.history or {}) do
      show(describe(earlier))
    end
    show(describe(event))
  end)
  ws:on_retry(function(_, seconds, failure)
    show(('%s; again in %.1f s'):format(failure, seconds))
  end)
  ws:on_closed(function(_, _, _, failure)
    show(failure and tostring(failure))
  end)

  vim.fn.prompt_setcallback(buffer, function(text)
    ws:write(text)
  end)
  vim.api.nvim_create_autocmd('BufWipeout', { buffer = buffer, callback = function() ws:close() end })
  vim.api.nvim_create_autocmd('VimLeavePre', { callback = function() ws:close() end })
  vim.cmd 'startinsert'
end

vim.api.nvim_create_user_command('Chat', function(command)
  open_chat(command.fargs[1], command.fargs[2] or 'ws://localhost:8080/')
end, { nargs = '+' })
