# SPDX-License-Identifier: MIT
"""Messages over TLS, each byte in a record of its own: made before they are sent, so that the server has more to do."""

import select
import ssl

from floods import BINARY, FIN, PIECE_BYTES, READS, Flood
from peers import CONNECT_S, RECEIVE_BYTES, frame, relaxed_tls, request

RECORD_BYTES = 23  # TLS 1.3: the header, the byte, its type, the tag
MESSAGES = 200


class SmallRecords(Flood):
    def make(self):
        self.context = relaxed_tls()
        return memoryview(bytes(RECORD_BYTES)), 1

    def open(self):
        peer = self.connect()
        if not peer:
            return
        try:
            peer.records = memoryview(self.shake_hands(peer.socket))
        except OSError:
            self.note_end(peer)
            return
        self.poll.register(peer, select.POLLIN | select.POLLOUT)

    def shake_hands(self, sock):
        """By TLS and to a websocket. Returns the records."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = self.context.wrap_bio(incoming, outgoing)
        sock.settimeout(CONNECT_S)

        def complete(action):
            while True:
                try:
                    result = action()
                    sock.sendall(outgoing.read())
                    return result
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(RECEIVE_BYTES))

        complete(session.do_handshake)
        complete(lambda: session.write(request()))
        complete(lambda: session.read(RECEIVE_BYTES))
        for byte in frame(FIN | BINARY, b'x' * 50) * MESSAGES:
            session.write(bytes([byte]))
        sock.setblocking(False)
        return outgoing.read()

    def serve(self, peer, events):
        if events & READS and peer.receive() is None:
            self.poll.unregister(peer)
            self.note_end(peer)
        elif events & select.POLLOUT:
            sent = peer.send(peer.records[peer.position:peer.position + PIECE_BYTES])
            peer.position += sent
            self.sent_bytes += sent
            if peer.position == len(peer.records):
                self.poll.unregister(peer)
                self.drop(peer)
