# SPDX-License-Identifier: MIT
"""Usage: python_websockets_echo.py PORT [broadcast]

Echoes, or with 'broadcast' sends each message to everyone, by websockets. Prints its port when it can be connected to.
"""

import asyncio
import logging
import sys

import websockets

MAX_MESSAGE_BYTES = 2**24

logging.getLogger('websockets').setLevel(logging.CRITICAL)  # a client that vanishes is no error

port = sys.argv[1]
connections = set()


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def broadcast(connection):
    connections.add(connection)
    try:
        async for message in connection:
            websockets.broadcast(connections, message)
    finally:
        connections.remove(connection)


async def main():
    serve = broadcast if sys.argv[2:] == ['broadcast'] else echo
    async with websockets.serve(serve, '127.0.0.1', int(port), compression=None, max_size=MAX_MESSAGE_BYTES,
                                ping_interval=None, backlog=4096):
        print(port, flush=True)
        await asyncio.Future()


asyncio.run(main())
