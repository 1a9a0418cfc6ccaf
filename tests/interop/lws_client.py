#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""libwebsockets-test-client against the test server: both protocols, the echo test, the page.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import threading

import websockets

from support import DEADLINE_S, ROOT, run, test_server

ERROR, WARNING, NOTICE, INFO = 1, 2, 4, 8
NUMBERS = 5
CIRCLES = 50

server = test_server()
address = f'ws://127.0.0.1:{server.port}/'


@contextlib.contextmanager
def client(*arguments):
    """The client, while it is running; what it prints is its log."""
    process = subprocess.Popen(
        ['libwebsockets-test-client', '-d', str(ERROR + WARNING + NOTICE + INFO), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace')
    deadline = threading.Timer(DEADLINE_S, process.kill)
    deadline.start()
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        deadline.cancel()


def end(process):
    """Ctrl-C is how it is meant to be ended."""
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0, process.returncode


def read_numbers(process):
    """From the log, the numbers of one connection; an error ends them."""
    for line in process.stderr:
        assert ' E: ' not in line, line
        found = re.search(r"rx \d+ '(\d+)'$", line.rstrip())
        if found:
            yield int(found[1])


def counts_up():
    with client(address) as process:
        numbers = [number for number, _ in zip(read_numbers(process), range(NUMBERS))]
        assert numbers == list(range(1, NUMBERS + 1)), numbers
        end(process)


def counts_up_on_three_connections():
    """Each has a number of its own, and all go up at the same time."""
    with client('-m', address) as process:
        numbers = [number for number, _ in zip(read_numbers(process), range(3 * NUMBERS))]
        assert len(numbers) == 3 * NUMBERS, numbers
        for number in range(1, NUMBERS - 1):
            assert numbers.count(number) == 3, numbers
        end(process)


async def witness(seen):
    async with websockets.connect(address, subprotocols=['lws-mirror-protocol'], compression=None) as ws:
        seen.connected.set()
        async for message in ws:
            seen.circles.append(message)
            if len(seen.circles) == CIRCLES:
                break


def mirrors_what_it_draws():
    """Another client sees the circles."""
    class Seen(threading.Thread):
        connected = threading.Event()
        circles = []

        def run(self):
            asyncio.run(asyncio.wait_for(witness(self), DEADLINE_S))

    seen = Seen()
    seen.start()
    assert seen.connected.wait(DEADLINE_S)
    with client('-j', address) as process:
        # It stops when its log is not read.
        threading.Thread(target=process.stderr.read).start()
        seen.join()
        process.send_signal(signal.SIGINT)
        process.wait()
    assert len(seen.circles) == CIRCLES, seen.circles
    for circle in seen.circles:
        assert re.fullmatch(r'c #[0-9A-F]{6} \d+ \d+ \d+;', circle), circle


def echoes_without_errors():
    """1024 messages of 12288 random bytes, as text, and as fast as they can be sent."""
    with client('-e', address) as process:
        _, log = process.communicate()
    assert process.returncode == 0, process.returncode
    assert 'send completed: 1024 x 12288' in log, log[-4000:]
    assert 'Everything received: errs 0' in log, log[-4000:]
    assert 'mismatch' not in log, log[-4000:]


def is_told_that_its_version_is_not_supported():
    with client('-j', '-v', '8', address) as process:
        warnings = (line for line in process.stderr if ' W: ' in line)
        assert "got bad HTTP response '426'" in next(warnings, ''), 'no answer'
        end(process)


def gets_the_page():
    page = (ROOT / 'test-server' / 'test.html').read_bytes()
    with client(f'http://127.0.0.1:{server.port}/') as process:
        _, log = process.communicate()
    assert process.returncode == 0, process.returncode
    assert 'lws_http_client_http_response 200' in log, log[-4000:]
    sizes = re.findall(r'lws_http_client_read: swallowed read \((\d+)\)', log)
    assert sum(map(int, sizes)) == len(page), (sizes, len(page))


def posts_to_the_page():
    with client('-o', f'http://127.0.0.1:{server.port}/') as process:
        _, log = process.communicate()
    assert process.returncode == 0, process.returncode
    assert 'lws_http_client_http_response 405' in log, log[-4000:]


if __name__ == '__main__':
    sys.exit(run(server, [
        counts_up, counts_up_on_three_connections, mirrors_what_it_draws, echoes_without_errors,
        is_told_that_its_version_is_not_supported, gets_the_page, posts_to_the_page]))
