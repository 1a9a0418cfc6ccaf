-- SPDX-License-Identifier: MIT
local websockets = require 'websockets'

describe('constants', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local values = {
    WRITE_TEXT = 0, WRITE_BINARY = 1, WRITE_CONTINUATION = 2, WRITE_HTTP = 3, WRITE_CLOSE = 4, WRITE_PING = 5,
    WRITE_PONG = 6, WRITE_NO_FIN = 64, WRITE_CLIENT_IGNORE_XOR_MASK = 128,
    SERVER_OPTIONS_DEFEAT_CLIENT_MASK = 1, SERVER_OPTION_DEFEAT_CLIENT_MASK = 1,
    SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT = 2, SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME = 4,
    POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLHUP = 16, -- Linux
    CLOSE_NORMAL = 1000, CLOSE_GOING_AWAY = 1001, CLOSE_PROTOCOL_ERROR = 1002, CLOSE_UNSUPPORTED_DATA = 1003,
    CLOSE_NO_STATUS = 1005, CLOSE_ABNORMAL = 1006, CLOSE_INVALID_PAYLOAD = 1007,
    CLOSE_POLICY_VIOLATION = 1008,
    CLOSE_MESSAGE_TOO_BIG = 1009, CLOSE_MANDATORY_EXTENSION = 1010, CLOSE_INTERNAL_ERROR = 1011,
    CLOSE_SERVICE_RESTART = 1012, CLOSE_TRY_AGAIN_LATER = 1013, CLOSE_BAD_GATEWAY = 1014,
    CLOSE_TLS_HANDSHAKE = 1015,
  }

  for name, value in pairs(values) do
    it(name, function()
      assert.equal(value, websockets[name])
    end)
  end

  it('are whole numbers, also where floats are another kind', function()
    for name, value in pairs(values) do
      assert.equal(tostring(value), tostring(websockets[name]))
    end
  end)

  it('has a version', function()
    assert.matches('^lua%-websockets %d+%.%d+%.%d+', websockets._VERSION)
  end)

  it('are in a table that require returns, and nowhere else', function()
    local before = {}
    for name in pairs(_G) do
      before[name] = true
    end
    package.loaded.websockets = nil
    local again = require 'websockets'
    assert.is_table(again)
    for name in pairs(_G) do
      assert.is_true(before[name], name)
    end
    package.loaded.websockets = websockets
  end)
end)
