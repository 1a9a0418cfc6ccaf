#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""permessage-deflate (RFC 7692): python3-websockets against our server, with every choice of both sides.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import asyncio
import itertools
import os
import random
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from support import DEADLINE_S, echo_server, run

BITS = (9, 10, 11, 12, 13, 14, 15)
MEMORY = ('3KB', '4KB', '8KB', '16KB', '32KB', '64KB', '128KB', '256KB')
SIZES = (1, 2, 125, 126, 600, 5000, 40_000, 70_000, 300_000)

# Words come again at all distances, so that every window is made use of; and what cannot be compressed.
random_source = random.Random(7692)
WORDS = [''.join(random_source.choices('abcdefghij ', k=random_source.randrange(3, 12))) for _ in range(500)]
TEXT = ''.join(random_source.choices(WORDS, k=60_000))
NOISE = random_source.randbytes(300_000)


def server_with(compression):
    os.environ['COMPRESSION'] = compression
    return echo_server()


def takeovers():
    return itertools.product((True, False), repeat=2)


def options(memory, takeover, client_bits=15):
    server, client = ('true' if direction else 'false' for direction in takeover)
    return (f'{{ memory = "{memory}", min_size = 1, client_max_window_bits = {client_bits}, '
            f'context_takeover = {{ server = {server}, client = {client} }} }}')


def offer(server_takeover=True, client_takeover=True, server_bits=None, client_bits=True):
    return ClientPerMessageDeflateFactory(
        server_no_context_takeover=not server_takeover, client_no_context_takeover=not client_takeover,
        server_max_window_bits=server_bits, client_max_window_bits=client_bits)


def connect(port, *offers):
    return websockets.connect(
        f'ws://127.0.0.1:{port}/', extensions=offers, compression=None, max_size=None, ping_interval=None,
        open_timeout=DEADLINE_S, close_timeout=DEADLINE_S)


def parts_of(data, count):
    size = max(1, len(data) // count)
    return [data[start:start + size] for start in range(0, len(data), size)]


async def talk(port, *offers):
    """Sends all kinds of messages, whole and in parts; returns the extension that was agreed upon."""
    async with connect(port, *offers) as ws:
        for size in SIZES:
            start = random_source.randrange(len(TEXT) - size)
            text, noise = TEXT[start:start + size], NOISE[:size]
            for message in (text, noise, text, parts_of(text, 7), parts_of(noise, 3), '', text):
                await ws.send(message)
                answer = await ws.recv()
                sent = type(message[0])().join(message) if isinstance(message, list) else message
                assert answer == sent, f'{len(answer)} bytes instead of {len(sent)}'
        assert len(ws.extensions) == 1, ws.extensions
        return ws.extensions[0]


def talk_with(compression, *offers):
    started = server_with(compression)
    try:
        return asyncio.run(asyncio.wait_for(talk(started.port, *offers), DEADLINE_S))
    finally:
        started.stop()


def takes_over_as_both_agree():
    for ours, theirs in itertools.product(takeovers(), takeovers()):
        agreed = talk_with(options('256KB', ours), offer(*theirs))
        assert agreed.remote_no_context_takeover == (not (ours[0] and theirs[0])), (ours, theirs)
        assert agreed.local_no_context_takeover == (not (ours[1] and theirs[1])), (ours, theirs)


def keeps_to_the_window_that_a_client_asks_for():
    for bits, takeover in itertools.product(BITS, (True, False)):
        agreed = talk_with(options('256KB', (takeover, True)), offer(server_bits=bits))
        assert agreed.remote_max_window_bits == bits, agreed


def has_a_window_of_its_own_choice():
    for memory, takeover in itertools.product(MEMORY, (True, False)):
        agreed = talk_with(options(memory, (takeover, True)), offer())
        assert agreed.remote_max_window_bits == max(9, 7 + MEMORY.index(memory) + 1), agreed


def tells_a_client_its_window():
    for bits, takeover in itertools.product(BITS, (True, False)):
        agreed = talk_with(options('256KB', (True, takeover), bits), offer())
        assert agreed.local_max_window_bits == bits, agreed


def takes_the_window_that_a_client_chooses():
    for bits, takeover in itertools.product(BITS, (True, False)):
        agreed = talk_with(options('256KB', (True, takeover)), offer(client_bits=bits))
        assert agreed.local_max_window_bits == bits, agreed


def falls_back_to_the_next_offer():
    agreed = talk_with('true', offer(server_bits=8), offer(server_bits=12))
    assert agreed.remote_max_window_bits == 12, agreed


def compresses_nothing_at_level_0():
    talk_with('{ level = 0 }', offer())


def works_at_every_level():
    for level in range(1, 10):
        talk_with(f'{{ level = {level}, context_takeover = true, min_size = 1 }}', offer())


def broadcasts_to_all_kinds_of_clients():
    async def check(port):
        offers = [None, [offer()], [offer(server_takeover=False)], [offer(server_bits=9)], [offer(client_takeover=False)]]
        clients = [await websockets.connect(f'ws://127.0.0.1:{port}/', subprotocols=['command'], extensions=offered,
                                            compression=None, max_size=None, ping_interval=None)
                   for offered in offers * 3]
        for number in range(60):
            sent = f'{number} ' + TEXT[number * 50:number * 50 + random_source.choice((20, 400, 3000, 50_000))]
            sender = random_source.choice(clients)
            await sender.send(f'shout {sent}')
            for client in [sender, *clients]:
                assert await client.recv() == sent
        for client in clients:
            await client.close()

    for takeover in (True, False):
        started = server_with(options('64KB', (takeover, takeover)))
        try:
            asyncio.run(asyncio.wait_for(check(started.port), DEADLINE_S))
        finally:
            started.stop()


if __name__ == '__main__':
    sys.exit(run(server_with('true'), [
        takes_over_as_both_agree, keeps_to_the_window_that_a_client_asks_for, has_a_window_of_its_own_choice,
        tells_a_client_its_window, takes_the_window_that_a_client_chooses, falls_back_to_the_next_offer,
        compresses_nothing_at_level_0, works_at_every_level, broadcasts_to_all_kinds_of_clients]))
