# SPDX-License-Identifier: MIT
"""Our client, for client_*.py: a process of client_driver.lua, and what they share besides."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

from support import DEADLINE_S, ROOT, Server

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.lower().endswith('_proxy')}


def as_lua(value):
    if isinstance(value, (str, bytes)):
        data = value.encode() if isinstance(value, str) else value
        return '"' + re.sub(rb'[^ -~]|["\\]', lambda found: b'\\%03d' % found[0][0], data).decode() + '"'
    if isinstance(value, dict):
        return '{' + ', '.join(f'[{as_lua(name)}] = {as_lua(field)}' for name, field in value.items()) + '}'
    if isinstance(value, (list, tuple)):
        return '{' + ', '.join(map(as_lua, value)) + '}'
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return 'nil' if value is None else repr(value)


class ClientError(AssertionError):
    """A program ended with an error."""


class Driver:
    """Runs programs, one after the other; see client_driver.lua. None of the environment's proxies is used."""

    def __init__(self, **environment):
        self.environment = {**ENVIRONMENT, **environment}
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [os.environ.get('LUA', 'lua5.4'), 'tests/interop/client_driver.lua', str(DEADLINE_S)],
            cwd=ROOT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, program, **values):
        """What the program returns. The values are its local variables."""
        given = ''.join(f'local {name} = {as_lua(value)}; ' for name, value in values.items())
        text = (given + program).encode()
        killer = threading.Timer(3 * DEADLINE_S, self.process.kill)
        killer.start()
        try:
            self.process.stdin.write(b'%d\n%s' % (len(text), text))
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        finally:
            killer.cancel()
        if not line:
            raise ClientError(f'the client ended with {self.process.wait()}')
        answer = json.loads(line)
        if 'error' in answer:
            # So that what is open is lost, and the servers go on.
            self.process.kill()
            self.process.communicate()
            self.start()
            raise ClientError(answer['error'])
        return answer['result']

    def refused(self, url, **options):
        """The failure of a client that never opens."""
        ended = self('return refused(url, options)', url=url, options=options)
        assert ended['code'] == 1006, ended
        return ended['failure']

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        """The script ends with its input, and then the state is closed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=DEADLINE_S)
        status = self.process.poll()
        self.process.kill()
        self.process.wait()
        if status != 0:
            raise ClientError(f'the client ended with {status}')


class Checks(list):
    """Those of a file, for run()."""

    def check(self, function):
        self.append(function)
        return function

    def add(self, name, function, *arguments):
        def call():
            function(*arguments)

        call.__name__ = name
        self.append(call)

    def table(self, name, cases):
        """A check for each case: a label, and arguments."""
        def register(function):
            for label, *arguments in cases:
                self.add(f'{name}: {label}', function, *arguments)

        return register

    def selected(self):
        """Those whose names have all words of the command line."""
        return [one for one in self if all(word in re.sub('_', ' ', one.__name__) for word in sys.argv[1:])]


class Processes:
    """The client and all servers as one, for run()."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.all = []

    def add(self, process):
        self.all.append(process)
        self.stack.callback(process.stop)
        return process

    def is_running(self):
        return all(one.is_running() for one in self.all)

    @property
    def process(self):
        return next(one.process for one in self.all if not one.is_running())

    def stop(self):
        self.stack.close()


class Program:
    """A server that is no script of Lua; prints its ports as JSON in its first line."""

    is_running, stop = Server.is_running, Server.stop

    def __init__(self, *command):
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.first_line = self.process.stdout.readline()
        if not self.first_line:
            raise RuntimeError(f'{command} does not start')
        self.ports = json.loads(self.first_line)


class Daemon:
    """A program that cannot pick its port: it is given one after the other."""

    is_running = Server.is_running

    def __init__(self, command, **options):
        """`command`: a function of the port."""
        for _ in range(20):
            with socket.create_server(('127.0.0.1', 0)) as probe:
                self.port = probe.getsockname()[1]
            self.process = subprocess.Popen(
                command(self.port), stdin=subprocess.DEVNULL,
                **{'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL, **options})
            if self.answers():
                return
            self.stop()
        raise RuntimeError(f'{command(0)} does not start')

    def answers(self):
        end = time.monotonic() + DEADLINE_S
        while self.is_running() and time.monotonic() < end:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(('127.0.0.1', self.port)).close()
                return self.is_running()
            time.sleep(0.02)
        return False

    def stop(self):
        self.process.kill()
        self.process.wait()
