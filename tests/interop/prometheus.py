#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What context:metrics() says, read by the parser of Prometheus' own Python client.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import pathlib
import sys
import tempfile
import urllib.request

sys.dont_write_bytecode = True

from prometheus_client.parser import text_string_to_metric_families  # noqa: E402
from support import Server, run  # noqa: E402

SCRIPT = r'''
local websockets = require 'websockets'
local context
context = websockets.context {
  listen = { '127.0.0.1:0' },
  protocols = { echo = function() end, ["q!#$%&'*+.^_`|~"] = function() end },
  on_http = function(ws) ws:respond(200, { ['Content-Type'] = 'text/plain; version=0.0.4' }, context:metrics()) end,
}
print((context:addresses()[1]:match '%d+$'))
io.stdout:flush()
context:run()
'''


def families():
    with urllib.request.urlopen(f'http://127.0.0.1:{PORT}/metrics') as answer:
        assert answer.headers['Content-Type'] == 'text/plain; version=0.0.4'
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.name not in found, family.name
        found[family.name] = family
    # The parser makes a family of an unknown kind of what has no TYPE.
    assert text.count('# TYPE ') == len(found)
    return found


def check_families():
    for name, family in families().items():
        assert name.startswith('lua_websockets_')
        assert family.type in ('counter', 'gauge'), (name, family.type)
        assert family.documentation
        assert family.samples, name
        for sample in family.samples:
            assert sample.name.endswith('_total') == (family.type == 'counter'), sample.name


def check_labels():
    found = families()
    protocols = {sample.labels['protocol'] for sample in found['lua_websockets_open_websockets'].samples}
    assert protocols == {'echo', "q!#$%&'*+.^_`|~"}, protocols
    assert len(found['lua_websockets_refused'].samples) >= 10


def check_counters():
    def requests():
        return families()['lua_websockets_http_requests'].samples[0].value

    first = requests()
    assert requests() == first + 1


def main():
    global PORT
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / 'server.lua'
        script.write_text(SCRIPT)
        server = Server(str(script))
        PORT = int(server.first_line)
        return run(server, [check_families, check_labels, check_counters])


if __name__ == '__main__':
    sys.exit(main())
