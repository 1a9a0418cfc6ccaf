#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The recipes of docs/cookbook.md, and what no other test runs of the README, as they stand there: servers with
clients, clients with servers, nginx, tinyproxy, systemd's own checks, Neovim.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import websockets

from neovim import neovim
from support import DEADLINE_S, ROOT, blocks, demo_certificates, free_port, run, verify_units

LUA = os.environ.get('LUA', 'lua5.4')
COOKBOOK = (ROOT / 'docs' / 'cookbook.md').read_text()

temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)
tried = set()  # the blocks that were


class Everything:
    """For run(): each check has a server of its own."""

    def is_running(self):
        return True

    def stop(self):
        temporary.cleanup()


def block(title, language='lua', index=0):
    """One of a recipe."""
    text = blocks(COOKBOOK.split(f'\n## {title}\n')[1].split('\n## ')[0], language)[index]
    tried.add(text)
    return text


def replaced(text, *pairs):
    for old, new in pairs:
        assert str(old) in text, old
        text = text.replace(str(old), str(new))
    return text


def write(name, text):
    path = folder / name
    path.write_text(text)
    return path


def wait_for(condition, process):
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, f'it ended with {process.returncode}'
        assert time.monotonic() < deadline_s, 'it takes too long'
        time.sleep(0.05)


def answers(port):
    try:
        socket.create_connection(('127.0.0.1', port), timeout=1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def running(*command, status=0, **options):
    """SIGTERM ends it."""
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, **options)
    try:
        yield process
        process.terminate()
        assert process.wait(DEADLINE_S) in (status, -15), process.returncode
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def recipe(title):
    """Runs the server of a recipe, but on a free port; gives the address."""
    port = free_port()
    script = write('recipe.lua', replaced(block(title), (8080, port)))
    with running(LUA, script) as process:
        wait_for(lambda: answers(port), process)
        yield f'ws://127.0.0.1:{port}/'
        assert process.poll() is None, process.returncode


def connect(address, **options):
    return websockets.connect(address, open_timeout=DEADLINE_S, close_timeout=DEADLINE_S, **options)


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
async def to_one_user():
    with recipe('To one user') as address:
        async with connect(f'{address}?name=ada') as ada, connect(f'{address}?name=alan') as alan, \
                connect(f'{address}?name=alan') as alan_too:
            await ada.send('alan Are you there?')
            assert [await alan.recv(), await alan_too.recv()] == ['ada: Are you there?'] * 2
            await alan.send('ada Yes')
            assert await ada.recv() == 'alan: Yes'
            await ada.send('grace hello')
            assert await ada.recv() == 'grace is not here.'
            await ada.send('hello')
            assert (await ada.recv()).startswith('Write a name')


@check
async def messages_in_json():
    with recipe('JSON') as address:
        async with connect(address) as ws:
            for sent, received in (
                    ('{"type": "add", "a": 1, "b": 2}', {'type': 'sum', 'value': 3}),
                    ('{"type": "add", "a": 1, "b": "2"}', {'type': 'error', 'text': 'a and b are numbers'}),
                    *((text, {'type': 'error', 'text': 'unknown message'})
                      for text in ('{"type": "no"}', '{', 'null', '[]', '7', '', '{"type": null}', '{"type": {}}'))):
                await ws.send(sent)
                assert json.loads(await ws.recv()) == received, sent


@check
async def address_of_the_client():
    with recipe("The client's address") as address:
        async with connect(address) as ws:
            assert await ws.recv() == 'You come from 127.0.0.1'
        assert curl(address.replace('ws', 'http')) == '127.0.0.1\n'


async def refused(address):
    try:
        async with connect(address):
            raise AssertionError('it was accepted')
    except websockets.InvalidStatusCode as error:
        return error.status_code


@check
async def path_and_query():
    with recipe('Path and query') as address:
        for path, text in (('', 'all files since the beginning'), ('files/readme?since=7', 'readme since 7'),
                           ('files/%6Eotes?since=x', 'notes since the beginning')):
            async with connect(address + path) as ws:
                assert await ws.recv() == f'Changes of {text}:'
        for path in ('files/secret', 'files/', 'x', 'files/readme/'):
            assert await refused(address + path) == 404, path


@check
async def rooms():
    with recipe('Rooms') as address:
        async with connect(f'{address}lobby') as one, connect(f'{address}lobby') as other, \
                connect(f'{address}garden') as outside:
            await outside.send('to nobody')
            await one.send('hello')
            assert await other.recv() == 'hello'
            await other.send('and to you')
            assert await one.recv() == 'and to you'  # and not what it has said itself
        for path in ('x' * 40, '%00'):
            async with connect(address + path) as ws:
                await ws.wait_closed()
                assert ws.close_code == 1008, path


@check
async def presence():
    with recipe('Who is there') as address:
        async with connect(f'{address}?name=ada') as ada:
            assert await ada.recv() == 'ada'
            async with connect(f'{address}?name=alan') as alan:
                assert [await ada.recv(), await alan.recv()] == ['ada, alan'] * 2
                async with connect(f'{address}?name=alan'):
                    assert await ada.recv() == 'ada, alan'
                assert await ada.recv() == 'ada, alan'
            assert await ada.recv() == 'ada'


@check
async def rate_limits():
    with recipe('Rate limits') as address:
        async with connect(address) as ws:
            for number in range(20):
                await ws.send(str(number))
                assert await ws.recv() == str(number)
            with contextlib.suppress(websockets.ConnectionClosed):
                for number in range(10000):
                    await ws.send(str(number))
            await ws.wait_closed()
            assert ws.close_code == 1008, ws.close_code


@check
async def behind_nginx():
    demo_certificates(folder)
    port, ours = free_port(), free_port()
    settings = replaced(block('Behind nginx', 'nginx'), ('listen 443', f'listen 127.0.0.1:{port}'), (8080, ours),
                        ('/etc/ssl/chat.pem', folder / 'server.pem'), ('/etc/ssl/chat.key', folder / 'server.key'))
    temporary_paths = ''.join(f'{name}_temp_path {folder}/{name};\n' for name in (
        'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    # As Debian's nginx.conf includes it. Other users, who would do its work, have no access to the folder.
    main = write('nginx.conf', f'daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n'
                 f'events {{}}\nhttp {{ access_log off;\n{temporary_paths}{settings}}}\n')
    script = write('recipe.lua', replaced(block('Behind nginx'), (8080, ours)))
    with running(LUA, script) as server, \
            running('/usr/sbin/nginx', '-p', folder, '-c', main, '-e', 'stderr') as nginx:
        wait_for(lambda: answers(ours), server)
        wait_for(lambda: answers(port), nginx)
        context = ssl.create_default_context(cafile=folder / 'ca.pem')
        # The client is not at nginx's own address, which is believed.
        options = {'ssl': context, 'host': '127.0.0.1', 'server_hostname': 'localhost', 'local_addr': ('127.0.0.2', 0)}
        address = f'wss://localhost:{port}/'
        async with connect(address, origin='https://chat.example.org', extra_headers={
                'X-Forwarded-For': '192.0.2.1', 'Forwarded': 'for=192.0.2.2'}, **options) as ws:
            assert await ws.recv() == 'You come from 127.0.0.2 by wss'
        with contextlib.suppress(websockets.InvalidStatusCode):
            async with connect(address, origin='https://example.org', **options):
                raise AssertionError('another page was let in')


def systemd_units():
    """By systemd's own check, and the server with a socket as systemd gives it; where there is no systemd, neither."""
    service, socket_unit = block('systemd', 'ini'), block('systemd', 'ini', 1)
    script = write('recipe.lua', block('systemd'))
    units = folder / 'units'
    units.mkdir()
    interpreter = shutil.which(LUA)
    (units / 'chat.service').write_text(replaced(service, ('/usr/bin/lua5.4', interpreter)))
    (units / 'chat.socket').write_text(socket_unit)
    if not verify_units([units / 'chat.service', units / 'chat.socket']):
        return
    port = free_port()
    environment = f'--setenv=LUA_CPATH={os.environ["LUA_CPATH"]}'
    with running('systemd-socket-activate', '--listen', f'127.0.0.1:{port}', environment, interpreter, script,
                 stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: answers(port), process)

        async def talk():
            async with connect(f'ws://127.0.0.1:{port}/') as ws:
                await ws.send('hello')
                assert await ws.recv() == 'hello'

        asyncio.run(asyncio.wait_for(talk(), DEADLINE_S))


def docker_file():
    """Built and run where there is a Docker daemon. Elsewhere only read: its packages are those of script/setup, or
    installed here, and its command configures this checkout as it says."""
    text = block('Docker', 'dockerfile')
    commands = block('Docker', 'sh')
    if shutil.which('docker') and subprocess.run(['docker', 'info'], capture_output=True, check=False).returncode == 0:
        built_and_run_by_docker(text, commands)
        return
    print('no Docker daemon here: the image is not built')
    instructions = re.findall(r'^([A-Z]+) (.*)$', text.replace('\\\n', ''), re.MULTILINE)
    assert {name for name, _ in instructions} == {'FROM', 'RUN', 'COPY', 'USER', 'EXPOSE', 'CMD'}, instructions
    packages = [word for name, value in instructions if name == 'RUN' and 'apt-get install' in value
                for word in re.search(r'--no-install-recommends (.*?)(?:&&|$)', value)[1].split()]
    known = (ROOT / 'script' / 'setup').read_text().replace("'", ' ').replace('|', ' ').split()
    missing = [name for name in packages if name not in known and subprocess.run(
        ['dpkg-query', '-W', name], capture_output=True, check=False).returncode != 0]
    assert len(packages) >= 10 and not missing, missing
    configure = next(value for name, value in instructions if 'cmake -S' in value).split('&&')[0]
    configure = replaced(configure, ('/src', ROOT), ('/build', folder / 'docker'))
    output = subprocess.run(
        configure, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    assert 'Building websockets.so for: lua5.4\n' in output, output
    command = json.loads(next(value for name, value in instructions if name == 'CMD'))
    copied = [value.split()[-1] for name, value in instructions if name == 'COPY']
    assert command == ['lua5.4', '/srv/server.lua'] and command[1] in copied, command


def built_and_run_by_docker(text, commands):
    source = folder / 'docker-source'
    subprocess.run(['git', 'clone', '--quiet', ROOT, source], check=True)
    (source / 'Dockerfile').write_text(text)
    (source / 'server.lua').write_text((ROOT / 'examples' / 'echo.lua').read_text())
    port = free_port()
    build, start = replaced(commands, ('8080:8080', f'127.0.0.1:{port}:8080')).strip().split('\n')
    subprocess.run(build, shell=True, cwd=source, stdin=subprocess.DEVNULL, check=True)
    with running(*start.split()) as process:
        wait_for(lambda: answers(port), process)


@check
async def within_neovim():
    port = free_port()
    script = write('preview.lua', replaced(block('Neovim', 'lua other'), (8080, port)))
    with neovim(folder, '-u', script, write('notes.txt', 'first line\n')) as editor:
        wait_for(lambda: answers(port), editor.process)
        assert '<title>Preview' in curl(f'http://127.0.0.1:{port}/')
        async with connect(f'ws://127.0.0.1:{port}/', origin=f'http://localhost:{port}') as ws:
            assert await ws.recv() == 'first line'
            editor.send_keys('osecond<Esc>')
            while await ws.recv() != 'first line\nsecond':
                pass
        with contextlib.suppress(websockets.InvalidStatusCode):
            async with connect(f'ws://127.0.0.1:{port}/', origin='http://example.org'):
                raise AssertionError('another page was let in')


@contextlib.asynccontextmanager
async def client_recipe(title, *pairs, index=0, env=None):
    """Runs the client of a recipe; gives a function that returns the next line of what it prints."""
    script = write('client.lua', replaced(block(title, index=index), *pairs))
    with running(LUA, '-e', "io.stdout:setvbuf 'line'", script, cwd=folder, env={**os.environ, **(env or {})},
                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        async def line():
            return (await asyncio.to_thread(process.stdout.readline)).rstrip('\n')

        yield line
        process.terminate()
        await asyncio.to_thread(process.wait, DEADLINE_S)  # its server goes on meanwhile
        process.stdout.close()


@contextlib.asynccontextmanager
async def server_of(handler, port=0):
    """One of python3-websockets; gives its port."""
    async def serve(ws):
        with contextlib.suppress(websockets.ConnectionClosed):
            await handler(ws)

    async with websockets.serve(serve, '127.0.0.1', port) as server:
        yield server.sockets[0].getsockname()[1]


@check
async def callbacks_or_coroutines():
    with recipe('Callbacks or coroutines?') as address:
        async with connect(address) as ws, connect(address) as other:
            assert await ws.recv() == await other.recv() == 'What is your name?'
            await ws.send('Ada')
            for right in (True, False, True):
                a, b = map(int, re.findall(r'\d', await ws.recv()))
                await ws.send(str(a * b + (0 if right else 1)))
            assert await ws.recv() == '2 of 3, Ada!'
            await ws.wait_closed()
            assert ws.close_code == 1000, ws.close_code
            await other.send('Alan')
            assert re.fullmatch(r'\d times \d\?', await other.recv())


@check
async def request_and_reply():
    async def serve(ws):
        first, second = json.loads(await ws.recv()), None
        second = json.loads(await ws.recv())  # the first one has had its time
        for answer in ({'id': first['id'], 'result': 'too late'}, 7,
                       {'id': second['id'], 'result': sum(second['params'])}):
            await ws.send(json.dumps(answer))
        await ws.wait_closed()
        codes.append(ws.close_code)

    codes = []
    async with server_of(serve) as port, client_recipe('Request and reply', (8080, port)) as line:
        assert await line() == 'sleep\tnil\ttimeout'
        assert (await line()).startswith('add\t3')
        assert await line() == ''
    assert codes == [1005], codes


@check
async def a_bot_as_a_script():
    async def serve(ws):
        assert ws.path == '/?name=bot' and await ws.recv() == 'I am here.'
        for text in ('ada: hello', 'ada: bot, what time is it?', 'ada: bot, count', 'ada: bot, go', 'ada: bot, count'):
            await ws.send(text)
        async for text in ws:
            said.append(text)

    said = []
    async with server_of(serve) as port, client_recipe('A bot as a script', (8080, port)) as line:
        assert (await line()).startswith('true\t1005')
    assert re.fullmatch(r'ada: it is \d\d:\d\d 3 2 1 Goodbye\.', ' '.join(said)), said
    async with client_recipe('A bot as a script', (8080, port)) as line:
        assert 'refused' in await line()


@check
async def a_pipeline():
    """64 MiB to a reader that waits until the writer is stopped by that."""
    messages = [chr(ord('a') + number % 26) * 2**16 for number in range(1024)]
    may_read, sent, heard = asyncio.Event(), [], []

    async def write_all(ws):
        for message in messages:
            await ws.send(message)
            sent.append(None)
        await ws.close()

    async def read_all(ws):
        await may_read.wait()
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in ws:
                heard.append(text)

    async with server_of(write_all) as source, websockets.serve(read_all, '127.0.0.1', 0, max_queue=1) as target:
        target_port = target.sockets[0].getsockname()[1]
        async with client_recipe('A pipeline', (8080, source), (8081, target_port)) as line:
            before = -1
            while len(sent) != before:
                before = len(sent)
                await asyncio.sleep(0.5)
            assert 0 < before < len(messages), before
            may_read.set()
            assert await line() == f'{len(messages)} messages'
    assert heard == [message.upper() for message in messages], len(heard)


@check
async def ending_many_coroutines():
    port = free_port()
    script = write('recipe.lua', replaced(block('Ending many coroutines'), (8080, port), ('sleep(60)', 'sleep(0.01)')))
    with running(LUA, script, stdout=subprocess.PIPE, text=True) as process:
        wait_for(lambda: answers(port), process)
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connect(f'ws://127.0.0.1:{port}/')) for _ in range(20)]
            for ws in clients:
                await ws.send('a note')
                assert await ws.recv() == 'Are you there still?'
            process.terminate()
            for ws in clients:
                await ws.wait_closed()
                assert ws.close_code == 1001, ws.close_code
        output = await asyncio.to_thread(process.stdout.read)
        assert output == '20 conversations have ended, and the clock: ended\n', output


@check
async def reconnecting_and_resuming():
    """A server that drops, says goodbye, and forgets; and what it is asked for each time."""
    async def send(ws, **message):
        await ws.send(json.dumps(message))

    async def begin(ws):
        await send(ws, type='session', session='first')
        await send(ws, type='event', number=1, text='one')
        await send(ws, type='event', number=2, text='two')
        ws.transport.abort()

    async def go_on(ws):
        await send(ws, type='event', number=3, text='three')
        await ws.close(1012)

    async def forget(ws):
        await send(ws, type='unknown session')
        await ws.wait_closed()
        assert ws.close_code == 1000, ws.close_code

    async def begin_again(ws):
        await send(ws, type='session', session='second')
        await send(ws, type='event', number=1, text='four')
        await ws.wait_closed()

    asked = []
    steps = iter((begin, go_on, forget, begin_again))

    async def serve(ws):
        asked.append(json.loads(await ws.recv()))
        assert ws.request_headers['Authorization'] == 'Bearer secret'
        await next(steps)(ws)

    async with server_of(serve) as port, \
            client_recipe('Reconnect and resume', (8080, port), env={'TOKEN': 'secret'}) as line:
        lines = [await line() for _ in range(6)]
        assert [text for text in lines if 'again in' not in text] == ['one', 'two', 'three', 'four'], lines
        assert 'the connection was lost; again in' in lines[2] and '1012; again in' in lines[4], lines
    assert asked == [
        {'type': 'begin'}, {'type': 'resume', 'session': 'first', 'after': 2},
        {'type': 'resume', 'session': 'first', 'after': 3}, {'type': 'begin'}], asked


@check
async def resuming_many_topics():
    """Each time it has to be told what was missed, and drops."""
    kept = [('news', 'a-1'), ('prices', 'b-1'), ('news', 'a-2'), ('news', 'a-3'), ('prices', 'b-2')]
    asked = []

    async def serve(ws):
        sinces = {}
        for _ in range(2):
            request = json.loads(await ws.recv())
            assert request['type'] == 'subscribe', request
            sinces[request['topic']] = request.get('since')
        asked.append(sinces)
        missed = [one for one in kept if one[1] > (sinces[one[0]] or '')]
        if not missed:
            await ws.wait_closed()
            return
        for topic, position in missed[:2]:
            await ws.send(json.dumps({'topic': topic, 'position': position, 'text': f'{topic} {position}'}))
        await (await ws.ping())
        ws.transport.abort()

    async with server_of(serve) as port, \
            client_recipe('Resume many topics', (8080, port), ('max_delay = 30', 'delay = 0, stable = 0')) as line:
        lines = [await line() for _ in kept]
        assert lines == [' '.join(one) for one in kept], lines
        while len(asked) < 4:
            await asyncio.sleep(0.01)
    assert asked == [
        {'news': None, 'prices': None}, {'news': 'a-1', 'prices': 'b-1'}, {'news': 'a-3', 'prices': 'b-1'},
        {'news': 'a-3', 'prices': 'b-2'}], asked


@check
async def json_rpc():
    async def serve(ws):
        async for text in ws:
            request = json.loads(text)
            if request['method'] == 'add':
                answer = {'result': sum(request['params'])}
                await ws.send('no JSON')
                await ws.send(json.dumps({'jsonrpc': '2.0', 'id': 7, 'result': 'nobody has asked'}))
                await ws.send(json.dumps({'jsonrpc': '2.0', 'id': request['id'], **answer}))

    async def refuse(ws):
        async for text in ws:
            error = {'code': -32601, 'message': 'Method not found'}
            await ws.send(json.dumps({'jsonrpc': '2.0', 'id': json.loads(text)['id'], 'error': error}))

    async def drop(ws):
        for _ in range(2):
            await ws.recv()
        ws.transport.abort()

    lost = 'the connection was lost'
    for handler, results in ((serve, ('add\t3', 'sleep\ttimeout')), (drop, (lost, lost)),
                             (refuse, ('add\tMethod not found', 'sleep\tMethod not found'))):
        async with server_of(handler) as port, client_recipe('JSON-RPC', (8080, port)) as line:
            lines = [await line() for _ in results]
            lines.sort()  # of those that are lost at once either may come first
            assert all(text in line for text, line in zip(results, lines)), lines
            assert await line() == '', lines  # it ends


@check
async def several_servers():
    async def north(ws):
        await ws.send('10')
        await ws.recv()

    async def south(ws):
        await ws.send('8')
        await may_end.wait()
        ws.transport.abort()
        await may_end.wait()

    may_end = asyncio.Event()
    south_port = free_port()
    async with server_of(north) as port, client_recipe(
            'Several servers', (8080, port), (8081, south_port)) as line:
        assert await line() == 'north sells for 10'
        async with server_of(south, south_port):
            assert await line() == 'south sells for 8'
            may_end.set()
            assert await line() == 'north sells for 10'


@check
async def through_a_proxy():
    async def serve(ws):
        async for text in ws:
            await ws.send(text + ' from behind')

    port = free_port()
    settings = write('tinyproxy.conf', f'Port {port}\nListen 127.0.0.1\nBasicAuth ada lovelace\nLogLevel Critical\n')
    async with server_of(serve) as behind:
        address = ('example.org:8080', f'127.0.0.1:{behind}')
        with running('tinyproxy', '-d', '-c', settings, stdout=subprocess.DEVNULL) as process:
            wait_for(lambda: answers(port), process)
            async with client_recipe('Through a proxy', address, (3128, port)) as line:
                assert await line() == 'hello from behind'
            async with client_recipe('Through a proxy', address, (3128, port), ('lovelace', 'guess')) as line:
                refusal = await line()
                assert refusal.startswith('proxy\t') and 'guess' not in refusal, refusal
        async with client_recipe('Through a proxy', address, (3128, port)) as line:
            assert (await line()).startswith('refused\t')


@check
async def client_certificates():
    demo_certificates(folder)
    port = free_port()
    server = write('recipe.lua', replaced(block('Client certificates'), (8443, port)))
    with running(LUA, server, cwd=folder) as process:
        wait_for(lambda: answers(port), process)
        async with client_recipe('Client certificates', (8443, port), index=1) as line:
            assert await line() == 'You are CN=lua-websockets demonstration client'
        without = "  ssl_cert_path = 'client.pem',\n  ssl_private_key_path = 'client.key',\n"
        async with client_recipe('Client certificates', (8443, port), (without, ''), index=1) as line:
            refusal = await line()
            assert refusal.startswith('tls\t') and 'certificate required' in refusal, refusal


@check
async def what_else_there_is():
    """The README's block of that name."""
    port, path = free_port(), folder / 'chat.socket'
    public = folder / 'public'
    public.mkdir()
    (public / 'index.html').write_text('<title>Public</title>')
    text = next(text for text in blocks((ROOT / 'README.md').read_text(), 'lua other') if 'on_upgrade' in text)
    script = write('recipe.lua', "local websockets = require 'websockets'\n" + replaced(
        text, ('localhost:8080', f'127.0.0.1:{port}'), ('/run/chat.socket', path), ("'public'", f"'{public}'"),
        ('every(60', 'every(0.5')))
    with running(LUA, script) as process:
        wait_for(lambda: answers(port), process)
        assert curl(f'http://127.0.0.1:{port}/') == '<title>Public</title>'
        address = f'ws://127.0.0.1:{port}/?name=ada'
        assert await refused(address) == 403
        options = {'extra_headers': {'Cookie': 'session=1'}, 'origin': 'https://example.org'}
        async with connect(address, **options) as ada, \
                websockets.unix_connect(str(path), uri='ws://localhost/', **options) as other:
            await ada.send('hello')
            while (text := await other.recv()) == 'a minute has passed':
                pass
            assert text == 'ada: hello' and await ada.recv() == 'a minute has passed'


def settings_for_editors():
    """Those of the README, and of this checkout, are JSON, and name a folder that there is once it is installed."""
    section = (ROOT / 'README.md').read_text().split('\n## In an editor\n')[1].split('\n## ')[0]
    settings = json.loads(blocks(section, 'json')[0])
    installed = settings['workspace.library'][0]
    assert installed.endswith('/share/lua-websockets/types'), installed
    assert 'DIRECTORY types DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/lua-websockets' in (
        ROOT / 'cmake' / 'install.cmake').read_text()
    own = json.loads((ROOT / '.luarc.json').read_text())
    assert own.keys() == settings.keys(), own
    for library in own['workspace.library']:
        assert (ROOT / library / 'websockets.lua').is_file(), library


def each_block_was_tried():
    untried = [text for text in blocks(COOKBOOK) if text not in tried]
    assert not untried, untried


if __name__ == '__main__':
    sys.exit(run(Everything(), [
        to_one_user, messages_in_json, address_of_the_client, path_and_query, rooms, presence, rate_limits,
        behind_nginx, systemd_units, docker_file, within_neovim, callbacks_or_coroutines, request_and_reply,
        a_bot_as_a_script, a_pipeline, ending_many_coroutines, reconnecting_and_resuming, resuming_many_topics, json_rpc,
        several_servers, through_a_proxy, client_certificates, what_else_there_is, settings_for_editors,
        each_block_was_tried]))
