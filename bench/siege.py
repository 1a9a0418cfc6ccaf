# SPDX-License-Identifier: MIT
"""A server, clients that behave well, and an attack on it: what the clients notice, and what it costs the server."""

import contextlib
import json
import pathlib
import re
import socket
import sys
import time

from attacks.peers import frame, relaxed_tls, request
from measure import (
    CLIENT_CORE, ROOT, SERVER_CORE, START_LIMIT_S, Failure, Process, certificate, cpu_us, find_server, free_port,
    load_program)

RUN_LIMIT_S = 120
CLIENTS, RATE = 100, 2000
FULL_S = 1  # until the attack is in full swing
NEWCOMERS = 20
PAUSE_S = 0.05


class WebSocket:
    """Blocks; for short messages, and answers of any size."""

    def __init__(self, port, protocol, tls):
        self.socket = socket.create_connection(('127.0.0.1', int(port)), RUN_LIMIT_S)
        if tls:
            self.socket = relaxed_tls().wrap_socket(self.socket)
        self.socket.sendall(request(f'Sec-WebSocket-Protocol: {protocol}'))
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += self.read(1)
        if not head.startswith(b'HTTP/1.1 101 '):
            raise Failure(f'a client is refused: {head}')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self, count):
        data = b''
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise Failure('a client is dropped')
            data += part
        return data

    def ask(self, text):
        self.socket.sendall(frame(0x81, text.encode()))
        size = self.read(2)[1]
        if size >= 126:
            size = int.from_bytes(self.read(2 if size == 126 else 8), 'big')
        return self.read(size).decode()


class Counts:
    """What the server has counted, over a websocket that was there before the attack."""

    def __init__(self, port, tls):
        self.websocket = WebSocket(port, 'stats', tls)

    def __call__(self, name):
        line = re.search(f'^lua_websockets_{re.escape(name)} (\\d+)$', self.websocket.ask(''), re.M)
        return int(line[1]) if line else 0

    def wait(self, name, is_there):
        """Until it is. How long that took."""
        start_s = time.monotonic()
        while not is_there(self(name)):
            if time.monotonic() > start_s + RUN_LIMIT_S:
                raise Failure(f'{name} stays {self(name)}')
            time.sleep(PAUSE_S)
        return time.monotonic() - start_s


class Memory:
    """Of a process: what is resident, and the most that was since it began to look."""

    def __init__(self, pid):
        self.folder = pathlib.Path(f'/proc/{pid}')
        (self.folder / 'clear_refs').write_text('5')

    def read(self, name):
        return int(re.search(f'^{name}:\\s+(\\d+) kB', (self.folder / 'status').read_text(), re.M)[1]) * 1024

    def now(self):
        return self.read('VmRSS')

    def peak(self):
        return self.read('VmHWM')


def server_command(case, server, port):
    options = [f'{name}={value}' for name, value in case.server_options.items()]
    script = str(ROOT / 'bench' / 'servers' / 'guarded.lua')
    command = [server.command[0], script, port, *options, *(certificate() if case.tls else [])]
    if not case.descriptors:
        return command
    return ['prlimit', f'--nofile={case.descriptors}', *command]


def load_command(case, port, seconds, limit_s=0):
    return [load_program(), '--port', port, '--mode', 'latency', '--connections', str(CLIENTS), '--rate', str(RATE),
            '--seconds', str(seconds), '--limit', str(limit_s), '--warmup', str(RATE // 4), '--sleep', *(['--tls'] if case.tls else [])]


def attack_command(case, port):
    return [sys.executable, str(ROOT / 'bench' / 'attacks'), case.attack, '--port', port, '--count', str(case.count)]


class Cpu:
    """Of a process, while it is looked at."""

    def __init__(self, pid):
        self.pid = pid
        self.begin_s, self.begin_us = time.monotonic(), cpu_us(pid)

    def us(self):
        return cpu_us(self.pid) - self.begin_us

    def s(self):
        return time.monotonic() - self.begin_s

    def share(self):
        return self.us() / 1e6 / self.s()


@contextlib.contextmanager
def awake():
    """No core sleeps meanwhile: to be woken would take longer than most of what is measured."""
    program = 'import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass'
    spin = [sys.executable, '-c', program]
    with Process(SERVER_CORE, spin), Process(CLIENT_CORE, spin):
        yield


def exchange(client, server, cpu):
    client.begin()
    result = json.loads(client.read_line(RUN_LIMIT_S))
    return {'share': cpu.share(), 'unanswered': result['unanswered'], 'count': result['count'],
            **{f'{name}_us': us for name, us in result['latency_us'].items()}}


def unloaded(case, server, port, seconds):
    with Process(CLIENT_CORE, load_command(case, port, seconds)) as client:
        client.read_line(RUN_LIMIT_S)
        return exchange(client, server, Cpu(server.pid))


def loaded(case, server, port, seconds, full_s=FULL_S, idle=True, limit_s=0):
    """Also what the server holds, and whether it serves as before when the attackers have left."""
    with Process(CLIENT_CORE, load_command(case, port, seconds, limit_s)) as client:
        client.read_line(RUN_LIMIT_S)
        counts = Counts(port, case.tls)
        connections = counts('open_connections')
        memory = Memory(server.pid)
        before_bytes = memory.now()
        with Process(CLIENT_CORE, [*attack_command(case, port), *(['--idle'] if idle else [])]) as attack:
            attack.read_line(RUN_LIMIT_S)
            whole = Cpu(server.pid)
            attack.begin()
            time.sleep(full_s)
            result = exchange(client, server, Cpu(server.pid))
            if case.expected:
                counts.wait(case.expected, lambda value: value >= case.least_answers)
            attack.begin()
            took = {'attack_us': whole.us(), 'attack_s': whole.s()}
            told = json.loads(attack.read_line(RUN_LIMIT_S))
        recovered_s = counts.wait('open_connections', lambda value: value <= connections)
        newcomers(case, port)
        return {**result, **told, **took, 'recovered_s': recovered_s, 'before_bytes': before_bytes,
                'peak_bytes': memory.peak(), 'after_bytes': memory.now(),
                'expected': counts(case.expected) if case.expected else None}


def newcomers(case, port):
    clients = [WebSocket(port, 'echo', case.tls) for _ in range(NEWCOMERS)]
    for client in clients:
        with client:
            if client.ask('hello') != 'hello':
                raise Failure('a client gets another answer')


@contextlib.contextmanager
def running(case, server):
    """The process, and its port."""
    port = free_port()
    with Process(SERVER_CORE, server_command(case, server, port), server.environment) as process:
        process.read_line(START_LIMIT_S)
        yield process, port


def besiege(case, server, seconds):
    """A round of it: the same clients without, and with the attack."""
    with awake(), running(case, server) as (process, port):
        return {'unloaded': unloaded(case, process, port, seconds), 'loaded': loaded(case, process, port, seconds)}


def besiege_shortly(case, server):
    """The same, with few attackers and much patience: it measures nothing but memory."""
    short = case.short
    with running(short, server) as (process, port):
        return loaded(short, process, port, seconds=1, full_s=0, idle=False, limit_s=RUN_LIMIT_S)
