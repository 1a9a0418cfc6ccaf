-- SPDX-License-Identifier: MIT
-- The server of messages.lua by TLS, which unix sockets have not.
extra = { listen = { '127.0.0.1:0' }, ssl_cert_path = certificate, ssl_private_key_path = certificate }
return dofile(folder .. '/messages.lua')
