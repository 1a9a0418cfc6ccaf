# SPDX-License-Identifier: MIT
"""python3-websockets as the server of client_peers.py: client_server.mjs says what it serves.

Usage: client_server.py FOLDER
"""

import asyncio
import json
import ssl
import sys

import websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

folder = sys.argv[1]
observers = set()
MODES = {
    'off': {'compression': None},
    'fresh': {'compression': None, 'extensions': [
        ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)]},
    'takeover': {'compression': 'deflate'},
}


async def close(ws, code=None, *reason):
    # The library sends 1000 where it is given none.
    await ws.close(int(code or 1000), ' '.join(reason))


async def terminate(ws):
    ws.transport.abort()


async def probe(ws, data=''):
    await (await ws.ping(data))
    await ws.send(f'pong {data}')


async def fragments(ws, count):
    async def parts():
        for number in range(1, int(count) + 1):
            yield f'{number} '
            await ws.ping(f'between {number}')

    await ws.send(parts())


COMMANDS = {'close': close, 'terminate': terminate, 'probe': probe, 'fragments': fragments}


async def observe(text):
    for observer in observers:
        await observer.send(text)


async def run(command, *arguments):
    try:
        await COMMANDS[command](*arguments)
    except websockets.ConnectionClosed:
        pass


async def serve(ws):
    name = ws.subprotocol or 'echo'
    if name == 'observer':
        observers.add(ws)
        await ws.wait_closed()
        observers.remove(ws)
        return
    if name == 'watched':
        await observe('opened')
        await ws.wait_closed()
        await observe(f'closed {ws.close_code} {ws.close_reason}')
        return
    running = set()  # a task that nobody holds may be collected
    try:
        async for message in ws:
            if name == 'echo':
                await ws.send(message)
            else:
                command, *words = message.split(' ')
                running.add(asyncio.create_task(run(command, ws, *words)))
    except websockets.ConnectionClosed:
        pass


async def main():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(f'{folder}/server.pem', f'{folder}/server.key')
    ports = {}
    for mode, options in MODES.items():
        options = {**options, 'subprotocols': ['echo', 'command', 'watched', 'observer'], 'max_size': None,
                   'ping_interval': None, 'close_timeout': 600}
        servers = [await websockets.serve(serve, '127.0.0.1', 0, ssl=context, **options) for context in (None, tls)]
        tcp, with_tls = (server.sockets[0].getsockname()[1] for server in servers)
        ports[mode] = {'tcp': tcp, 'tls': with_tls}
        await websockets.unix_serve(serve, f'{folder}/python-{mode}.sock', **options)
    print(json.dumps(ports), flush=True)
    await asyncio.Future()


asyncio.run(main())
