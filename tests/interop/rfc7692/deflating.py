# SPDX-License-Identifier: MIT
"""The client's side of permessage-deflate, made of zlib."""

import zlib

from rfc6455.connection import RSV1, TEXT, Connection
from rfc6455.opening import check_switching, make_key, read_response, request

NAME = 'permessage-deflate'
TAIL = b'\0\0\xff\xff'  # 7.2.1
ANY = object()  # an answer that is not looked at


class Deflater:
    """Compresses messages, each by itself or with what was in front of it."""

    def __init__(self, takeover=False, bits=15, level=6):
        self.settings = (level, zlib.DEFLATED, -bits)
        self.takeover = takeover
        self.stream = zlib.compressobj(*self.settings)

    def compress(self, data):
        if not self.takeover:
            self.stream = zlib.compressobj(*self.settings)
        compressed = self.stream.compress(data) + self.stream.flush(zlib.Z_SYNC_FLUSH)
        assert compressed.endswith(TAIL)
        return compressed[:-len(TAIL)]


class Inflater:
    """Decompresses messages; looks back no farther than the window that was agreed upon."""

    def __init__(self, takeover=False, bits=15):
        self.bits = bits
        self.takeover = takeover
        self.stream = zlib.decompressobj(-bits)

    def decompress(self, data):
        if not self.takeover:
            self.stream = zlib.decompressobj(-self.bits)
        assert not data.endswith(TAIL), '7.2.1: the last four octets are left on'
        content = self.stream.decompress(data + TAIL)
        assert not self.stream.unused_data and not self.stream.unconsumed_tail, 'there is more behind a final block'
        return content


def offering(offers, key):
    """A handshake. The offers: one header, or several; '@' stands for the name of the extension."""
    offers = [offers] if isinstance(offers, str) else offers
    return request({'Sec-WebSocket-Extensions': [offer.replace('@', NAME) for offer in offers]}, key=key)


def open_compressed(server, offers='@', answer=None):
    """A connection behind its handshake. The answer: what the server has to say, None if it has to decline."""
    connection = Connection(server.port)
    key = make_key()
    connection.send(offering(offers, key))
    response = read_response(connection)
    given = response.headers.get('sec-websocket-extensions', [None])[0]
    expected = given if answer is ANY else answer and answer.replace('@', NAME)
    check_switching(response, key, extension=expected)
    connection.has_compression = given is not None
    return connection


def send_compressed(connection, payload, opcode=TEXT, **options):
    """A message, or its first frame, whose payload is compressed already."""
    connection.send_frame(opcode, payload, rsv=4, **options)


def expect_compressed(connection, opcode, content, inflater):
    """A message that is compressed; returns its payload."""
    got = connection.read_frame()
    assert got.opcode == opcode and got.fin and got.header[0] & RSV1, got
    assert inflater.decompress(got.payload) == content, got
    return got.payload


def expect_message(connection, opcode, content, inflater):
    """The same, or as it is: the server may choose (6)."""
    got = connection.read_frame()
    assert got.opcode == opcode and got.fin, got
    payload = inflater.decompress(got.payload) if got.header[0] & RSV1 else got.payload
    assert payload == content, f'{len(payload)} octets, not {len(content)}'
