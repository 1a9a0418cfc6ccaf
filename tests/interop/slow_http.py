#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""slowhttptest's attacks on our server, all at once: heads and bodies a few bytes at a time, answers that are hardly
read. Who behaves well is served meanwhile, without and with WebSocket, and the server lets go of the attackers.
"""

import base64
import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

import support

CONNECTIONS = 150
ATTACK_S = 18  # the server has had enough after 10
DEADLINE_S = 60 * float(os.environ.get('TIME_FACTOR', 1))


class Attack:
    def __init__(self, path, *options):
        command = ['slowhttptest', *options, '-c', str(CONNECTIONS), '-r', str(CONNECTIONS), '-l', str(ATTACK_S),
                   '-p', str(int(DEADLINE_S)), '-u', f'http://127.0.0.1:{server.port}{path}']
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def is_running(self):
        return self.process.poll() is None

    def report(self):
        return re.sub(r'\x1b\[[0-9;]*m', '', self.process.communicate(timeout=DEADLINE_S)[0])


class Echo:
    """A websocket, as little of one as it takes."""

    def __init__(self):
        self.sock = socket.create_connection(('127.0.0.1', server.port), timeout=DEADLINE_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(f'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                          f'Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n'.encode())
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += self.sock.recv(1)
        assert b' 101 ' in head, head

    def exchange(self):
        self.sock.sendall(b'\x81\x85\0\0\0\0hello')
        answer = b''
        while len(answer) < 7:
            answer += self.sock.recv(7 - len(answer))
        assert answer == b'\x81\x05hello', answer


def well_behaved_clients_are_served():
    """Prints how long they waited: it says more than that they were served at all."""
    echo = Echo()
    client = http.client.HTTPConnection('127.0.0.1', server.port, timeout=DEADLINE_S)
    waits = {'echo': [], 'request': []}
    while any(attack.is_running() for attack in attacks.values()):
        started = time.monotonic()
        echo.exchange()
        waits['echo'].append(time.monotonic() - started)
        started = time.monotonic()
        client.request('GET', '/small')
        response = client.getresponse()
        body = response.read()
        assert response.status == 200 and body, response.status
        waits['request'].append(time.monotonic() - started)
        time.sleep(0.01)
    for name, times in waits.items():
        times.sort()
        print(f'{name}: {len(times)} times, median {1e3 * times[len(times) // 2]:.2f} ms, '
              f'99 % within {1e3 * times[len(times) * 99 // 100]:.2f} ms')


def expect_defeat(name):
    report = attacks[name].report()
    assert 'No open connections left' in report, report
    assert not re.search(r'service available:\s+NO', report), report


def slow_heads_are_let_go_of():
    expect_defeat('heads')


def slow_bodies_are_let_go_of():
    expect_defeat('bodies')


def slow_readers_harm_nobody():
    report = attacks['readers'].report()
    assert re.search(r'service available:\s+YES', report), report
    assert not re.search(r'service available:\s+NO', report), report


if __name__ == '__main__':
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(5_000_000))
        file.flush()
        server = support.echo_server(file.name)
        attacks = {
            'heads': Attack('/small', '-H', '-i', '1'),
            'bodies': Attack('/any', '-B', '-i', '1'),
            'readers': Attack('/file', '-X', '-n', '1', '-z', '1'),
        }
        sys.exit(support.run(server, [
            well_behaved_clients_are_served,
            slow_heads_are_let_go_of,
            slow_bodies_are_let_go_of,
            slow_readers_harm_nobody,
        ]))
