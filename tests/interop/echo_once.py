# SPDX-License-Identifier: MIT
"""Usage: echo_once.py LUA SCRIPT

Runs an echo server as it is, but on a free port of 127.0.0.1, and has a message echoed. LUA_CPATH says where the module
is; the script runs in an empty folder.
"""

import asyncio
import os
import pathlib
import subprocess
import sys
import tempfile

import websockets

# Tells where the server listens, once it does.
PRELUDE = '''
local websockets = require 'websockets'
local context = websockets.context
websockets.context = function(config)
  config.port, config.listen = nil, { '127.0.0.1:0' }
  local made = context(config)
  print(made:addresses()[1])
  io.stdout:flush()
  return made
end
'''
DEADLINE_S = 60 * float(os.environ.get('TIME_FACTOR', 1))


async def talk(address):
    async with websockets.connect(f'ws://{address}', subprotocols=['echo']) as client:
        for message in ['hello', 'häßlich', b'\0\1', 'x' * 100_000, '']:
            await client.send(message)
            answer = await client.recv()
            assert answer == message, f'{answer[:80]!r} came back for {message[:80]!r}'


def main():
    lua, script = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([lua, '-e', PRELUDE, script], cwd=folder, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().strip()
            assert address, 'the server does not start'
            asyncio.run(asyncio.wait_for(talk(address), DEADLINE_S))
        finally:
            server.kill()
            server.wait()


main()
