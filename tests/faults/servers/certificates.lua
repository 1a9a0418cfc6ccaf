-- SPDX-License-Identifier: MIT
-- The server of tls.lua with an authority. What fails says why, and succeeds the next time.
extra = {
  listen = { '127.0.0.1:0' },
  ssl_cert_path = certificate,
  ssl_private_key_path = certificate,
  ssl_ca_path = certificate,
  -- That certificates are only looked at where clients give them, which these do not, is a warning.
  on_error = function(err)
    if not err:find 'warning: ssl_ca_path' then note 'error' end
  end,
}
local server = dofile(folder .. '/messages.lua')
local start = server.start

-- Where memory was short OpenSSL does not always tell, but then what it had to do.
local reasons = { 'not enough memory', 'TLS: %l', "%.pem': %a", 'cannot be %l', 'cannot listen', 'no event driver: %u' }

local function try(what)
  local succeeds, why = pcall(what)
  if succeeds then return end
  note 'error'
  local is_clear = false
  for _, reason in ipairs(reasons) do
    is_clear = is_clear or why:find(reason) ~= nil
  end
  if not is_clear then error(why, 0) end
  what()
end

function server.start() try(start) end

function server.reload()
  try(function() assert(server.context():reload_certificates()) end)
  note 'reloaded'
end

return server
