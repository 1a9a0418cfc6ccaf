#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The scripts in examples/, as they are, in a terminal, each with the clients it is for.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import termios
import time

import websockets

from neovim import neovim
from support import DEADLINE_S, ROOT, demo_certificates, free_port, run

LUA = os.environ.get('LUA', 'lua5.4')
EXAMPLES = ROOT / 'examples'

temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)


class Everything:
    """For run(): each check has a server of its own."""

    def is_running(self):
        return True

    def stop(self):
        temporary.cleanup()


class Terminal:
    """A command in a terminal of its own, as a user starts it."""

    def __init__(self, *command, cwd=ROOT, env=None):
        self.device, inside = pty.openpty()
        self.text = ''
        self.process = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, stdin=inside, stdout=inside, stderr=inside,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, **(env or {})})
        os.close(inside)

    def read(self):
        """Some more of the output; '' at its end."""
        try:
            more = os.read(self.device, 4096).decode()
        except OSError:  # the last process has closed it
            more = ''
        self.text += more
        return more

    def wait_for(self, pattern):
        while not re.search(pattern, self.text):
            assert self.read(), f'it ended with {self.process.wait()}:\n{self.text}'

    def interrupt(self):
        """Ctrl-C, which has to end it, and it has nothing to say about that."""
        os.write(self.device, b'\x03')
        before = len(self.text)
        assert self.process.wait(DEADLINE_S) == 0, f'{self.process.returncode}:\n{self.text}'
        while self.read():
            pass
        assert self.text[before:].strip() in ('', '^C'), self.text

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.device)


@contextlib.contextmanager
def example(script, *arguments, cwd=EXAMPLES, lua=(LUA,), env=None):
    """Starts it, waits until it says what to do, and lets Ctrl-C end it."""
    terminal = Terminal(*lua, script, *arguments, cwd=cwd, env=env)
    try:
        terminal.wait_for('(Open|Try|Start) .*\n')
        yield terminal
        terminal.interrupt()
    finally:
        terminal.stop()


@contextlib.contextmanager
def example_on_port(script, *arguments, **options):
    """Gives the port; it is told what to open."""
    port = free_port()
    with example(script, port, *arguments, **options) as terminal:
        assert f'://localhost:{port}/' in terminal.text, terminal.text
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


async def told(ws):
    return json.loads(await ws.recv())


async def enter(ws, name):
    """Returns the welcome; the list of rooms comes behind it."""
    await ws.send(name)
    welcome, rooms = await told(ws), await told(ws)
    assert (welcome['kind'], rooms['kind']) == ('welcome', 'rooms'), (welcome, rooms)
    return welcome, {room['name']: room['size'] for room in rooms['rooms']}


async def refused_by_chat(address, message):
    async with connect(address, 'chat') as ws:
        await ws.send(message)
        await ws.wait_closed()
        return ws.close_code


@check
async def chat():
    hostile = 'a"b\\c\n\x01\x7f<b>\u2028 </script> ü €'
    with example_on_port('chat.lua') as port:
        address = f'ws://127.0.0.1:{port}/'
        async with connect(address, 'chat') as ada, connect(f'{address}?room=lobby', 'chat') as alan, \
                connect(f'{address}?room=garden', 'chat') as grace:
            welcome, sizes = await enter(ada, ' Ada ')
            assert (welcome['room'], welcome['here'], welcome['history']) == ('lobby', ['Ada'], []), welcome
            assert sizes == {'lobby': 1, 'lua': 0, 'garden': 0}, sizes
            await ada.send(hostile)
            await ada.send('  ')
            said = await told(ada)
            assert (said['kind'], said['name'], said['text']) == ('said', 'Ada', hostile), said
            assert abs(said['at'] - time.time()) < 60 + DEADLINE_S, said

            welcome, sizes = await enter(alan, hostile.replace('\n\x01\x7f', ''))
            assert welcome['history'] == [said] and sizes['lobby'] == 2, welcome
            came, rooms = await told(ada), await told(ada)
            assert came['kind'] == 'came' and came['name'] in welcome['here'] and rooms['kind'] == 'rooms', came

            welcome, sizes = await enter(grace, 'Grace')
            assert welcome['here'] == ['Grace'] and welcome['history'] == [] and sizes['garden'] == 1, welcome
            await alan.close()
            heard = [(await told(ada))['kind'] for _ in range(3)]
            assert heard == ['rooms', 'left', 'rooms'], heard
            # The name is there twice: nobody comes or leaves.
            async with connect(address, 'chat') as again:
                await enter(again, 'Ada')
            await ada.send('last')
            assert (await told(ada))['text'] == 'last'
        for name in ('', ' ', 'x' * 101, 'a\tb'):
            assert await refused_by_chat(address, name) == 1008, name
        assert await refused_by_chat(address, b'\xff') == 1003
        assert await refused_by_chat(address, 'x' * 2001) == 1009
        async with connect(address, 'chat') as flood:
            with contextlib.suppress(websockets.ConnectionClosed):
                for _ in range(1000):
                    await flood.send('x')
            await flood.wait_closed()
            assert flood.close_code == 1008, flood.close_code
        assert '<title>Chat' in curl(f'http://127.0.0.1:{port}/')


@check
async def echo():
    for script in ('echo.lua', 'echo-coroutines.lua'):
        with example_on_port(script) as port:
            assert 'console' in curl(f'http://127.0.0.1:{port}/')
            async with connect(f'ws://127.0.0.1:{port}/', 'echo') as ws:
                await ws.send('hello')
                assert await ws.recv() == 'hello'
                await ws.send(b'\xff')
                assert await ws.recv() == b'\xff'


@check
async def chat_rooms():
    with example_on_port('chat-rooms.lua') as port:
        address = f'ws://127.0.0.1:{port}/'
        async with connect(address) as one, connect(f'{address}?room=garden') as apart:
            assert await one.recv() == 'Guest 1 comes to the lobby: 1 here'
            assert await apart.recv() == 'Guest 1 comes to the garden: 1 here'
            async with connect(address, 'chat') as other:
                assert [await one.recv(), await other.recv()] == ['Guest 2 comes to the lobby: 2 here'] * 2
                await other.send('hello')
                assert [await one.recv(), await other.recv()] == ['Guest 2: hello'] * 2
            assert await one.recv() == 'Guest 2 leaves'
            await one.send(b'no text')
            await one.wait_closed()
            assert one.close_code == 1000, one.close_code
        async with connect(address) as again:
            assert await again.recv() == 'Guest 1 comes to the lobby: 1 here'


@check
async def chat_of_workers():
    with example_on_port('chat-workers.lua', 3) as port:
        address = f'ws://127.0.0.1:{port}/'
        async with connect(address) as one, contextlib.AsyncExitStack() as others:
            # Whichever worker has it, a newcomer is told what was said since the one that remembers is there, in order.
            said, told = [], []
            while len(told) < 8:
                newcomer = await others.enter_async_context(connect(address, 'chat'))
                said.append(f'message {len(said)}')
                await one.send(said[-1])
                assert await one.recv() == said[-1]
                first = await newcomer.recv()
                if '\n' in first:  # else it is what has just been said, or all that is remembered yet
                    told.append(first.split('\n'))
                    begin = said.index(told[-1][0])
                    assert told[-1] == said[begin:begin + len(told[-1])], (first, said)
                    assert told[-1][0] == told[0][0], told
            async with connect(address, 'history') as stranger:
                await stranger.wait_closed()
                assert stranger.close_code == 1008, stranger.close_code


@contextlib.contextmanager
def redis_server():
    """Gives its URL."""
    port = free_port()
    server = subprocess.Popen(
        ['redis-server', '--port', str(port), '--bind', '127.0.0.1', '--save', '', '--dir', str(folder)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(('127.0.0.1', port)):
                break
            time.sleep(0.01)
        yield f'redis://127.0.0.1:{port}'
    finally:
        server.terminate()
        server.wait()


async def enter_cluster(ws, name, position=''):
    """Returns what it is told when it is ready."""
    await ws.send(f'{name}\n{position}')
    while (message := await told(ws))['kind'] in ('here', 'redis'):
        pass
    assert message['kind'] == 'ready', message
    return message['recovered'], message['position']


async def said_in_cluster(ws, count):
    said = []
    while len(said) < count:
        message = await told(ws)
        if message['kind'] == 'said':
            said.append((message['line']['name'], message['line']['text'], message['position']))
    return said


async def here_in_cluster(ws, names):
    while (message := await told(ws)) != {'kind': 'here', 'names': names}:
        assert message['kind'] in ('here', 'redis'), message


@check
async def chat_of_machines():
    with redis_server() as url, example_on_port('chat-cluster/server.lua', url) as one, \
            example_on_port('chat-cluster/server.lua', url) as other:
        assert '<title>Chat of machines' in curl(f'http://127.0.0.1:{other}/')
        async with connect(f'ws://127.0.0.1:{one}/', 'chat') as ada:
            assert (await enter_cluster(ada, 'Ada'))[0] is False
            async with connect(f'ws://127.0.0.1:{other}/', 'chat') as alan:
                await enter_cluster(alan, 'Alan')
                await here_in_cluster(ada, ['Ada', 'Alan'])
                await ada.send('"hello"\\')
                (name, text, position), = await said_in_cluster(alan, 1)
                assert (name, text) == ('Ada', '"hello"\\'), (name, text)
            for i in range(10):
                await ada.send(f'missed {i}')
            await said_in_cluster(ada, 11)
            # He comes back to the other machine.
            async with connect(f'ws://127.0.0.1:{one}/', 'chat') as alan:
                assert await enter_cluster(alan, 'Alan', position) == (True, position)
                said = await said_in_cluster(alan, 10)
                assert [text for _, text, _ in said] == [f'missed {i}' for i in range(10)], said
            async with connect(f'ws://127.0.0.1:{one}/', 'chat') as stranger:
                assert (await enter_cluster(stranger, 'X', 'nonsense'))[0] is False
        async with connect(f'ws://127.0.0.1:{one}/', 'chat') as ws:
            await ws.send('x' * 101)
            await ws.wait_closed()
            assert ws.close_code == 1008, ws.close_code


def output_of(script, *arguments):
    """Of a client that ends by itself."""
    return subprocess.run([LUA, EXAMPLES / script, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S, check=True).stdout


def client():
    with example_on_port('echo.lua') as port:
        assert output_of('client.lua', f'ws://localhost:{port}/') == 'hello\n'
    assert 'refused' in output_of('client.lua', f'ws://localhost:{port}/')


def smallest_client():
    with example_on_port('echo.lua') as port:
        terminal = Terminal(LUA, EXAMPLES / 'smallest-client.lua', f'ws://localhost:{port}/')
        terminal.wait_for('hello')
    try:
        terminal.wait_for(r'1001\t')
        assert terminal.process.wait(DEADLINE_S) == 0
    finally:
        terminal.stop()


@check
async def request():
    with example_on_port('echo-coroutines.lua') as port:
        expected = 'Who is there?\nWhat is new?\nWhere to?\n'
        assert output_of('request.lua', f'ws://localhost:{port}/') == expected
    assert output_of('request.lua', f'ws://localhost:{port}/').count('No answer: cannot connect') == 3

    async def serve(ws, _):  # late with the first answer
        first, second = await ws.recv(), await ws.recv()
        await ws.send(first)
        await ws.send(second)
        await ws.send(await ws.recv())

    async with websockets.serve(serve, '127.0.0.1', 0) as server:
        port = server.sockets[0].getsockname()[1]
        output = await asyncio.to_thread(output_of, 'request.lua', f'ws://127.0.0.1:{port}/', '0.5')
        assert output == 'No answer: timeout\nWhat is new?\nWhere to?\n', output


@contextlib.contextmanager
def client_example(script, address, lua=(LUA,), env=None):
    """Starts it; Ctrl-C ends it."""
    terminal = Terminal(*lua, script, address, cwd=EXAMPLES, env=env)
    try:
        yield terminal
        os.write(terminal.device, b'\x03')
        assert terminal.process.wait(DEADLINE_S) == 0, f'{terminal.process.returncode}:\n{terminal.text}'
    finally:
        terminal.stop()


def feed():
    """It is dropped every half second; nothing is missing, and nothing comes twice."""
    with example_on_port('feed/server.lua', 0.5) as port, \
            client_example('feed/client.lua', f'ws://localhost:{port}/') as terminal:
        terminal.wait_for(r'(?s)Begins.*\d\..*lost.*Goes on.*\d\..*lost.*Goes on.*\d\.')
        assert 'missing' not in terminal.text, terminal.text


async def said_by(ws, name):
    while True:
        event = await told(ws)
        if (event['kind'], event.get('name')) == ('said', name):
            return event['text']


@check
async def chat_bot():
    with example_on_port('chat.lua') as port:
        address = f'ws://localhost:{port}/?room=garden'
        with client_example('chat-bot.lua', address, **lua_with('dkjson')) as terminal:
            terminal.wait_for('In the garden')
            async with connect(address, 'chat') as ada:
                await enter(ada, 'Ada')
                assert await said_by(ada, 'Robot') == 'Hello, Ada!'
                for text, pattern in (('!who', 'Ada, Robot'), ('!roll 1', '1'), ('!roll x', '[1-6]'), ('!time', r'\d\d:\d\d')):
                    await ada.send('!nothing')
                    await ada.send(text)
                    answer = await said_by(ada, 'Robot')
                    assert re.fullmatch(pattern, answer), answer


@check
async def quiz_bot():
    with example_on_port('chat.lua') as port:
        address = f'ws://localhost:{port}/'
        async with connect(address, 'chat') as ada:
            await enter(ada, 'Ada')
            options = lua_with('dkjson')
            process = await asyncio.create_subprocess_exec(
                *options['lua'], EXAMPLES / 'quiz-bot.lua', address, '2', env=options['env'],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            assert await said_by(ada, 'Quiz') == 'Which language is a moon?'
            await ada.send('The sun?')
            await ada.send('Lua!')
            assert await said_by(ada, 'Quiz') == 'Ada knows it!'
            heard = [await said_by(ada, 'Quiz') for _ in range(2)]
            assert heard == ['What is 6 times 7?', 'It is 42.'], heard
            assert await said_by(ada, 'Quiz')
            await ada.send('6455')
            output, _ = await process.communicate()
            assert output.decode().split('\n')[0].endswith('Ada') and process.returncode == 0, output
    assert 'refused' in subprocess.run(
        [*options['lua'], EXAMPLES / 'quiz-bot.lua', address], env=options['env'], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False).stdout


@check
async def chat_in_neovim():
    with example_on_port('chat.lua') as port:
        async with connect(f'ws://localhost:{port}/', 'chat') as ada:
            await enter(ada, 'Ada')
            await ada.send('before')
            with neovim(folder, '-S', EXAMPLES / 'neovim.lua') as editor:
                while not editor.control.exists():
                    assert editor.process.poll() is None
                    await asyncio.sleep(0.05)
                editor.send_keys(f':Chat Grace ws://localhost:{port}/<CR>')
                while (event := await told(ada))['kind'] != 'came':
                    pass
                assert event['name'] == 'Grace', event
                editor.send_keys('hello<CR>')
                assert await said_by(ada, 'Grace') == 'hello'
                await ada.send('good day')
                expected = 'Ada: before|In the lobby: Ada, Grace|> hello|Grace: hello|Ada: good day|>'
                while editor.evaluate('join(getline(1, "$"), "|")') != expected:
                    await asyncio.sleep(0.05)
            while (await told(ada))['kind'] != 'left':
                pass


@check
async def coroutine_in_neovim():
    script = folder / 'coroutine.lua'
    with example_on_port('echo-coroutines.lua') as port:
        script.write_text('''
            coroutine.wrap(function()
              local ws = require('websockets.luv').connect('ws://localhost:%d/', { protocols = { 'echo' } })
              local heard = {}
              for _, text in ipairs { 'one', 'two', 'three' } do
                ws:write(text)
                heard[#heard + 1] = ws:receive(30)
              end
              ws:close()
              ws:wait_closed()
              vim.schedule(function() vim.api.nvim_buf_set_lines(0, 0, -1, false, heard) end)
            end)()
        ''' % port)
        with neovim(folder, '-S', script) as editor:
            while not editor.control.exists() or editor.evaluate('join(getline(1, "$"))') != 'one two three':
                await asyncio.sleep(0.05)


@check
async def game():
    """The loop of LÖVE, with LuaJIT."""
    with example_on_port('love/server.lua') as port:
        address = f'ws://localhost:{port}/'
        async with connect(address) as ws:
            process = await asyncio.create_subprocess_exec(
                'luajit', ROOT / 'tests' / 'interop' / 'love.lua', EXAMPLES / 'love' / 'main.lua', address,
                env={**os.environ, 'LUA_CPATH': f'{ROOT}/build/luajit/?.so;;'}, stdout=subprocess.PIPE)
            places = [tuple(map(int, (await ws.recv()).split())) for _ in range(10)]
            assert all(now == (2, before[1] + 1, before[2] + 1) for before, now in zip(places, places[1:])), places
            await ws.send('7 9')
            while await ws.recv() != '2 gone':
                pass
            output, _ = await process.communicate()
            assert output.decode().split('\n')[:3] == ['Connecting', 'Connected', 'Connected 7,9'], output
            assert process.returncode == 0, process.returncode


async def stalled(count):
    """When it grows no more: or rather not within half a second, which on a busy machine only makes it easier."""
    before = -1
    while count() != before:
        before = count()
        await asyncio.sleep(0.5)


async def check_proxy(script):
    """Both sides are slow in turn, with 64 MiB for them; the proxy never holds more than a few of them."""
    messages = [bytes([number]) * 2**20 for number in range(64)]
    may_receive, sent, addresses = asyncio.Event(), [], []

    async def send_all(ws):
        for message in messages:
            await ws.send(message)
            sent.append(message)

    async def receive_all(ws):
        assert [await ws.recv() for _ in messages] == messages

    async def serve(ws, path):
        addresses.append(path)
        await send_all(ws)
        sent.clear()
        await may_receive.wait()
        await receive_all(ws)
        await ws.close(4001, 'that was all')

    options = {'max_size': None, 'max_queue': 1, 'compression': None}
    async with websockets.serve(serve, '127.0.0.1', 0, subprotocols=['echo'], **options) as server:
        target = f'ws://127.0.0.1:{server.sockets[0].getsockname()[1]}'
        port = free_port()
        with example(script, port, target) as terminal:
            async with connect(f'ws://127.0.0.1:{port}/a?b=c', 'echo', **options) as ws:
                await stalled(lambda: len(sent))
                await receive_all(ws)
                sending = asyncio.create_task(send_all(ws))
                await stalled(lambda: len(sent))
                may_receive.set()
                await sending
                await ws.wait_closed()
                assert (ws.close_code, ws.close_reason) == (4001, 'that was all'), ws.close_code
            assert addresses == ['/a?b=c'], addresses
            status = pathlib.Path(f'/proc/{terminal.process.pid}/status').read_text()
            most_kib = int(re.search(r'VmHWM:\s+(\d+)', status)[1])
            assert most_kib < 32 * 1024, most_kib
            server.close()
            await server.wait_closed()
            async with connect(f'ws://127.0.0.1:{port}/', 'echo') as ws:
                await ws.wait_closed()
                assert ws.close_code == 1014, ws.close_code
            terminal.wait_for('refused')


@check
async def proxy():
    await check_proxy('proxy.lua')


@check
async def proxy_of_coroutines():
    await check_proxy('proxy-coroutines.lua')


@check
async def static():
    with example_on_port('static.lua') as port:
        address = f'http://127.0.0.1:{port}/'
        assert '<title>A websocket' in curl(address) and '404' in curl(f'{address}nothing')
        address = address.replace('http', 'ws')
        async with connect(address, 'chat') as one, connect(address) as other:
            await one.send('hello')
            assert [await one.recv(), await other.recv()] == ['hello', 'hello']


def lua_with(module):
    """An interpreter for which there are this module and ours, and its environment."""
    for name in (LUA, 'lua5.4', 'lua5.3', 'lua5.2', 'lua5.1', 'luajit'):
        path = os.environ['LUA_CPATH'] if name == LUA else f'{ROOT}/build/{name}/?.so;;'
        env = {**os.environ, 'LUA_CPATH': path}
        if subprocess.run([name, '-e', f"require 'websockets' require '{module}'"], env=env, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0:
            return {'lua': (name,), 'env': env}
    raise AssertionError(f'no Lua has {module} and our module')


def lua_for(script):
    """Other loops are not there for each Lua; for lua-ev, which Debian does not have, something stands in."""
    if script == 'loop-ev.lua':
        return {'lua': (LUA, '-e', f"package.loaded.ev = dofile '{ROOT}/spec/support/ev.lua'")}
    modules = {'loop-copas.lua': 'copas', 'loop-cqueues.lua': 'cqueues', 'loop-event.lua': 'luaevent.core'}
    return lua_with(modules.get(script, 'luv'))


def clock(loop):
    async def run_check():
        script = f'loop-{loop}.lua'
        with example_on_port(script, **lua_for(script)) as port:
            assert '<title>A websocket' in curl(f'http://127.0.0.1:{port}/')
            ws = await connect(f'ws://127.0.0.1:{port}/')
            assert 'every second' in await ws.recv()
            assert re.search(r'\d\d:\d\d:\d\d', await ws.recv())
        await ws.wait_closed()  # by Ctrl-C
        assert ws.close_code == 1001, ws.close_code

    run_check.__name__ = f'loop_of_{loop}'
    return check(run_check)


@check
async def any_loop():
    for loop in ('own', 'copas', 'cqueues'):
        with example_on_port('loop-any.lua', loop, **({} if loop == 'own' else lua_with(loop))) as port:
            assert '<title>A websocket' in curl(f'http://127.0.0.1:{port}/')
            async with connect(f'ws://127.0.0.1:{port}/') as ws:
                times = [await ws.recv() for _ in range(2)]
                assert all(re.fullmatch(r'\d\d:\d\d:\d\d', time) for time in times), (loop, times)


@check
async def loop_of_copas():
    other_port = free_port()
    with example_on_port('loop-copas.lua', other_port, **lua_for('loop-copas.lua')) as port:
        async with connect(f'ws://127.0.0.1:{port}/') as ws:
            assert str(other_port) in await ws.recv()
            with socket.create_connection(('127.0.0.1', other_port)) as peer:
                peer.sendall(b'one\ntwo\n')
                assert [await ws.recv(), await ws.recv()] == ['one', 'two']


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
    with example('unix.lua', path) as terminal:
        assert path in terminal.text
        assert curl('--unix-socket', path, 'http://localhost/hello') == 'You asked for /hello\n'
        assert os.stat(path).st_mode & 0o777 == 0o600
        async with websockets.unix_connect(path, uri='ws://localhost/', subprotocols=['echo']) as ws:
            await ws.send('hello')
            assert await ws.recv() == 'hello'


@check
async def behind_nginx():
    with checkout.example('nginx/server.lua') as terminal:
        command, address = re.search(r'Start (.*) beside it, and open (\S+)', terminal.text).groups()
        nginx = subprocess.Popen(command.split(), cwd=checkout.examples, stdin=subprocess.DEVNULL)
        try:
            answer = curl('--fail', '--retry', '50', '--retry-delay', '1', '--retry-connrefused', address)
            assert answer == 'You come from 127.0.0.1\n' and nginx.poll() is None, answer
            async with connect(address.replace('http', 'ws')) as ws:
                assert await ws.recv() == 'You come from 127.0.0.1, without TLS.'
                await ws.send('hello')
                assert await ws.recv() == 'hello'
        finally:
            nginx.terminate()
            nginx.wait()


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
    with example('tls.lua', port, folder / 'server.pem', folder / 'server.key', 0.1) as terminal:
        assert f'https://localhost:{port}/' in terminal.text, terminal.text
        before = await serial(port)
        assert '<script>' in curl('--cacert', f'{folder}/ca.pem', f'https://localhost:{port}/')
        for name in ('ca.pem', 'server.key', 'server.pem'):
            shutil.copy(folder / 'new' / name, folder / name)
        terminal.wait_for('new certificate')
        assert await serial(port) != before


def tls_where_it_is_installed():
    """Without script/demo-certificate it says what it needs."""
    installed = folder / 'installed' / 'examples'
    installed.mkdir(parents=True)
    shutil.copy(EXAMPLES / 'tls.lua', installed)
    done = subprocess.run([LUA, installed / 'tls.lua'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 1 and 'tls.lua PORT CERTIFICATE KEY' in done.stdout, done
    assert 'not found' not in done.stdout, done.stdout


def each_tells_its_address_into_a_pipe():
    """At once, on each Lua: 5.1 and LuaJIT flush at the end only."""
    for script in ('echo.lua', 'chat.lua', 'timer.lua', 'login.lua', 'static.lua', 'dashboard/dashboard.lua'):
        port = free_port()
        process = subprocess.Popen([LUA, EXAMPLES / script, str(port)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, text=True)
        try:
            assert f'://localhost:{port}/' in process.stdout.readline(), script
        finally:
            process.kill()
            process.wait()


class Checkout:
    """The examples as in a fresh checkout, but on free ports, and with sockets elsewhere."""

    def __init__(self):
        self.root = folder / 'checkout'
        self.examples = self.root / 'examples'
        replaced = {number: str(free_port()) for number in ('8080', '8081', '8443')}
        replaced['/tmp/websockets'] = f'{folder}/websockets'
        # nginx started by root would have others, who have no access to the folder, do its work.
        replaced['daemon off;'] = 'daemon off; master_process off;'
        shutil.copytree(EXAMPLES, self.examples)
        for path in self.examples.rglob('*'):
            if path.suffix in ('.lua', '.conf'):
                path.write_text(re.sub('|'.join(replaced), lambda found: replaced[found[0]], path.read_text()))
        (self.root / 'script').mkdir()
        shutil.copy(ROOT / 'script' / 'demo-certificate', self.root / 'script')

    def example(self, script, cwd='examples', **options):
        cwd = self.root / cwd
        return example(os.path.relpath(self.examples / script, cwd), cwd=cwd, **options)


checkout = Checkout()


def table_of_the_readme(title='More examples'):
    section = (ROOT / 'README.md').read_text().split(f'\n## {title}\n')[1].split('\n## ')[0]
    return re.findall(r'\]\(examples/([^)]+\.lua)\)', section)


def do_as_told(text):
    """What a user does next: opens the page, or types the command."""
    address, command = re.search(r'(?:Open|open) (https?://\S+/)', text), re.search(r'Try (curl .*)', text)
    if 'nginx' in text:  # what it leads to is in behind_nginx
        assert 'You come from' in curl('--unix-socket', f'{folder}/websockets-nginx.sock', 'http://localhost/')
    elif command:
        assert 'You asked for /hello' in subprocess.run(
            command[1].split(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    else:
        authority = checkout.root / 'build' / 'demo-certificates' / 'ca.pem'
        assert curl('--fail', *(['--cacert', authority] if 'https:' in text else []), address[1])


def each_runs_from_everywhere():
    """Each of the table, without arguments."""
    scripts = table_of_the_readme()
    assert len(scripts) >= 13, scripts
    for script in scripts:
        for cwd in ('.', 'examples', pathlib.Path('examples', script).parent):
            options = lua_for(script) if script.startswith('loop-') else {}
            with checkout.example(script, cwd, **options) as terminal:
                do_as_told(terminal.text)


def the_test_servers_too():
    for script, options in (('test-server.lua', {}), ('test-server-ev.lua', lua_for('loop-ev.lua'))):
        port = free_port()
        with example(f'test-server/{script}', 'test-server', port, cwd=ROOT, **options) as terminal:
            assert f'http://localhost:{port}/' in terminal.text, terminal.text
            assert '<title>' in curl('--fail', f'http://localhost:{port}/')
    port = free_port()
    with example('test-server/test-server.lua', 'test-server', port, '--workers', 2, cwd=ROOT):
        assert '<title>' in curl('--fail', f'http://localhost:{port}/')


def each_is_in_the_readme():
    listed = {*table_of_the_readme(), *table_of_the_readme('Examples of clients')}
    assert listed == {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob('*.lua')}, listed


def none_hides_a_module():
    """By its name: Lua looks for modules in the current folder, too."""
    names = {path.stem for path in EXAMPLES.rglob('*.lua')}
    modules = {'luv', 'cqueues', 'copas', 'ev', 'event', 'luaevent', 'socket', 'ssl', 'lfs', 'posix', 'websockets'}
    assert not names & modules, names & modules


if __name__ == '__main__':
    sys.exit(run(Everything(), [
        echo, client, smallest_client, request, feed, chat, chat_rooms, chat_of_workers, chat_of_machines, chat_bot, quiz_bot, chat_in_neovim,
        coroutine_in_neovim, game, proxy, proxy_of_coroutines, timer, login, static, unix, behind_nginx, tls,
        tls_where_it_is_installed, clock('luv'), clock('cqueues'), clock('event'), clock('ev'), loop_of_copas, any_loop,
        each_tells_its_address_into_a_pipe,
        each_runs_from_everywhere, the_test_servers_too, each_is_in_the_readme, none_hides_a_module]))
