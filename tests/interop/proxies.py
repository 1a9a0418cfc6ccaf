#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our server behind nginx and haproxy, over TCP and a unix socket, with TLS that ends at the proxy, and told by headers or
the PROXY protocol who the client is.

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
ADDRESS = '127.0.0.2'  # of the clients; that of the proxies is 127.0.0.1
# What anybody may claim.
LIES = {'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'ftp', 'Forwarded': 'for=192.0.2.2'}
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
        self.all = []

    def start_ours(self, socket, *options):
        """Returns the port."""
        server = Server('tests/interop/proxied_server.lua', folder, socket, *options)
        self.all.append(server)
        self.stack.callback(server.stop)
        return int(server.first_line)

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
        self.route = route
        self.port = route.tls_port if is_tls else route.port
        self.tls = ssl.create_default_context(cafile=folder / 'ca.pem') if is_tls else None

    def connect(self, protocol=None, **options):
        scheme = 'wss' if self.tls else 'ws'
        # Without pings of its own: nothing is sent but what a check sends.
        return websockets.connect(
            f'{scheme}://127.0.0.1:{self.port}/', ssl=self.tls, subprotocols=protocol and [protocol], max_size=None,
            ping_interval=None, open_timeout=DEADLINE_S, close_timeout=DEADLINE_S, local_addr=(ADDRESS, 0), **options)

    def http(self):
        kind = http.client.HTTPSConnection if self.tls else http.client.HTTPConnection
        options = {'context': self.tls} if self.tls else {}
        return contextlib.closing(
            kind('127.0.0.1', self.port, timeout=DEADLINE_S, source_address=(ADDRESS, 0), **options))

    def described(self):
        """What the server should know of it."""
        address = ADDRESS if self.route.tells_client else '127.0.0.1'
        return f'{address} {"secure" if self.tls and self.route.tells_scheme else "plain"}'


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
    async with client.connect('observer') as observer:
        for code, reason in ((1000, ''), (3001, 'done'), (4999, 'ü' * 61)):
            async with client.connect('named') as ws:
                await ws.send('somebody')
                await ws.recv()
                await ws.close(code, reason)
            assert await observer.recv() == f'somebody {code} {reason}'


async def tells_the_server_that_a_client_was_lost(client):
    async with client.connect('observer') as observer:
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


def ask(connection, method, path, **options):
    connection.request(method, path, **options)
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


async def serves_several_requests_on_one_connection(client):
    with client.http() as connection:
        counts = [int(ask(connection, 'GET', '/count')[1]) for _ in range(5)]
    assert max(counts) >= 2, counts


async def takes_the_content_of_requests(client):
    content = FILES['large'][:MIB]
    with client.http() as connection:
        for body in (content, iter([content[:10], content[10:]]), b''):  # the second one is chunked
            answer, got = ask(connection, 'POST', '/body', body=body, encode_chunked=not isinstance(body, bytes),
                              headers={} if isinstance(body, bytes) else {'Transfer-Encoding': 'chunked'})
            assert answer.status == 200 and got == (content if body else b''), (answer.status, len(got))


async def tells_the_address_of_the_client(client):
    lies = LIES if client.route.tells_scheme else {}
    for headers in ({}, lies):
        async with client.connect('address', extra_headers=headers) as ws:
            described = await ws.recv()
            assert described == client.described(), described
        with client.http() as connection:
            answer, body = ask(connection, 'GET', '/address', headers=headers)
            assert body.decode() == client.described(), (answer.status, body)


CHECKS = [
    echoes, hands_on_pings, tells_the_server_how_a_client_closes, tells_the_server_that_a_client_was_lost,
    tells_the_client_how_the_server_closes, refuses_an_unknown_subprotocol, serves_many_at_once, serves_files,
    serves_several_requests_on_one_connection, takes_the_content_of_requests, tells_the_address_of_the_client]


def checks_of(route):
    for is_tls in (False, True):
        for check in CHECKS:
            def call(check=check, is_tls=is_tls):
                asyncio.run(asyncio.wait_for(check(Client(route, is_tls)), DEADLINE_S))

            call.__name__ = f'{route.name}{", TLS" if is_tls else ""}: {check.__name__}'
            yield call


if __name__ == '__main__':
    servers = Servers()
    try:
        tcp, unix = f'127.0.0.1:{servers.start_ours("server.sock")}', f'{folder}/server.sock'
        after_header = f'127.0.0.1:{servers.start_ours("header.sock", "proxy_protocol")}'
        unix_after_header = f'unix@{folder}/header.sock'
        routes = {
            'nginx': [Route('nginx-tcp', tcp), Route('nginx-unix', f'unix:{unix}')],
            'haproxy': [
                Route('haproxy-tcp', tcp), Route('haproxy-unix', f'unix@{unix}'),
                Route('haproxy-bytes', tcp, mode='tcp'),
                Route('haproxy-header-1', after_header, mode='tcp', settings='send-proxy'),
                Route('haproxy-header-2', after_header, mode='tcp', settings='send-proxy-v2 check inter 100ms'),
                Route('haproxy-header-unix', unix_after_header, mode='tcp', settings='send-proxy-v2')],
        }
        for program in routes:
            servers.start_proxy(program, routes[program])
    except BaseException:
        servers.stop()
        raise
    sys.exit(run(servers, [check for program in routes for route in routes[program] for check in checks_of(route)]))
