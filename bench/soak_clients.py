# SPDX-License-Identifier: MIT
"""Clients of bench/servers/soak.lua that take their time: compression, topics and broadcasts, HTTP. Each kind runs on
some threads, one life after the other. What they count has the names that the server counts it by.
"""

import argparse
import collections
import http.client
import itertools
import json
import os
import pathlib
import random
import ssl
import sys
import threading
import time
import traceback

from corpora import CORPORA
from soak_websocket import (
    EACH_BY_ITSELF, LIMIT_S, SMALL_WINDOWS, WINDOW_KEPT, WebSocket, connect, require, reset)

BATCH = 20
TOPICS = ['news', 'weather']
PAUSE_S = 0.02  # after each life: most of the CPU time is for the other clients
CODES = [1000, 1001, 3000, 4000]


def content(name, number):
    """As the server makes it."""
    return f'{name} {number} {str(number) * (number % 200)}'


class Clients:
    def __init__(self, arguments):
        self.folder = pathlib.Path(arguments.folder)
        plain, tls, unix = (arguments.port, False), (arguments.tls_port, True), (str(self.folder / 'socket'), False)
        self.places = [plain, tls, unix]
        self.http_places = [plain, tls]
        self.impatient_places = [(arguments.impatient_port, False), (arguments.impatient_tls_port, True)]
        self.end = time.monotonic() + arguments.seconds
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        self.messages = {name: make(200) for name, make in CORPORA.items()}
        self.files = {file.name: file.read_bytes() for file in (self.folder / 'files').iterdir()}

    def count(self, name, more=1):
        with self.lock:
            self.counts[name] += more

    def is_over(self, kind):
        """Those that publish go on as long as there is somebody who may wait for it."""
        if kind == 'publisher':
            return not any(thread.is_alive() for thread in self.threads if not thread.name == kind)
        return time.monotonic() >= self.end

    def open(self, place, protocol, **options):
        address, tls = place
        ws = WebSocket(address, protocol, tls, **options)
        self.count(f'{protocol}.opened')
        return ws

    def end_life(self, ws, number, may_skip=False):
        """Everything that was to come is there; this is one of the ways to go."""
        code = CODES[number % len(CODES)]
        if number % 5 < 3:
            ws.close(code, may_skip)
        else:
            code = 1006
            ws.reset() if number % 5 == 3 else ws.drop()
        self.count(f'closed.{code}')

    # --- Echo, compressed -----------------------------------------------------------------------------------------

    def echo(self, number, source):
        """In each place, with each kind of compression, and with none."""
        offer = (EACH_BY_ITSELF, WINDOW_KEPT, SMALL_WINDOWS, None)[number % 4]
        ws = self.open(self.places[number % 3], 'echo', offer=offer, path=('/', '/subscribed')[number % 2])
        for _ in range(source.randrange(8)):
            messages = source.choices(self.messages[source.choice(list(self.messages))], k=BATCH)
            messages[1] = messages[1].encode()
            messages[2] = source.randbytes(source.randrange(5000))
            ws.send(*messages)
            self.count('echo.sent', BATCH)
            for message in messages:
                require(ws.receive() == message, 'what came back is not what was sent')
                self.count('echo.received')
        self.end_life(ws, number)

    # --- Topics and broadcasts ------------------------------------------------------------------------------------

    def command(self, ws, protocol, text):
        ws.send(text)
        self.count(f'{protocol}.sent')

    def take(self, ws, name, answer, before, most):
        """Receives what is published, without a gap, until so much has come, or the answer. The last number of it."""
        number, begin = before, before
        while most is None or number is None or number - begin < most:
            message = ws.receive()
            if message.startswith(answer) if isinstance(message, str) else message.startswith(answer.encode()):
                self.count('answers')
                last = int(message.split()[-1])
                require(number is None or number == last, 'messages are missing', number, last)
                return last
            expected = content(name, number + 1)
            # Of topics every second one is binary; broadcasts are.
            is_binary = name == 'broadcast' or (number + 1) % 2 == 1
            require(message == (expected.encode() if is_binary else expected), message, expected)
            number += 1
            self.count('deliveries')
        return number

    def subscriber(self, number, source):
        topic = source.choice(TOPICS)
        offer = (None, WINDOW_KEPT, EACH_BY_ITSELF)[number // 3 % 3]
        ws = self.open(self.places[number % 3], 'topics', offer=offer)
        self.command(ws, 'topics', f'subscribe {topic}')
        first = self.take(ws, topic, 'subscribe', None, None)
        last = self.take(ws, topic, '?', first, source.randrange(100))
        if number % 3 == 2:  # leaves while it is subscribed
            ws.reset() if number % 2 else ws.drop()
            return self.count('closed.1006')
        self.command(ws, 'topics', f'unsubscribe {topic}')
        last = self.take(ws, topic, 'unsubscribe', last, None)
        self.count('received_in_full', last - first)
        self.end_life(ws, number)

    def publisher(self, number, source):
        """To the topics of each context; some messages under way, so that nobody's queue becomes full."""
        place = self.http_places[number % 2]
        ws = self.open(place, 'topics', offer=(None, WINDOW_KEPT)[number // 2 % 2])
        for _ in range(source.randrange(1, 30)):
            topics = source.choices(TOPICS, k=4)
            ws.send(*(f'publish {topic}' for topic in topics))
            self.count('topics.sent', len(topics))
            for topic in topics:
                require(ws.receive().startswith(f'publish {topic} '), topic)
                self.count('published')
                self.count('answers')
            time.sleep(0.001)
        self.end_life(ws, number)

    def broadcast(self, number, source):
        """Receives what all of them send, also itself."""
        ws = self.open(self.places[number % 3], 'broadcast', offer=(None, WINDOW_KEPT)[number // 3 % 2])
        begin = last = self.take(ws, 'broadcast', 'mark', None, None)
        for _ in range(source.randrange(1, 10)):
            self.command(ws, 'broadcast', 'broadcast')
            self.count('broadcasts')
            last = self.take(ws, 'broadcast', '?', last, 1)
        self.command(ws, 'broadcast', 'mark')
        last = self.take(ws, 'broadcast', 'mark', last, None)
        self.count('received_in_full', last - begin)
        self.end_life(ws, number, may_skip=True)

    # --- HTTP -----------------------------------------------------------------------------------------------------

    def http(self, number, source):
        """Some requests on one connection."""
        address, tls = self.http_places[number % 2]
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client = http.client.HTTPSConnection('127.0.0.1', address, timeout=LIMIT_S, context=context)
        else:
            client = http.client.HTTPConnection('127.0.0.1', address, timeout=LIMIT_S)
        for _ in range(source.randrange(1, 20)):
            self.request(client, source)
        client.close()

    def request(self, client, source):
        def ask(method, uri, body=None, headers={}):
            client.request(method, uri, body, headers)
            self.count('http_requests')
            response = client.getresponse()
            return response.status, response.read(), response.headers

        kind = source.choice(['echo', 'deferred', 'file', 'part', 'unchanged', 'metrics', 'nothing'])
        name = source.choice(list(self.files))
        if kind == 'echo':
            body = source.randbytes(source.randrange(20000))
            require(ask('POST', '/echo', body)[:2] == (200, body), kind)
        elif kind == 'deferred':
            require(ask('GET', '/deferred')[:2] == (200, b'later'), kind)
            self.count('deferred.answered')
        elif kind == 'file':
            require(ask('GET', f'/static/{name}')[:2] == (200, self.files[name]), kind)
        elif kind == 'part':
            require(ask('GET', f'/static/{name}', headers={'Range': 'bytes=100-299'})[:2] ==
                    (206, self.files[name][100:300]), kind)
        elif kind == 'unchanged':
            tag = ask('HEAD', f'/static/{name}')[2]['ETag']
            require(ask('GET', f'/static/{name}', headers={'If-None-Match': tag})[:2] == (304, b''), kind)
        elif kind == 'metrics':
            status, body, _ = ask('GET', '/metrics')
            require(status == 200 and b'\nlua_websockets_' in body, kind)
        else:
            require(ask('GET', '/nothing')[0] == 404, kind)

    # --- Those that do not come to an end -------------------------------------------------------------------------

    def leaver(self, number, source):
        """Leaves a request behind that is answered just then, or was not sent in full."""
        address, tls = self.http_places[number % 2]
        what = number // 2 % 4
        if what == 0:
            self.wrong_request(address, tls)
            return
        connection = connect(address, tls)
        if what == 1:
            connection.sendall(b'GET /deferred HTTP/1.1\r\nHost: localhost\r\n\r\n')
        elif what == 2:  # the file waits in part; what is left in the sockets' buffers is lost
            connection.sendall(b'GET /static/large HTTP/1.1\r\nHost: localhost\r\n\r\n')
            require(connection.recv(4096).startswith(b'HTTP/1.1 200'))
        else:
            connection.sendall(b'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\nnot all')
        reset(connection) if number % 3 else connection.close()
        self.count('left.requests')

    def wrong_request(self, address, tls):
        connection = connect(address, tls)
        connection.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\nHost: of another\r\n\r\n')
        require(connection.recv(4096).startswith(b'HTTP/1.1 400'))
        self.count('refused.bad_request')
        connection.close()

    def silent(self, number, source):
        """Begins a handshake, of TLS or of a websocket, and waits until the server has lost patience."""
        address, tls = self.impatient_places[number % 2]
        connection = connect(address)
        if tls:
            connection.sendall(b'\x16\x03\x01\x02\x00\x01\x00')
        else:
            connection.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n')
            require(connection.recv(4096).startswith(b'HTTP/1.1 408'))
            self.count('refused.timeout')
        while connection.recv(4096):
            pass
        connection.close()

    # --- All of them ----------------------------------------------------------------------------------------------

    KINDS = {'echo': 3, 'subscriber': 5, 'publisher': 2, 'broadcast': 4, 'http': 3, 'leaver': 1, 'silent': 2}

    def live(self, kind, thread):
        source = random.Random(f'{kind} {thread}')
        try:
            for number in itertools.count(thread):
                if self.is_over(kind):
                    return
                getattr(self, kind)(number, source)
                self.count(f'{kind}.lives')
                time.sleep(PAUSE_S)
        except Exception as error:
            print(f'{kind}: {error!r}\n{traceback.format_exc()}', file=sys.stderr, flush=True)
            os._exit(1)  # others may wait for this one

    def run(self):
        self.threads = [threading.Thread(target=self.live, args=(kind, number), name=kind)
                        for kind, count in self.KINDS.items() for number in range(count)]
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()
        return self.counts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ('--port', '--tls-port', '--impatient-port', '--impatient-tls-port', '--seconds'):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument('--folder', required=True, help="the server's")
    print(json.dumps({'counts': Clients(parser.parse_args()).run()}), flush=True)


if __name__ == '__main__':
    main()
