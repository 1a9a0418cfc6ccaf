# SPDX-License-Identifier: MIT
"""Connections that do not behave: bare sockets that never wait, and remember how the server has ended them."""

import errno
import socket
import ssl
import struct
from collections import Counter

CONNECT_S = 10
RECEIVE_BYTES = 2**18
KEPT_BYTES = 127  # a Close frame of a server, at most
KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'


def request(*headers):
    """The opening handshake."""
    lines = ''.join(f'{header}\r\n' for header in headers)
    return (f'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{KEY}{lines}'
            '\r\n').encode()


def frame(first_byte, payload=b''):
    """Masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else struct.pack('!BH', 0xFE, size) if size < 2**16 else \
        struct.pack('!BQ', 0xFF, size)
    return bytes([first_byte]) + length + bytes(4) + payload


def relaxed_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Peer:
    def __init__(self, port, first=b'', receive_buffer=None):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(CONNECT_S)
        self.head = self.tail = b''
        self.is_reset = False
        self.position = 0
        try:
            self.socket.connect(('127.0.0.1', port))
            self.socket.setblocking(False)
        except BaseException:
            self.socket.close()
            raise
        self.send(first)

    def fileno(self):
        return self.socket.fileno()

    def send(self, data):
        """How much of it was taken."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:  # what the server has said may be there still
            return 0

    def receive(self):
        """What has come; None: the connection has ended."""
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return b''
        except OSError as error:
            self.is_reset = error.errno == errno.ECONNRESET
            return None
        if len(self.head) < len('HTTP/1.1 101'):
            self.head += data[:16]
        self.tail = data[-KEPT_BYTES:] if len(data) >= KEPT_BYTES else (self.tail + data)[-KEPT_BYTES:]
        return data or None

    def is_open(self):
        """Whether the server has agreed to a websocket."""
        return self.head.startswith(b'HTTP/1.1 101')

    def answer(self):
        """What the server said at the end: a status, a code of a Close frame, 'reset' or 'nothing'."""
        if self.head.startswith(b'HTTP/1.1 ') and not self.is_open():
            return self.head[9:12].decode()
        for size in range(2, len(self.tail) - 1):
            rest = self.tail[-size - 2:]
            if rest[0] == 0x88 and rest[1] == size:
                return str(int.from_bytes(rest[2:4], 'big'))
        return 'reset' if self.is_reset else 'nothing'

    def abort(self):
        """By a reset, which leaves nothing behind here."""
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        except OSError:
            pass
        self.socket.close()


class Attack:
    """One of a kind. Its answers: what became of connections that the server has ended, and how often."""

    def __init__(self, port, count):
        self.port = port
        self.count = count
        self.answers = Counter()
        self.peers = {}  # by descriptor

    def begin(self):
        pass

    def turn(self):
        """Goes on for a moment. Returns how many times the server was attacked in it."""
        raise NotImplementedError

    def end(self):
        for peer in self.peers.values():
            peer.abort()

    def connect(self, *arguments):
        """None: the server does not take it."""
        try:
            peer = Peer(self.port, *arguments)
        except OSError:
            self.answers['unreachable'] += 1
            return None
        self.peers[peer.fileno()] = peer
        return peer

    def drop(self, peer):
        del self.peers[peer.fileno()]
        peer.abort()

    def note_end(self, peer):
        self.answers[peer.answer()] += 1
        self.drop(peer)
