-- SPDX-License-Identifier: MIT
-- What is said of a cluster in websockets.context; no server is needed.
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local websockets = require 'websockets'

describe('options of a cluster', function()
  leaks.check_each(before_each, after_each)

  local function context(more)
    local config = { protocols = { p = function() end } }
    for name, value in pairs(more) do
      config[name] = value
    end
    return websockets.context(config)
  end

  local function refused(more, pattern)
    local ok, why = pcall(context, more)
    assert.is_false(ok)
    assert.matches(pattern, why)
    return why
  end

  it('may be a URL, a table, or a list of both', function()
    for _, cluster in ipairs {
      'redis://127.0.0.1', 'redis://user:secret@localhost:7000/3', 'rediss://127.0.0.1', 'redis+unix:/tmp/socket',
      'redis+sentinel://one,two:26380/name/1', { url = 'rediss://127.0.0.1', ssl_verify = false },
      { 'redis://127.0.0.1:1', { url = 'rediss://127.0.0.1:2', ssl_ca_path = 'ca.pem' } },
    } do
      context({ cluster = cluster, cluster_prefix = 'x', cluster_queue = 1, on_cluster = print,
                history = { topics = { 'room/' }, size = 1, ttl = 0.5, wrap = print } }):destroy()
    end
  end)

  it('have to be URLs of Redis', function()
    refused({ cluster = 1 }, "option 'cluster' is 1, expected a URL of Redis")
    refused({ cluster = true }, "option 'cluster' is true, expected a URL")
    refused({ cluster = 'http://127.0.0.1' }, "option 'cluster': ")
    refused({ cluster = '' }, "option 'cluster': ")
    refused({ cluster = {} }, "option 'cluster.url' is nil, expected a URL")
    refused({ cluster = { 'redis://127.0.0.1', 'no' } }, "option 'cluster%[2%]': ")
    refused({ cluster = { 'redis://127.0.0.1', ssl_verify = false } },
      "option 'cluster' has the key 'ssl_verify', expected a list")
    refused({ cluster = { 'redis://127.0.0.1', { url = 2 } } }, "option 'cluster%[2%].url' is 2")
    refused({ cluster = { url = 'redis://127.0.0.1', ssl = 1 } }, "option 'cluster.ssl'")
    refused({ cluster = { url = 'rediss://127.0.0.1', ssl_private_key_path = 'x' } }, 'needs ssl_cert_path')
  end)

  it('show no passwords', function()
    for _, cluster in ipairs { 'redis://user:secret@host:port', { url = 'redis://:secret@' }, { 'http://user:secret@host' } } do
      assert.is_nil(refused({ cluster = cluster }, 'option'):find('secret', 1, true))
    end
  end)

  it('need a cluster', function()
    for name, value in pairs { cluster_prefix = 'x', cluster_queue = 1, history = { topics = { '' } } } do
      refused({ [name] = value }, ("option '%s' needs 'cluster'"):format(name))
    end
    context({ on_cluster = print }):destroy() -- workers tell of gaps, too
  end)

  it('are limited to what makes sense', function()
    local function refused_with(more, pattern)
      more.cluster = 'redis://127.0.0.1'
      refused(more, pattern)
    end
    refused_with({ cluster_prefix = '' }, "option 'cluster_prefix' is empty")
    refused_with({ cluster_prefix = 1 }, "option 'cluster_prefix'")
    refused_with({ cluster_queue = 0 }, "option 'cluster_queue'")
    refused_with({ on_cluster = 1 }, "option 'on_cluster'")
    refused_with({ history = true }, "option 'history' is true, expected a table")
    refused_with({ history = {} }, "option 'history' needs 'topics'")
    refused_with({ history = { topics = {} } }, "option 'history' needs 'topics'")
    refused_with({ history = { topics = 'room/' } }, "option 'history.topics'")
    refused_with({ history = { topics = { '' }, size = 0 } }, "option 'history.size'")
    refused_with({ history = { topics = { '' }, ttl = 0 } }, "option 'history.ttl'")
    refused_with({ history = { topics = { '' }, wrap = 1 } }, "option 'history.wrap'")
    refused_with({ history = { topics = { '' }, sise = 1 } }, "option 'history.sise'")
  end)

  it('are not for fork_service_loop', function()
    local ctx = loop.context { protocols = { p = function() end }, cluster = 'redis://127.0.0.1' }
    assert.has_error(function() ctx:fork_service_loop() end, 'websocket fork_service_loop in a context with a cluster')
  end)
end)
