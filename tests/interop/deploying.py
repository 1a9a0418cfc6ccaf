#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""docs/deploying.md as it stands there, and new versions that take over: nobody is refused, nothing is left over.

deploying.py [--long]: with it more deploys, for longer. The interpreter is in the environment variable LUA, the module
is found by LUA_CPATH.
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
import time

import websockets

from support import DEADLINE_S, ROOT, blocks, demo_certificates, free_port, run, verify_units

IS_LONG = '--long' in sys.argv
LUA = shutil.which(os.environ.get('LUA', 'lua5.4'))
TEXT = (ROOT / 'docs' / 'deploying.md').read_text()
STORM_PER_S = 200

temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)

PROGRAM = '''
local websockets = require 'websockets'
io.stdout:setvbuf 'line'
local version, files = VERSION, websockets.static(FOLDER)
local context = websockets.context {
  listen = { LISTEN }, TLS
  protocols = { echo = function(ws) ws:on_receive(function(ws, text) ws:write(version .. text) end) end },
  on_http = function(ws, uri)
    if uri == '/' then return ws:respond(200, {}, version) end
    files(ws, uri)
  end,
  on_error = function(why) print('error: ' .. why) end,
}
print('version ' .. version)
local _, why = context:run { workers = WORKERS, shutdown = SHUTDOWN, drain = DRAIN, on_worker_exit = function() end }
print('end ' .. version)
'''


class Everything:
    """For run(): each check has a server of its own."""

    def is_running(self):
        return True

    def stop(self):
        temporary.cleanup()


def wait_for(condition, what='it'):
    deadline_s = time.monotonic() + DEADLINE_S
    while not (result := condition()):
        assert time.monotonic() < deadline_s, f'{what} takes too long'
        time.sleep(0.02)
    return result


class Program:
    """A server, all of its versions, and what they have written."""

    def __init__(self, name, listen=None, workers=2, drain=0.2, shutdown=5, tls='', **options):
        self.port = free_port()
        self.listen = listen or f"'127.0.0.1:{self.port}'"
        self.workers, self.drain, self.shutdown, self.tls, self.options = workers, drain, shutdown, tls, options
        self.script = folder / f'{name}.lua'
        self.log = folder / f'{name}.log'
        self.write('v1')

    def write(self, version, program=PROGRAM):
        for name, value in {'VERSION': f"'{version}'", 'LISTEN': self.listen, 'TLS': self.tls,
                            'FOLDER': f"'{folder}'", 'WORKERS': self.workers, 'DRAIN': self.drain,
                            'SHUTDOWN': self.shutdown}.items():
            program = program.replace(name, str(value))
        self.script.write_text(program)

    def __enter__(self):
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                [LUA, self.script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                **self.options)
        wait_for(lambda: 'version v1' in self.lines(), 'the start')
        wait_for(lambda: len(self.processes()) == self.workers + 1, 'the start of the workers')
        wait_for(self.answers, 'the first answer')
        return self

    def __exit__(self, *_):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def lines(self):
        return self.log.read_text().splitlines()

    def processes(self):
        """Of all versions; those that have ended are none."""
        found = {}
        for entry in pathlib.Path('/proc').glob('[0-9]*'):
            with contextlib.suppress(OSError):
                if str(self.script).encode() in (entry / 'cmdline').read_bytes().split(b'\0'):
                    found[int(entry.name)] = int((entry / 'stat').read_text().rpartition(')')[2].split()[1])
        return found

    def supervisors(self):
        """Those whose parent is none of the workers' kind, or the one that has started them."""
        processes = self.processes()
        return [pid for pid in processes if pid in processes.values()]

    def answers(self):
        try:
            return self.get('/')
        except OSError:
            return None

    def connect(self):
        return socket.create_connection(('127.0.0.1', self.port), timeout=DEADLINE_S)

    def get(self, path):
        with self.connect() as client:
            client.sendall(f'GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'.encode())
            answer = b''.join(iter(lambda: client.recv(65536), b''))
        return answer.partition(b'\r\n\r\n')[2].decode()

    def deploy(self, version, pid=None):
        """Returns when only that version is there."""
        self.write(version)
        before = set(self.processes())
        os.kill(pid or self.supervisor(), signal.SIGUSR2)
        self.wait_for_change(before, version)

    def supervisor(self):
        return wait_for(lambda: (self.supervisors() + [None])[0] if len(self.supervisors()) == 1 else None,
                        'a single supervisor')

    def wait_for_change(self, before, version):
        def is_done():
            if self.process.poll() is None and self.process.pid in before:
                return False
            now = set(self.processes())
            return not now & before and len(now) == self.workers + 1

        wait_for(is_done, f'the deploy of {version}')
        assert self.get('/') == version

    def end(self):
        os.kill(self.supervisor(), signal.SIGTERM)
        wait_for(lambda: not self.processes(), 'the end')


# --- The page ---------------------------------------------------------------------------------------------------------

def scripts_of_the_page():
    for index, text in enumerate(blocks(TEXT, 'lua')):
        port = free_port()
        script = folder / f'page{index}.lua'
        assert 'port = 8080' in text
        script.write_text(text.replace('port = 8080', f'port = {port}'))
        process = subprocess.Popen([LUA, script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

        async def talk(port=port):
            options = {'subprotocols': ['chat'], 'open_timeout': DEADLINE_S}
            async with websockets.connect(f'ws://127.0.0.1:{port}/', **options) as one, \
                    websockets.connect(f'ws://127.0.0.1:{port}/', **options) as other:
                await one.send('hello')
                assert await other.recv() == 'hello'

        def answer(port=port):
            with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port)) as client:
                client.sendall(b'GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
                return b''.join(iter(lambda: client.recv(65536), b''))
            return None

        try:
            text_of = wait_for(answer, 'the first answer')
            if 'chat =' in text:
                asyncio.run(asyncio.wait_for(talk(), DEADLINE_S))
            else:
                assert b'lua_websockets_worker_' in text_of and b'worker="2"' in text_of, text_of
            process.terminate()
            output = process.communicate(timeout=DEADLINE_S)[0]
            if 'ended by' in text:
                assert (process.returncode, output) == (0, 'ended by SIGTERM\n'), (process.returncode, output)
        finally:
            process.kill()
            process.wait()


def units_of_the_page():
    """By systemd's own check; where there is no systemd, not at all."""
    units = folder / 'units'
    units.mkdir()
    service, socket_unit = blocks(TEXT, 'ini')
    assert '/usr/bin/lua5.4' in service
    (units / 'chat.service').write_text(service.replace('/usr/bin/lua5.4', LUA))
    (units / 'chat.socket').write_text(socket_unit)
    verify_units([units / 'chat.service', units / 'chat.socket'])


def commands_of_the_page():
    """There is no service to tell: that the programs know these commands and options."""
    for line in ''.join(blocks(TEXT, 'sh')).splitlines():
        command = line.split()
        if shutil.which(command[0]):
            result = subprocess.run([*command, '--help'], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                    check=False)
            assert result.returncode == 0, f'{line}: {result.stderr}'
        else:
            print(f'no {command[0]} here')


# --- New versions -----------------------------------------------------------------------------------------------------

async def storm(port, is_over):
    """Clients that come one after the other, whatever becomes of those before. What went wrong, and how many came."""
    failures, tasks, begin_s = [], set(), time.monotonic()

    async def come():
        try:
            reader, writer = await asyncio.open_connection('127.0.0.1', port)
            writer.write(b'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
            answer = await reader.read()
            if not answer.startswith(b'HTTP/1.1 200 '):
                failures.append(answer)
            writer.close()
        except OSError as error:
            failures.append(error)

    count = 0
    while not is_over():
        task = asyncio.create_task(come())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        count += 1
        await asyncio.sleep(max(0, begin_s + count / STORM_PER_S - time.monotonic()))
    await asyncio.gather(*tasks)
    return failures, count


def nobody_is_refused():
    with Program('storm', drain=0.5) as program:
        async def deploy_under_storm():
            over = False
            clients = asyncio.create_task(storm(program.port, lambda: over))
            for number in range(20 if IS_LONG else 3):
                await asyncio.to_thread(program.deploy, f'v{number + 2}')
                await asyncio.sleep(0.3)
            over = True
            return await clients

        failures, count = asyncio.run(deploy_under_storm())
        assert not failures, f'{len(failures)} of {count}: {failures[:3]}'
        print(f'{count} clients, none refused')
        program.end()


def websockets_are_told():
    with Program('told') as program:
        async def watch():
            address = f'ws://127.0.0.1:{program.port}/'
            clients = [await websockets.connect(address, subprotocols=['echo'], open_timeout=DEADLINE_S)
                       for _ in range(20)]
            deploy = asyncio.create_task(asyncio.to_thread(program.deploy, 'v2'))
            await asyncio.gather(*(client.wait_closed() for client in clients))
            assert [client.close_code for client in clients] == [1012] * 20
            await deploy
            async with websockets.connect(address, subprotocols=['echo']) as client:
                await client.send('!')
                assert await client.recv() == 'v2!'

        asyncio.run(asyncio.wait_for(watch(), DEADLINE_S))
        program.end()
        assert program.lines() == ['version v1', 'version v2', 'end v1', 'end v2'], program.lines()


def a_download_goes_on():
    size = (1 << 30) if IS_LONG else (64 << 20)
    with (folder / 'large.bin').open('wb') as file:
        file.truncate(size - 4)
        file.seek(size - 4)
        file.write(b'last')
    # However long it takes: what is under way is cut off only when the time to shut down is over.
    with Program('download', drain=0.2, shutdown=3600) as program, program.connect() as client:
        client.sendall(b'GET /large.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        received = client.recv(65536)
        supervisor = program.supervisor()
        program.write('v2')
        os.kill(supervisor, signal.SIGUSR2)
        wait_for(lambda: program.answers() == 'v2', 'the new version')
        head, _, body = received.partition(b'\r\n\r\n')
        count, tail = len(body), b''
        while part := client.recv(1 << 20):
            count += len(part)
            tail = (tail + part)[-4:]
        assert (count, tail) == (size, b'last'), (head, count, tail)
        wait_for(lambda: len(program.supervisors()) == 1, 'the end of the old version')
        program.end()


def nothing_is_left():
    with Program('left', drain=0) as program:
        def descriptors():
            return {os.readlink(entry).split(':')[0]
                    for entry in pathlib.Path(f'/proc/{program.supervisor()}/fd').iterdir()}, \
                len(list(pathlib.Path(f'/proc/{program.supervisor()}/fd').iterdir()))

        program.deploy('v2')
        before = descriptors()
        for number in range(10 if IS_LONG else 3):
            program.deploy(f'v{number + 3}')
        assert descriptors() == before, (descriptors(), before)
        assert len(program.processes()) == 3
        program.end()


def a_broken_version_changes_nothing():
    with Program('broken') as program:
        before = set(program.processes())
        raising = PROGRAM.replace('on_worker_exit', "on_worker = function() error 'no database' end, on_worker_exit")
        for text, why in (('this is no Lua', 'exit 1'), ("require 'websockets' os.exit(7)", 'exit 7'),
                          (raising, 'no database')):
            program.write('v2', text)
            os.kill(program.supervisor(), signal.SIGUSR2)
            wait_for(lambda why=why: any(line.startswith('error: ') and 'new version' in line and why in line
                                         for line in program.lines()), why)
            wait_for(lambda: set(program.processes()) == before, 'the end of the new version')
            assert program.get('/') == 'v1'
        program.deploy('v2')
        program.end()


def an_end_while_a_version_is_starting():
    """Nobody serves afterwards."""
    with Program('end') as program:
        program.write('v2', "os.execute 'exec sleep 1'\n" + PROGRAM)
        supervisor = program.supervisor()
        os.kill(supervisor, signal.SIGUSR2)
        wait_for(lambda: len(program.processes()) == program.workers + 2, 'the new version')
        os.kill(supervisor, signal.SIGTERM)
        assert program.process.wait(DEADLINE_S) == 0
        wait_for(lambda: not program.processes(), 'the end of both')
        assert program.answers() is None


def another_number_of_workers():
    with Program('number', workers=3, drain=0) as program:
        for workers in (1, 4, 2):
            program.workers = workers
            program.deploy(f'with {workers}')
            assert {program.get('/') for _ in range(20)} == {f'with {workers}'}
        program.end()


def unix_sockets_stay():
    path = folder / 'socket'

    def ask():
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b'GET / HTTP/1.0\r\n\r\n')
            return b''.join(iter(lambda: client.recv(65536), b'')).partition(b'\r\n\r\n')[2].decode()

    program = Program('unix', drain=0)
    program.listen += f", 'unix:{path}'"
    program.write('v1')
    with program:
        assert ask() == 'v1'
        for version in ('v2', 'v3'):
            program.deploy(version)
            assert ask() == version
        program.end()
        assert not path.exists()


def tls_goes_on():
    demo_certificates(folder)
    tls = f"ssl_cert_filepath = '{folder}/server.pem', ssl_private_key_filepath = '{folder}/server.key',"
    context = ssl.create_default_context(cafile=folder / 'ca.pem')
    program = Program('tls', tls=tls, drain=0)

    def connect():
        plain = socket.create_connection(('127.0.0.1', program.port), timeout=DEADLINE_S)
        return context.wrap_socket(plain, server_hostname='localhost')

    program.connect = connect
    with program:
        program.deploy('v2')
        program.end()


def a_link_is_followed():
    releases = folder / 'releases'
    program = Program('link', drain=0)
    for name in ('one', 'two'):
        (releases / name).mkdir(parents=True)
        program.script = releases / name / 'server.lua'
        program.write(name)
    current = releases / 'current'
    current.symlink_to('one')

    def processes_in(release):
        found = []
        for entry in pathlib.Path('/proc').glob('[0-9]*'):
            with contextlib.suppress(OSError):
                if os.readlink(entry / 'cwd') == str(releases / release):
                    found.append(int(entry.name))
        return found

    process = subprocess.Popen([LUA, 'server.lua'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=current,
                               env={**os.environ, 'PWD': str(current)})
    try:
        wait_for(lambda: program.answers() == 'one', 'the first answer')
        current.unlink()
        current.symlink_to('two')
        process.send_signal(signal.SIGUSR2)
        assert process.wait(DEADLINE_S) == 0
        assert program.answers() == 'two'
        assert not processes_in('one')
    finally:
        for pid in [process.pid, *processes_in('two')]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def the_service_manager_is_told():
    path = folder / 'notify'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(DEADLINE_S)
        with Program('notify', drain=0, env={**os.environ, 'NOTIFY_SOCKET': str(path)}) as program:
            assert manager.recv(4096) == b'READY=1\n'
            old = program.supervisor()
            program.deploy('v2')
            told = [manager.recv(4096), manager.recv(4096)]
            assert program.supervisor() != old
            assert sorted(told) == [f'MAINPID={program.supervisor()}\n'.encode(), b'READY=1\n'], told
            program.end()
            assert manager.recv(4096) == b'STOPPING=1\n'


def process_1_of_a_container():
    """Where this process may make a namespace of processes."""
    name_space = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
    if subprocess.run([*name_space, 'true'], capture_output=True, check=False).returncode != 0:
        print('no namespaces here')
        return
    program = Program('container')
    with program.log.open('w') as log:
        outside = subprocess.Popen([*name_space, LUA, program.script], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(program.answers, 'the first answer')
        first = int(pathlib.Path(f'/proc/{outside.pid}/task/{outside.pid}/children').read_text())
        os.kill(first, signal.SIGUSR2)
        wait_for(lambda: any('replace the container' in line for line in program.lines()), 'the refusal')
        assert program.get('/') == 'v1'
        os.kill(first, signal.SIGTERM)
        assert outside.wait(DEADLINE_S) == 0
        assert program.lines()[-1] == 'end v1', program.lines()
    finally:
        outside.kill()
        outside.wait()


sys.exit(run(Everything(), [nobody_is_refused, a_download_goes_on, nothing_is_left] if IS_LONG else [
    scripts_of_the_page, units_of_the_page, commands_of_the_page, nobody_is_refused, websockets_are_told,
    a_download_goes_on, nothing_is_left, a_broken_version_changes_nothing, an_end_while_a_version_is_starting,
    another_number_of_workers, unix_sockets_stay, tls_goes_on, a_link_is_followed, the_service_manager_is_told,
    process_1_of_a_container]))
