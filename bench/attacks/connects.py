# SPDX-License-Identifier: MIT
"""Connections without end, or that end before they have begun."""

import select
import time

from peers import Attack, request

AT_A_TIME = 64
PAUSE_S = 0.02
PADDING = b'X: ' + b'x' * 7000  # within max_header_size
HALF = b'GET / HTTP/1.1\r\nHost: localhost\r\n' + PADDING


class HalfOpen(Attack):
    """As many as possible, each of which says half a request, and from time to time a byte more."""
    first = HALF
    trickles = b'x'

    def __init__(self, port, count):
        super().__init__(port, count)
        self.poll = select.epoll()
        self.next = iter(())

    def turn(self):
        opened = 0
        for _ in range(min(AT_A_TIME, self.count - len(self.peers))):
            peer = self.connect(self.first)
            if not peer:
                break
            self.poll.register(peer, select.EPOLLIN)
            opened += 1
        for descriptor, _ in self.poll.poll(0):
            if self.peers[descriptor].receive() is None:
                self.note_end(self.peers[descriptor])
        if not opened:
            self.trickle()
            time.sleep(PAUSE_S)
        return opened

    def trickle(self):
        """A byte from some of them; all have their turn once a second or so."""
        for _ in range(int(len(self.peers) * PAUSE_S)):
            peer = next(self.next, None)
            if peer is None:
                self.next = iter(list(self.peers.values()))
            elif peer.fileno() >= 0:
                peer.send(self.trickles)


class Crowd(HalfOpen):
    """Websockets that do nothing but be there: more than the server has descriptors for."""
    first = request()
    trickles = b''


class Aborts(Attack):
    """They come and are gone, by a reset: at once, after half a request, after a whole one."""
    STARTS = (b'', HALF[:200], request())

    def turn(self):
        for number in range(AT_A_TIME):
            peer = self.connect(self.STARTS[number % len(self.STARTS)])
            if not peer:
                return number
            self.drop(peer)
        return AT_A_TIME
