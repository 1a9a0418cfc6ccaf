# SPDX-License-Identifier: MIT
"""RFC 6455 5.4, 5.6 and 6.2 once more: large messages, many fragments, many messages one after the other."""

from rfc6455.connection import BINARY, TEXT, fragments, frame, randomness, split
from rfc6455.framing import DATA
from rfc6455.opening import open_websocket
from rules import labelled, product, rule

KIB, MIB = 2**10, 2**20
WINDOW = 8  # less than the server lets wait to be sent

BYTES = randomness.randbytes(MIB)
LETTERS = ''.join(map(chr, randomness.choices([0x20, 0x41, 0xE4, 0x416, 0x20AC, 0x4E16, 0x1F30D], k=MIB // 2)))


def payload_of(opcode, size):
    if opcode == BINARY:
        return (BYTES * (size // MIB + 1))[:size]
    # Letters of one to four octets; the last one is whole.
    text = (LETTERS * (size // MIB + 1)).encode()[:size].decode(errors='ignore').encode()
    return text + b'.' * (size - len(text))


def check_echo(server, opcode, payload, data, piece=None):
    with open_websocket(server) as connection:
        connection.send(data, piece)
        connection.expect(opcode, payload)
        connection.close()


@rule('6.2', 'A message may be large, up to the limit.', product(
    DATA, [('64 KiB', 64 * KIB), ('256 KiB', 256 * KIB), ('1 MiB', MIB), ('4 MiB', 4 * MIB), ('8 MiB', 8 * MIB),
           ('16 MiB', 16 * MIB)]))
def large(server, opcode, size):
    payload = payload_of(opcode, size)
    check_echo(server, opcode, payload, frame(opcode, payload))


@rule('5.4', 'A large message may be in fragments of any size.', product(
    DATA, [('fragments of 64', 64), ('fragments of 256', 256), ('fragments of 1 KiB', KIB), ('fragments of 1300', 1300),
           ('fragments of 4 KiB', 4 * KIB), ('fragments of 16 KiB', 16 * KIB), ('fragments of 64 KiB', 64 * KIB),
           ('fragments of 256 KiB', 256 * KIB), ('fragments of 1 MiB', MIB), ('fragments of 4 MiB', 4 * MIB)]))
def large_in_fragments(server, opcode, size):
    payload = payload_of(opcode, 4 * MIB)
    check_echo(server, opcode, payload, b''.join(fragments(opcode, split(payload, size))))


@rule('5.4', 'A message of the largest size may be in fragments.', DATA)
def largest_in_fragments(server, opcode):
    payload = payload_of(opcode, 16 * MIB)
    check_echo(server, opcode, payload, b''.join(fragments(opcode, split(payload, 8 * KIB))))


@rule('6.2', 'A large message may arrive in pieces of any size.', product(
    DATA, [(f'pieces of {piece}', piece) for piece in (64, 128, 256, 512, 1024, 2048)]))
def large_in_pieces(server, opcode, piece):
    payload = payload_of(opcode, MIB)
    check_echo(server, opcode, payload, frame(opcode, payload), piece)


@rule('6.2', 'A message comes back before the next one is sent, a thousand times.', product(
    DATA, labelled([0, 16, 64, 256, 1024, 4096, 16384, 65536])))
def round_trips(server, opcode, size):
    payload = payload_of(opcode, size)
    data = frame(opcode, payload)
    with open_websocket(server) as connection:
        for _ in range(1000):
            connection.send(data)
            connection.expect(opcode, payload)
        connection.close()


@rule('6.2', 'A client may send on while it is sent to.', [
    ('100000 short ones', [frame(TEXT, b'%06d' % i) for i in range(1000)], 100),
    ('128 of 1 MiB', [frame(BINARY, BYTES)], 128)])
def full_duplex(server, frames, times):
    data = b''.join(frames)
    with open_websocket(server) as connection:
        for i in range(times + WINDOW):
            if i < times:
                connection.send(data)
            if i >= WINDOW:
                for sent in frames:
                    got = connection.read_frame()
                    assert frame(got.opcode, got.payload, key=sent[-len(got.payload) - 4:-len(got.payload)]) == sent
        connection.close()
