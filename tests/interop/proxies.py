#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our server behind nginx and haproxy, over TCP and a unix socket, with TLS that ends at the proxy.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import asyncio
import contextlib
import http.client
import os
import pathlib
import random
import ssl
import sys
import tempfile

import websockets

from proxy import Proxy, Route
from support import DEADLINE_S, Server, demo_certificates, run

MIB = 2**20
FILES = {'empty': b'', 'small': b'line\r\n' * 100, 'large': random.Random(7239).randbytes(3 * MIB)}

temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)


class Servers:
    """Our server and the proxies as one, for run()."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.stack.callback(temporary.cleanup)
        demo_certificates(folder)
        for name, content in FILES.items():
            (folder / name).write_bytes(content)
        self.ours = Server('tests/interop/proxied_server.lua', folder)
        self.stack.callback(self.ours.stop)
        self.port = int(self.ours.first_line)
        self.all = [self.ours]

    def start_proxy(self, program, routes):
        self.all.append(Proxy(program, folder, routes))
        self.stack.callback(self.all[-1].stop)

    def is_running(self):
        return all(server.is_running() for server in self.all)

    @property
    def process(self):
        return next(server.process for server in self.all if not server.is_running())

    def stop(self):
        self.stack.close()


class Client:
    """Makes connections by one route, with TLS or without."""

    def __init__(self, route, is_tls):
        self.port = route.tls_port if is_tls else route.port
        self.tls = ssl.create_default_context(cafile=folder / 'ca.pem') if is_tls else None

    def connect(self, protocol=None, **options):
        scheme = 'wss' if self.tls else 'ws'
        return connect(f'{scheme}://127.0.0.1:{self.port}/', protocol, ssl=self.tls, **options)

    def http(self):
        kind = http.client.HTTPSConnection if self.tls else http.client.HTTPConnection
        options = {'context': self.tls} if self.tls else {}
        return contextlib.closing(kind('127.0.0.1', self.port, timeout=DEADLINE_S, **options))


def connect(address, protocol, **options):
    # Without pings of its own: nothing is sent but what a check sends.
    return websockets.connect(
        address, subprotocols=protocol and [protocol], max_size=None, ping_interval=None, open_timeout=DEADLINE_S,
        close_timeout=DEADLINE_S, **options)


# --- The checks, each by every route ------------------------------------------------------------------------------


async def echoes(client):
    async with client.connect() as ws:
        for message in ('hello', b'\0\xff', '', 'ä' * (MIB // 2), os.urandom(MIB), ['in', '', ' fragments']):
            await ws.send(message)
            expected = ''.join(message) if isinstance(message, list) else message
            answer = await ws.recv()
            assert answer == expected, f'{answer[:80]!r} came back for {expected[:80]!r}'


async def hands_on_pings(client):
    async with client.connect('command') as ws:
        await (await ws.ping(b'from the client'))
        await ws.send('ping')
        assert await ws.recv() == 'pinged'


async def tells_the_server_how_a_client_closes(client):
    async with connect(f'ws://127.0.0.1:{servers.port}/', 'observer') as observer:
        for code, reason in ((1000, ''), (3001, 'done'), (4999, 'ü' * 61)):
            async with client.connect('named') as ws:
                await ws.send('somebody')
                await ws.recv()
                await ws.close(code, reason)
            assert await observer.recv() == f'somebody {code} {reason}'


async def tells_the_server_that_a_client_was_lost(client):
    async with connect(f'ws://127.0.0.1:{servers.port}/', 'observer') as observer:
        async with client.connect('named') as ws:
            await ws.send('somebody')
            await ws.recv()
            ws.transport.abort()
            await ws.wait_closed()
        assert await observer.recv() == 'somebody 1006 '


async def tells_the_client_how_the_server_closes(client):
    for command, code, reason in (('close 4001 so long', 4001, 'so long'), ('close 1000 ', 1000, ''),
                                  ('terminate', 1006, '')):
        async with client.connect('command') as ws:
            await ws.send(command)
            await ws.wait_closed()
            assert (ws.close_code, ws.close_reason) == (code, reason), (ws.close_code, ws.close_reason)


async def refuses_an_unknown_subprotocol(client):
    try:
        async with client.connect('unheard-of'):
            raise AssertionError('it was accepted')
    except websockets.InvalidStatusCode as error:
        assert error.status_code == 400, error


async def serves_many_at_once(client):
    async def talk(number):
        async with client.connect() as ws:
            for size in (1, 20_000, 70_000):
                message = bytes([number]) * size
                await ws.send(message)
                assert await ws.recv() == message

    await asyncio.gather(*[talk(number) for number in range(20)])


def ask(connection, method, path):
    connection.request(method, path)
    answer = connection.getresponse()
    return answer, answer.read()


async def serves_files(client):
    with client.http() as connection:
        for name, content in FILES.items():
            answer, body = ask(connection, 'GET', f'/file/{name}')
            assert answer.status == 200 and body == content, (answer.status, name, len(body))
            assert not answer.will_close, answer.getheaders()
            answer, body = ask(connection, 'HEAD', f'/file/{name}')
            assert answer.status == 200 and body == b'', (answer.status, name)
            assert answer.headers['Content-Length'] == str(len(content)), answer.getheaders()
        answer, body = ask(connection, 'GET', '/file/none')
        assert answer.status == 404 and body, answer.status
        assert not answer.will_close, answer.getheaders()


CHECKS = [
    echoes, hands_on_pings, tells_the_server_how_a_client_closes, tells_the_server_that_a_client_was_lost,
    tells_the_client_how_the_server_closes, refuses_an_unknown_subprotocol, serves_many_at_once, serves_files]


def checks_of(route):
    for is_tls in (False, True):
        for check in CHECKS:
            def call(check=check, is_tls=is_tls):
                asyncio.run(asyncio.wait_for(check(Client(route, is_tls)), DEADLINE_S))

            call.__name__ = f'{route.name}{", TLS" if is_tls else ""}: {check.__name__}'
            yield call


if __name__ == '__main__':
    servers = Servers()
    tcp, unix = f'127.0.0.1:{servers.port}', f'{folder}/server.sock'
    routes = {
        'nginx': [Route('nginx-tcp', tcp), Route('nginx-unix', f'unix:{unix}')],
        'haproxy': [Route('haproxy-tcp', tcp), Route('haproxy-unix', f'unix@{unix}'),
                    Route('haproxy-bytes', tcp, mode='tcp')],
    }
    try:
        for program in routes:
            servers.start_proxy(program, routes[program])
    except BaseException:
        servers.stop()
        raise
    sys.exit(run(servers, [check for program in routes for route in routes[program] for check in checks_of(route)]))
