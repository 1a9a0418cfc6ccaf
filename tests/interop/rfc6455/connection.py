# SPDX-License-Identifier: MIT
"""A client made of a bare socket: it sends whatever it is told to, and is strict about what it receives.

Nothing here waits for time to pass, only for bytes; DEADLINE_S is how long at most.
"""

import collections
import random
import select
import socket
import struct
import time

from support import DEADLINE_S

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1 = 0x40
NAMES = {CONTINUATION: 'continuation', TEXT: 'text', BINARY: 'binary', CLOSE: 'close', PING: 'ping', PONG: 'pong'}

RECEIVE_BYTES = 2**18
BUFFER_BYTES = 2**18

Frame = collections.namedtuple('Frame', 'opcode payload fin header')

randomness = random.Random(6455)


def mask(payload, key, offset=0):
    """RFC 6455 5.3."""
    size = len(payload)
    key = key[offset % 4:] + key[:offset % 4]
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, 'big') ^ int.from_bytes(keys, 'big')).to_bytes(size, 'big')


def encode_length(size, form=None):
    """The seven bits, and what follows them. The form: in how many bits, 7, 16 or 64; None: the shortest."""
    if form == 7 or (form is None and size <= 125):
        return size, b''
    if form == 16 or (form is None and size <= 0xFFFF):
        return 126, struct.pack('!H', size)
    return 127, struct.pack('!Q', size)


def frame(opcode, payload=b'', fin=True, rsv=0, key=None, masked=True, form=None, announced=None):
    """The bytes of a frame. `announced`: the length in its header, when that is not the length of the payload."""
    size, extended = encode_length(len(payload) if announced is None else announced, form)
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | size]) + extended
    if not masked:
        return head + payload
    key = randomness.randbytes(4) if key is None else key
    return head + key + mask(payload, key)


def fragments(opcode, payloads, **options):
    """The frames of one fragmented message."""
    last = len(payloads) - 1
    return [frame(CONTINUATION if i else opcode, payload, fin=i == last, **options)
            for i, payload in enumerate(payloads)]


def split(data, size):
    return [data[i:i + size] for i in range(0, len(data), size)]


def close_body(code=None, reason=b''):
    return b'' if code is None else struct.pack('!H', code) + reason


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port), DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.received = bytearray()
        self.position = 0  # what is in front of it was read
        self.ended = False
        self.has_compression = False  # whether permessage-deflate was agreed upon

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # --- Bytes ---

    def wait(self, writable=False):
        """Until something arrives, or can be sent."""
        readable, _, _ = select.select(
            [] if self.ended else [self.socket], [self.socket] if writable else [], [], DEADLINE_S)
        if readable:
            self.receive_some()
        elif not writable:
            raise AssertionError(f'nothing came within {DEADLINE_S:.0f} s')

    def receive_some(self):
        data = self.socket.recv(RECEIVE_BYTES)
        self.ended = not data
        self.received += data

    def send(self, data, piece=None):
        """With `piece`, no more than so many bytes in a call. Takes in what arrives meanwhile."""
        rest = memoryview(data)
        deadline_s = time.monotonic() + DEADLINE_S
        while rest:
            try:
                rest = rest[self.socket.send(rest[:piece] if piece else rest):]
            except BlockingIOError:
                assert time.monotonic() < deadline_s, f'sending took more than {DEADLINE_S:.0f} s'
                self.wait(writable=True)

    def read(self, count):
        while len(self.received) - self.position < count:
            assert not self.ended, f'the connection ended within {bytes(self.received[self.position:][:200])}'
            self.wait()
        data = bytes(self.received[self.position:self.position + count])
        self.position += count
        if self.position > BUFFER_BYTES or self.position == len(self.received):
            del self.received[:self.position]
            self.position = 0
        return data

    def read_until(self, end):
        while (found := self.received.find(end, self.position)) < 0:
            assert not self.ended, f'the connection ended within {bytes(self.received[self.position:][:200])}'
            self.wait()
        return self.read(found + len(end) - self.position)

    def end(self):
        """Nothing more is sent from here."""
        self.socket.shutdown(socket.SHUT_WR)

    def at_end(self):
        """Whether the server has ended the connection, in an orderly way, and everything was read."""
        while self.position == len(self.received) and not self.ended:
            self.wait()
        return self.position == len(self.received)

    def expect_end(self):
        assert self.at_end(), f'more came: {bytes(self.received[self.position:][:200])}'

    # --- Frames ---

    def read_frame(self):
        """One frame, held against everything that 5.1, 5.2 and 5.5, and RFC 7692 6, say about a server's frames."""
        first, second = header = self.read(2)
        opcode, size = first & 0xF, second & 0x7F
        allowed = RSV1 if self.has_compression and opcode in (TEXT, BINARY) else 0
        assert first & 0x70 & ~allowed == 0, f'5.2: reserved bits are set: {first:02x}'
        assert opcode in NAMES, f'5.2: the opcode {opcode} is reserved'
        assert second & 0x80 == 0, '5.1: a server must not mask its frames'
        if size >= 126:
            assert opcode < CLOSE, '5.5: a control frame has more than 125 bytes'
            extended = self.read(2 if size == 126 else 8)
            least = 126 if size == 126 else 2**16
            size = int.from_bytes(extended, 'big')
            assert least <= size < 2**63, f'5.2: the length {size} is not in its shortest form'
            header += extended
        fin = first >= 0x80
        assert fin or opcode < CLOSE, '5.5: a control frame is fragmented'
        return Frame(opcode, self.read(size), fin, header)

    def expect(self, opcode, payload):
        got = self.read_frame()
        assert got.opcode == opcode and got.fin, f'a {NAMES[opcode]} frame was expected: {str(got)[:200]}'
        assert got.payload == payload, f'the payload differs: {str(got)[:200]}'

    def send_frame(self, opcode, payload=b'', piece=None, **options):
        self.send(frame(opcode, payload, **options), piece)

    def command(self, text):
        self.send_frame(TEXT, text.encode())

    # --- Closing ---

    def expect_close(self, code=None):
        """A Close frame with this code, or without one. Returns its reason."""
        got = self.read_frame()
        assert got.opcode == CLOSE, f'a Close frame was expected: {str(got)[:200]}'
        assert len(got.payload) != 1, '5.5.1: the body of a Close frame has one byte'
        assert got.payload[:2] == close_body(code), f'code {code} was expected: {got.payload}'
        return got.payload[2:].decode()

    def close(self, code=1000, reason=b''):
        """The closing handshake, begun here; nothing else comes, and the server ends the connection first (7.1.1)."""
        self.send_frame(CLOSE, close_body(code, reason))
        self.expect_close(code)
        self.expect_end()

    def expect_failure(self, code):
        """The server fails the connection (7.1.7): says why, takes nothing any more, and ends it."""
        assert self.expect_close(code), 'no reason is given'
        for data in (frame(PING, b'late'), frame(TEXT, b'late'), frame(CLOSE, close_body(code))):
            self.send(data)
        self.expect_end()
