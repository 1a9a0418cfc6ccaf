# SPDX-License-Identifier: MIT
"""TLS handshakes over and over: begun, and left where the server has done the expensive part; some come to their end."""

import select
import ssl

from peers import Attack, relaxed_tls

ONE_IN_SO_MANY_ENDS = 8


class Handshakes(Attack):
    def __init__(self, port, count):
        super().__init__(port, count)
        self.context = relaxed_tls()
        self.hello = self.client_hello()
        self.sessions = {}  # by descriptor: of those that come to their end
        self.poll = select.epoll()
        self.opened = 0

    def session(self):
        """A TLS client that has no socket: what it is given, and what it wants to be sent."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return self.context.wrap_bio(incoming, outgoing), incoming, outgoing

    def client_hello(self):
        session, _, outgoing = self.session()
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            return outgoing.read()

    def open(self):
        self.opened += 1
        session, hello = None, self.hello
        if self.opened % ONE_IN_SO_MANY_ENDS == 0:
            session = self.session()
            hello = self.go_on(session)
        peer = self.connect(hello)
        if not peer:
            return False
        if session:
            self.sessions[peer.fileno()] = session
        self.poll.register(peer, select.EPOLLIN)
        return True

    def go_on(self, session, data=b''):
        """What is to be sent next."""
        client, incoming, outgoing = session
        incoming.write(data)
        try:
            client.do_handshake()
            self.answers['handshake'] += 1
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()

    def turn(self):
        done = 0
        for descriptor, _ in self.poll.poll(0.02):
            peer, session = self.peers[descriptor], self.sessions.pop(descriptor, None)
            data = peer.receive()
            if data is None:
                self.note_end(peer)
                continue
            if session:
                peer.send(self.go_on(session, data))
            done += 1
            self.drop(peer)
        while len(self.peers) < self.count and self.open():
            pass
        return done
