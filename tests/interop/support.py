# SPDX-License-Identifier: MIT
"""What the tests in Python share: the servers they talk to, and how they are run and counted."""

import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE_S = 60 * float(os.environ.get('TIME_FACTOR', 1))


class Server:
    """A Lua script as a process of its own."""

    def __init__(self, script, *arguments):
        self.process = subprocess.Popen(
            [os.environ.get('LUA', 'lua5.4'), script, *arguments],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.first_line = self.process.stdout.readline()  # '' when it ended

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def demo_certificates(folder):
    subprocess.run([ROOT / 'script' / 'demo-certificate', folder], check=True, stdout=subprocess.DEVNULL)


def echo_server(*arguments):
    """The arguments are those of echo_server.lua."""
    server = Server('tests/interop/echo_server.lua', *arguments)
    if not server.first_line:
        raise RuntimeError('the echo server does not start')
    server.port = int(server.first_line)
    return server


def test_server(*certificate):
    """The test server cannot pick a port: it is given one after the other. The certificate: its file, and its key's."""
    for _ in range(100):
        port = random.randrange(10240, 32240)
        server = Server('test-server/test-server.lua', 'test-server/', str(port), *certificate)
        if server.first_line:
            server.port = port
            return server
        server.stop()
    raise RuntimeError('the test server does not start')


def free_port():
    with socket.create_server(('', 0)) as probe:
        return probe.getsockname()[1]


def blocks(text, language=None):
    """The blocks of code of a page, of this language, or all."""
    found = re.findall(r'^```([^\n]*)\n(.*?)^```$', text, re.DOTALL | re.MULTILINE)
    return [block for name, block in found if language in (None, name)]


def verify_units(units):
    """Files, by systemd's own check. False: there is no systemd."""
    if not shutil.which('systemd-analyze'):
        print('no systemd here: the units are not checked')
        return False
    for unit in units:
        result = subprocess.run(['systemd-analyze', 'verify', '--man=no', unit], capture_output=True, text=True,
                                stdin=subprocess.DEVNULL, check=False)
        complaints = [line for line in result.stderr.splitlines() if unit.stem in line]
        assert result.returncode == 0 and not complaints, result.stderr
    return True


def run(server, checks):
    """Calls each of the functions, prints what became of it and at last 'N passed, N failed'. Stops the server."""
    # What was started ends in an orderly way also when this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    passed = 0
    try:
        for check in checks:
            label = re.sub('_', ' ', check.__name__)
            try:
                check()
                print(f'{label} ... ok', flush=True)
                passed += 1
            except Exception:
                print(f'{label} ... FAILED\n{traceback.format_exc()}', flush=True)
            if not server.is_running():
                print(f'The server ended with status {server.process.returncode}')
                passed = min(passed, len(checks) - 1)
                break
    finally:
        server.stop()
    print(f'{passed} passed, {len(checks) - passed} failed')
    return int(passed < len(checks))
