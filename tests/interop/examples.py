#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The scripts in examples/, as they are, each with the clients it is for.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import asyncio
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile

import websockets

from support import DEADLINE_S, ROOT, Server, demo_certificates, run

temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)


class Everything:
    """For run(): each check has a server of its own."""

    def is_running(self):
        return True

    def stop(self):
        temporary.cleanup()


def free_port():
    with socket.create_server(('', 0)) as probe:
        return probe.getsockname()[1]


@contextlib.contextmanager
def example(script, *arguments):
    """Starts it, and lets Ctrl-C end it."""
    server = Server(f'examples/{script}', *map(str, arguments))
    try:
        assert server.first_line, 'it does not start'
        yield server
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(DEADLINE_S) == 0, server.process.returncode
    finally:
        server.stop()


@contextlib.contextmanager
def example_on_port(script, *arguments):
    """Gives the port; it is told what to open."""
    port = free_port()
    with example(script, port, *arguments) as server:
        assert str(port) in server.first_line, server.first_line
        yield port


def connect(address, protocol=None, **options):
    return websockets.connect(
        address, subprotocols=protocol and [protocol], open_timeout=DEADLINE_S, close_timeout=DEADLINE_S, **options)


def curl(*arguments):
    return subprocess.run(
        ['curl', '--silent', '--show-error', '--noproxy', '*', '--max-time', str(DEADLINE_S), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def check(coroutine):
    def run_check():
        asyncio.run(asyncio.wait_for(coroutine(), DEADLINE_S))

    run_check.__name__ = coroutine.__name__
    return run_check


@check
async def chat():
    with example_on_port('chat.lua') as port:
        async with connect(f'ws://127.0.0.1:{port}/', 'chat') as ada, connect(f'ws://127.0.0.1:{port}/', 'chat') as alan:
            await ada.send(' Ada ')
            assert await ada.recv() == '\tAda is here'
            await ada.send('Is anybody\nthere?')
            assert await ada.recv() == 'Ada\tIs anybody there?'
            await alan.send('Alan')
            assert [await alan.recv() for _ in range(3)] == ['\tAda is here', 'Ada\tIs anybody there?', '\tAlan is here']
            assert await ada.recv() == '\tAlan is here'
            await alan.close()
            assert await ada.recv() == '\tAlan has left'
        async with connect(f'ws://127.0.0.1:{port}/', 'chat') as nobody:
            await nobody.send(' ')
            await nobody.wait_closed()
            assert nobody.close_code == 1008, nobody.close_code
        assert '<title>Chat' in curl(f'http://127.0.0.1:{port}/')


@check
async def timer():
    with example_on_port('timer.lua') as port:
        async with connect(f'ws://127.0.0.1:{port}/') as one, connect(f'ws://127.0.0.1:{port}/') as other:
            for ws in (one, other):
                times = [await ws.recv() for _ in range(2)]
                assert all(re.fullmatch(r'\d\d:\d\d:\d\d', time) for time in times), times


async def refused(address, **options):
    try:
        async with connect(address, **options):
            raise AssertionError('it was accepted')
    except websockets.InvalidStatusCode as error:
        return error.status_code


@check
async def login():
    with example_on_port('login.lua') as port:
        address, jar = f'http://127.0.0.1:{port}/', f'{folder}/cookies'
        cookies = ['--cookie', jar, '--cookie-jar', jar]
        assert '<form' in curl(*cookies, address)
        assert 'Wrong' in curl(*cookies, '--data', 'name=ada&password=guess', f'{address}login')
        assert 'Wrong' in curl(*cookies, '--data', '', f'{address}login')
        assert await refused(f'ws://127.0.0.1:{port}/') == 401
        assert await refused(f'ws://127.0.0.1:{port}/', extra_headers={'Cookie': 'session=guess'}) == 401

        assert 'WebSocket' in curl(*cookies, '--location', '--data', 'name=ada&password=%6Covelace', f'{address}login')
        token = pathlib.Path(jar).read_text().split()[-1]
        async with connect(f'ws://127.0.0.1:{port}/', extra_headers={'Cookie': f'session={token}'}) as ws:
            assert await ws.recv() == 'Hello, ada!'


@check
async def unix():
    path = f'{folder}/example.sock'
    with example('unix.lua', path) as server:
        assert path in server.first_line
        assert curl('--unix-socket', path, 'http://localhost/hello') == 'You asked for /hello\n'
        assert os.stat(path).st_mode & 0o777 == 0o600
        async with websockets.unix_connect(path, uri='ws://localhost/', subprotocols=['echo']) as ws:
            await ws.send('hello')
            assert await ws.recv() == 'hello'


@contextlib.contextmanager
def nginx(port):
    """nginx with the example's settings, but for where things are."""
    settings = (ROOT / 'examples' / 'nginx' / 'nginx.conf').read_text()
    for old, new in (('/tmp/websockets-nginx', f'{folder}/nginx'), ('127.0.0.1:8080', f'127.0.0.1:{port}'),
                     # Others have no access to the folder.
                     ('daemon off;', 'daemon off; master_process off;')):
        assert old in settings, old
        settings = settings.replace(old, new)
    (folder / 'nginx.conf').write_text(settings)
    process = subprocess.Popen(['/usr/sbin/nginx', '-p', folder, '-c', folder / 'nginx.conf', '-e', 'stderr'],
                               stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@check
async def behind_nginx():
    path, port = f'{folder}/nginx.sock', free_port()
    with example('nginx/server.lua', path), nginx(port) as process:
        answer = curl('--fail', '--retry', '50', '--retry-delay', '1', '--retry-connrefused', f'http://127.0.0.1:{port}/')
        assert answer == 'You come from 127.0.0.1\n' and process.poll() is None, answer
        async with connect(f'ws://127.0.0.1:{port}/') as ws:
            assert await ws.recv() == 'You come from 127.0.0.1, without TLS.'
            await ws.send('hello')
            assert await ws.recv() == 'hello'


async def serial(port):
    context = ssl.create_default_context(cafile=folder / 'ca.pem')
    async with connect(f'wss://localhost:{port}/', ssl=context, host='127.0.0.1') as ws:
        await ws.send('hello')
        assert await ws.recv() == 'hello'
        return ws.transport.get_extra_info('peercert')['serialNumber']


@check
async def tls():
    demo_certificates(folder)
    demo_certificates(folder / 'new')
    port = free_port()
    with example('tls.lua', folder / 'server.pem', folder / 'server.key', port, 0.1) as server:
        assert str(port) in server.first_line
        before = await serial(port)
        assert '<script>' in curl('--cacert', f'{folder}/ca.pem', f'https://localhost:{port}/')
        for name in ('ca.pem', 'server.key', 'server.pem'):
            shutil.copy(folder / 'new' / name, folder / name)
        line = ''
        while 'new certificate' not in line:
            line = server.process.stdout.readline()
            assert line, 'it ended'
        assert await serial(port) != before


if __name__ == '__main__':
    sys.exit(run(Everything(), [chat, timer, login, unix, behind_nginx, tls]))
