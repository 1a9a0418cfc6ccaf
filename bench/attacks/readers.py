# SPDX-License-Identifier: MIT
"""Receivers of a broadcast that never read, next to some that do, and to the one that sends."""

import select
import struct
import time

from peers import Attack, frame, request

FIN_BINARY = 0x82
PROTOCOL = 'Sec-WebSocket-Protocol: feed'
READERS = 10
MESSAGE_BYTES = 16_000
PER_SECOND = 200
UNREAD = 16  # messages that a reader may be behind before the next one is sent
SMALL_BUFFER = 4096
DRAIN_S = 5
SILENCE_S = 0.2


class NeverReading(Attack):
    """The server ends them; those that it has dropped are followed by others. In the end they read what there is, up to
    the Close frame."""

    def __init__(self, port, count):
        super().__init__(port, count)
        self.poll = select.poll()
        self.sent = 0
        self.received = {}  # by reader: bytes
        self.next_s = 0

    def begin(self):
        self.readers = [self.open_reader() for _ in range(READERS)]
        self.ends = select.poll()
        self.fill()

    def open_reader(self):
        peer = self.connect(request(PROTOCOL))
        del self.peers[peer.fileno()]
        while not peer.tail.endswith(b'\r\n\r\n'):
            select.select([peer], [], [])
            if peer.receive() is None:
                raise SystemExit('a reader is refused')
        self.received[peer] = 0
        self.poll.register(peer, select.POLLIN)
        return peer

    def fill(self):
        while len(self.peers) < self.count:
            peer = self.connect(request(PROTOCOL), SMALL_BUFFER)
            if not peer:
                return
            self.ends.register(peer, select.POLLRDHUP)

    def turn(self):
        sent = self.send_next()
        self.read()
        for descriptor, _ in self.ends.poll(0):
            self.ends.unregister(descriptor)
            self.drop(self.peers[descriptor])
        self.fill()
        return sent

    def behind(self):
        return self.sent - min(self.received.values()) // (MESSAGE_BYTES + 4)

    def send_next(self):
        if time.monotonic() < self.next_s or self.behind() > UNREAD:
            return 0
        self.next_s = time.monotonic() + 1 / PER_SECOND
        self.sent += 1
        data = frame(FIN_BINARY, struct.pack('!I', self.sent) * (MESSAGE_BYTES // 4))
        assert self.readers[0].send(data) == len(data)
        return 1

    def read(self):
        by_descriptor = {reader.fileno(): reader for reader in self.readers}
        for descriptor, _ in self.poll.poll(2):
            reader = by_descriptor[descriptor]
            data = reader.receive()
            if data is None:
                self.answers['readers lost'] += 1
                self.poll.unregister(reader)
                continue
            self.check(data, self.received[reader])
            self.received[reader] += len(data)

    def check(self, data, position):
        """That it is what must come at this place."""
        whole = MESSAGE_BYTES + 4
        first = position // whole
        expected = b''.join(struct.pack('!BBH', FIN_BINARY, 126, MESSAGE_BYTES) +
                            struct.pack('!I', number) * (MESSAGE_BYTES // 4)
                            for number in range(first + 1, (position + len(data) - 1) // whole + 2))
        offset = position - first * whole
        if data != expected[offset:offset + len(data)]:
            self.answers['wrong broadcasts'] += 1

    def drain(self, peer):
        """Reads on until the server has ended it, or nothing more comes."""
        while select.select([peer], [], [], SILENCE_S)[0]:
            if peer.receive() is None:
                return self.note_end(peer)
        self.answers['not ended'] += 1
        self.drop(peer)

    def end(self):
        limit_s = time.monotonic() + DRAIN_S
        while self.behind() > 0 and time.monotonic() < limit_s:
            self.read()
        self.answers['broadcasts missing'] += self.behind()
        for peer in list(self.peers.values()):
            self.drain(peer)
        for reader in self.readers:
            reader.abort()
