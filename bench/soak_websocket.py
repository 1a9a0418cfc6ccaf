# SPDX-License-Identifier: MIT
"""A WebSocket client that can do what others refuse to: leave at any moment, in any way. It compresses by zlib."""

import os
import socket
import ssl
import struct
import zlib

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FIN, COMPRESSED = 0x80, 0x40
TAIL = b'\x00\x00\xff\xff'
EACH_BY_ITSELF = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
WINDOW_KEPT = 'permessage-deflate'
SMALL_WINDOWS = 'permessage-deflate; server_max_window_bits=10; client_max_window_bits=10'
LIMIT_S = 60 * float(os.environ.get('TIME_FACTOR', 1))


class Wrong(Exception):
    """The server did not do what it should."""


def require(condition, *what):
    if not condition:
        raise Wrong(*what)


def connect(address, tls=False):
    """To a port of this machine, or to a unix socket."""
    if isinstance(address, int):
        connection = socket.create_connection(('127.0.0.1', address), timeout=LIMIT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(LIMIT_S)
        connection.connect(address)
    if not tls:
        return connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def reset(connection):
    """What is under way is lost."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    connection.close()


def xor(data, mask):
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, 'big') ^ int.from_bytes(key, 'big')).to_bytes(size, 'big')


class WebSocket:
    def __init__(self, address, protocol, tls=False, offer=None, path='/'):
        self.socket = connect(address, tls)
        extensions = f'Sec-WebSocket-Extensions: {offer}\r\n' if offer else ''
        self.socket.sendall(
            f'GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
            f'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
            f'Sec-WebSocket-Protocol: {protocol}\r\n{extensions}\r\n'.encode())
        self.data = b''
        while b'\r\n\r\n' not in self.data:
            self.read()
        head, _, self.data = self.data.partition(b'\r\n\r\n')
        require(b' 101 ' in head and b's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' in head, head)
        require((b'permessage-deflate' in head) == bool(offer), head)
        self.offer, self.small = offer, offer and 'no_context_takeover' not in offer and b'window_bits=10' in head
        self.forget()

    def forget(self):
        """What was sent before: at the beginning, and with each message that is compressed by itself."""
        bits = -10 if self.small else -15
        self.compressor, self.decompressor = zlib.compressobj(6, wbits=bits), zlib.decompressobj(bits)

    def read(self):
        more = self.socket.recv(1 << 18)
        require(more, 'the connection has ended')
        self.data += more

    def frame(self, opcode, payload, flags=FIN):
        mask, size = os.urandom(4), len(payload)
        length = struct.pack('>B', 0x80 | size) if size < 126 else \
            struct.pack('>BH', 0x80 | 126, size) if size < 1 << 16 else struct.pack('>BQ', 0x80 | 127, size)
        return bytes([opcode | flags]) + length + mask + xor(payload, mask)

    def message(self, data):
        """The frame of a message, compressed if that was agreed on."""
        opcode, payload = (TEXT, data.encode()) if isinstance(data, str) else (BINARY, data)
        if not self.offer:
            return self.frame(opcode, payload)
        if self.offer == EACH_BY_ITSELF:
            self.compressor = zlib.compressobj(6, wbits=-15)
        compressed = self.compressor.compress(payload) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
        return self.frame(opcode, compressed[:-len(TAIL)], FIN | COMPRESSED)

    def send(self, *messages):
        self.socket.sendall(b''.join(map(self.message, messages)))

    def receive_frame(self):
        """Its first byte, and the payload."""
        while len(self.data) < 2:
            self.read()
        size, header = self.data[1], 2
        if size > 125:
            header += 2 if size == 126 else 8
            while len(self.data) < header:
                self.read()
            size = int.from_bytes(self.data[2:header], 'big')
        while len(self.data) < header + size:
            self.read()
        first, payload, self.data = self.data[0], self.data[header:header + size], self.data[header + size:]
        return first, payload

    def receive(self):
        """The next message: a string, or bytes. Our server sends none in fragments here; pings are answered."""
        first, payload = self.receive_frame()
        while first == PING | FIN:
            self.socket.sendall(self.frame(PONG, payload))
            first, payload = self.receive_frame()
        opcode = first & 0xf
        require(first & FIN and opcode in (TEXT, BINARY), first, payload)
        if first & COMPRESSED:
            if self.offer == EACH_BY_ITSELF:
                self.decompressor = zlib.decompressobj(-15)
            payload = self.decompressor.decompress(payload + TAIL)
        return payload.decode() if opcode == TEXT else payload

    def close(self, code, may_skip=False):
        """The closing handshake; nothing else may come any more, unless it may be skipped."""
        self.socket.sendall(self.frame(CLOSE, struct.pack('>H', code)))
        first, payload = self.receive_frame()
        while first == PING | FIN or (may_skip and first & 0xf in (TEXT, BINARY)):
            first, payload = self.receive_frame()
        require((first, payload) == (CLOSE | FIN, struct.pack('>H', code)), 'closed in another way', first, payload)
        require(not self.data and not self.socket.recv(1), 'something came behind the Close frame')
        self.socket.close()

    def reset(self):
        reset(self.socket)

    def drop(self):
        self.socket.close()
