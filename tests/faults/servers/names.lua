-- SPDX-License-Identifier: MIT
-- Each client's name is looked up.
extra = {
  listen = { '127.0.0.1:0' },
  on_http = function(ws)
    note 'request'
    ws:respond(200, nil, select(2, ws:get_peer_addresses()) ~= '' and 'known' or 'unknown')
  end,
}
return dofile(folder .. '/messages.lua')
