#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""python3-websockets against our server.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import asyncio
import os
import sys

import websockets

from support import DEADLINE_S, echo_server, run

LARGE_BYTES = 5 * 2**20
LIMIT_BYTES = 8 * 2**20  # max_message_size of echo_server.lua
CONNECTIONS = 200
SENDERS = 20
MESSAGES = 1000

server = echo_server()
address = f'ws://127.0.0.1:{server.port}/'


def connect(protocol=None, **options):
    # Without pings of its own: nothing is sent but what a check sends.
    return websockets.connect(
        address, subprotocols=protocol and [protocol], max_size=None, ping_interval=None, open_timeout=DEADLINE_S,
        close_timeout=DEADLINE_S, **options)


def check(coroutine):
    """A check as a function that takes as long as it may."""
    def run_check():
        asyncio.run(asyncio.wait_for(coroutine(), DEADLINE_S))

    run_check.__name__ = coroutine.__name__
    return run_check


async def echoed(*messages, **options):
    async with connect(**options) as ws:
        for message in messages:
            await ws.send(message)
            answer = await ws.recv()
            assert answer == message and type(answer) is type(message), message


async def closed_by_server(protocol, message):
    """The code and reason that the server closes with when it is sent a message."""
    async with connect(protocol) as ws:
        await ws.send(message)
        await ws.wait_closed()
        return ws.close_code, ws.close_reason


# --- Messages -----------------------------------------------------------------------------------------------------


@check
async def echoes_text():
    await echoed('hello', 'Grüße, 世界, \U0001f30d', 'NUL \0 inside', '\0')


@check
async def echoes_binary():
    await echoed(b'hello', bytes(range(256)), b'\xff\xfe\0')


@check
async def echoes_empty_messages():
    await echoed('', b'', '', b'x', b'')


@check
async def echoes_every_length_around_the_limits_of_its_encoding():
    sizes = [1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 131072]
    await echoed(*[os.urandom(size) for size in sizes], *['a' * size for size in sizes])


@check
async def echoes_large_messages():
    await echoed(os.urandom(LARGE_BYTES), 'ä' * (LARGE_BYTES // 2))


@check
async def echoes_the_largest_message_and_refuses_one_byte_more():
    await echoed(bytes(LIMIT_BYTES))
    code, _ = await closed_by_server('echo', bytes(LIMIT_BYTES + 1))
    assert code == 1009, code


@check
async def reassembles_fragments():
    async with connect() as ws:
        for fragments in (['one', '', ' two', ' three'], [b'', b'\0\1', b'\2'], ['', ''], ['ä'] * 500):
            await ws.send(fragments)
            answer = await ws.recv()
            assert answer == type(fragments[0])().join(fragments), answer


@check
async def reassembles_large_fragments():
    async with connect() as ws:
        fragments = [os.urandom(LARGE_BYTES // 50) for _ in range(50)]
        await ws.send(fragments)
        assert await ws.recv() == b''.join(fragments)


@check
async def answers_pings_between_fragments():
    async with connect() as ws:
        async def fragments():
            for number in range(5):
                yield str(number)
                await (await ws.ping(b'between'))

        await ws.send(fragments())
        assert await ws.recv() == '01234'


@check
async def fragments_its_own_messages():
    async with connect('command') as ws:
        for count in (1, 2, 100):
            await ws.send(f'fragments {count}')
            expected = ''.join(f'{number} ' for number in range(1, count + 1))
            assert await ws.recv() == expected


@check
async def echoes_pipelined_messages_in_order():
    async with connect() as ws:
        messages = [f'{number} ' + 'x' * (number % 300) for number in range(MESSAGES)]

        async def receive():
            return [await ws.recv() for _ in range(MESSAGES)]

        receiving = asyncio.create_task(receive())
        for message in messages:
            await ws.send(message)
        assert await receiving == messages


# --- Control frames -----------------------------------------------------------------------------------------------


@check
async def answers_pings():
    async with connect() as ws:
        for payload in (b'', b'ping', bytes(125)):
            await (await ws.ping(payload))
        # In any number, none answered twice or by another's pong.
        for pong in [await ws.ping(f'{number}') for number in range(100)]:
            await pong
        await ws.pong(b'unasked for')
        await ws.send('still there')
        assert await ws.recv() == 'still there'


@check
async def takes_the_answer_to_its_own_ping():
    async with connect('command') as ws:
        for payload in ('', ' hello', ' ' + 'x' * 100):
            await ws.send('ping' + payload)
            assert await ws.recv() == 'pinged'


@check
async def tells_the_code_a_client_closes_with():
    async with connect('observer') as observer:
        for code, reason in ((1000, ''), (1000, 'done'), (1001, 'bye'), (3000, 'ä' * 61), (4999, '')):
            async with connect('chat') as ws:
                assert await observer.recv() == 'opened chat'
                await ws.close(code, reason)
            assert ws.close_code == code, ws.close_code
            assert await observer.recv() == f'closed chat {code} {reason}'


@check
async def tells_that_a_client_was_lost():
    async with connect('observer') as observer, connect('chat') as ws:
        assert await observer.recv() == 'opened chat'
        ws.transport.abort()
        assert await observer.recv() == 'closed chat 1006 '


@check
async def closes_with_a_code():
    for message, code, reason in (
            ('close', 1005, ''), ('close 1000', 1000, ''), ('close 1001 bye', 1001, 'bye'),
            ('close 4999 Grüße, two words', 4999, 'Grüße, two words'), ('terminate', 1006, ''),
            ('fail', 1011, None)):
        result = await closed_by_server('command', message)
        assert result[0] == code and reason in (None, result[1]), (message, result)


@check
async def refuses_invalid_utf8():
    async with connect() as ws:
        await ws.ensure_open()
        await ws.write_frame(True, 1, b'\xc3\x28')
        await ws.wait_closed()
        assert ws.close_code == 1007, ws.close_code


@check
async def refuses_a_continuation_of_nothing():
    async with connect() as ws:
        await ws.ensure_open()
        await ws.write_frame(True, 0, b'')
        await ws.wait_closed()
        assert ws.close_code == 1002, ws.close_code


# --- Handshakes ---------------------------------------------------------------------------------------------------


@check
async def chooses_the_first_known_subprotocol():
    for offered, chosen in (
            (['echo'], 'echo'), (['unknown', 'command', 'echo'], 'command'), (['chat', 'echo'], 'chat'), (None, None)):
        async with websockets.connect(address, subprotocols=offered) as ws:
            assert ws.subprotocol == chosen, ws.subprotocol


@check
async def refuses_unknown_subprotocols():
    try:
        await websockets.connect(address, subprotocols=['unknown', 'Echo'])
    except websockets.InvalidStatusCode as error:
        assert error.status_code == 400, error.status_code
        assert error.headers['Content-Length'] != '0'
    else:
        raise AssertionError('not refused')


@check
async def declines_extensions():
    async with connect(compression='deflate') as ws:
        assert ws.extensions == [], ws.extensions


@check
async def takes_all_kinds_of_requests():
    options = {
        'origin': 'https://example.org', 'user_agent_header': None,
        'extra_headers': [('Cookie', f'a{number}=b') for number in range(50)]}
    await echoed('hello', **options)
    async with websockets.connect(f'{address}some/path?a=b&c=%20') as ws:
        await ws.send('hello')
        assert await ws.recv() == 'hello'


# --- Many connections ---------------------------------------------------------------------------------------------


@check
async def broadcasts_to_many_connections():
    clients = await asyncio.gather(*[connect('chat') for _ in range(CONNECTIONS)])

    async def receive(client):
        return [await client.recv() for _ in range(SENDERS)]

    receiving = [asyncio.create_task(receive(client)) for client in clients]
    await asyncio.gather(*[client.send(f'message {number}') for number, client in enumerate(clients[:SENDERS])])
    received = await asyncio.gather(*receiving)
    assert sorted(received[0]) == sorted(f'message {number}' for number in range(SENDERS)), received[0]
    assert all(messages == received[0] for messages in received), 'not the same order for everyone'

    # Half of them leave without a word.
    for client in clients[::2]:
        client.transport.abort()
    await clients[1].send('the rest')
    assert await asyncio.gather(*[client.recv() for client in clients[1::2]]) == ['the rest'] * (CONNECTIONS // 2)
    await asyncio.gather(*[client.close() for client in clients])


@check
async def serves_many_connections_at_once():
    async def talk(number):
        async with connect() as ws:
            for size in (1, 200, 20000, 70000):
                message = bytes([number]) * size
                await ws.send(message)
                assert await ws.recv() == message

    await asyncio.gather(*[talk(number) for number in range(CONNECTIONS)])


if __name__ == '__main__':
    sys.exit(run(server, [
        echoes_text, echoes_binary, echoes_empty_messages, echoes_every_length_around_the_limits_of_its_encoding,
        echoes_large_messages, echoes_the_largest_message_and_refuses_one_byte_more, reassembles_fragments,
        reassembles_large_fragments, answers_pings_between_fragments, fragments_its_own_messages,
        echoes_pipelined_messages_in_order, answers_pings, takes_the_answer_to_its_own_ping,
        tells_the_code_a_client_closes_with, tells_that_a_client_was_lost, closes_with_a_code, refuses_invalid_utf8,
        refuses_a_continuation_of_nothing, chooses_the_first_known_subprotocol, refuses_unknown_subprotocols,
        declines_extensions, takes_all_kinds_of_requests, broadcasts_to_many_connections,
        serves_many_connections_at_once]))
