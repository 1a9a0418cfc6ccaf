# SPDX-License-Identifier: MIT
"""RFC 6455 5.4, 5.6 and 6: messages, whole and in fragments."""

from rfc6455.connection import BINARY, CONTINUATION, PING, PONG, TEXT, fragments, frame, randomness, split
from rfc6455.framing import DATA, PROTOCOL_ERROR, check_failure, payload_of
from rfc6455.opening import open_websocket
from rules import labelled, product, rule

PIECES = [('one write', None), ('pieces of 1', 1), ('pieces of 11', 11)]


@rule('5.6', 'A message comes back as what it was, text or binary.')
def kinds(server, _):
    with open_websocket(server) as connection:
        for i in range(100):
            opcode, payload = (TEXT, BINARY)[i % 2], b'%d' % i
            connection.send_frame(opcode, payload)
            connection.expect(opcode, payload)
        connection.close()


@rule('5.6', 'Binary is any octets.')
def binary(server, _):
    payload = bytes(range(256)) * 5
    with open_websocket(server) as connection:
        connection.send_frame(BINARY, payload)
        connection.expect(BINARY, payload)
        connection.close()


@rule('6.2', 'Messages are received in their order, however many arrive at once, whatever their sizes.', product(
    [('1000 short ones', [i % 20 for i in range(1000)]), ('of many sizes', [i * i for i in range(200)]),
     ('short and long in turn', [(1, 70000)[i % 2] for i in range(20)]), ('empty ones', [0] * 100)],
    [('one write', None), ('pieces of 999', 999)]))
def order(server, sizes, piece):
    payloads = [randomness.randbytes(size) for size in sizes]
    with open_websocket(server) as connection:
        connection.send(b''.join(frame(BINARY, payload) for payload in payloads), piece)
        for payload in payloads:
            connection.expect(BINARY, payload)
        connection.close()


# --- 5.4 ----------------------------------------------------------------------------------------------------------


@rule('5.4', 'A fragmented message is the concatenation of its fragments.', product(
    DATA, [(f'fragments of {size}', size) for size in (1, 2, 3, 16, 125, 126, 127, 500, 999, 1000)], PIECES))
def fragmented(server, opcode, size, piece):
    payload = payload_of(opcode, 1000)
    with open_websocket(server) as connection:
        connection.send(b''.join(fragments(opcode, split(payload, size))), piece)
        connection.expect(opcode, payload)
        connection.close()


@rule('5.4', 'The fragments of a message may be of any size, and empty.', product(DATA, [
    ('two empty ones', [b'', b'']), ('the first empty', [b'', b'a']), ('the last empty', [b'a', b'']),
    ('the middle empty', [b'a', b'', b'b']), ('all empty', [b''] * 50),
    ('mixed', [b'a' * size for size in (0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 0)])]))
def fragment_sizes(server, opcode, payloads):
    with open_websocket(server) as connection:
        connection.send(b''.join(fragments(opcode, payloads)))
        connection.expect(opcode, b''.join(payloads))
        connection.close()


@rule('5.4', 'Nothing is delivered before the last fragment is there.', DATA)
def last_fragment(server, opcode):
    with open_websocket(server) as connection:
        *first, last = fragments(opcode, [b'a', b'b', b'c'])
        for i, data in enumerate(first):
            connection.send(data + frame(PING, b'%d' % i))
            connection.expect(PONG, b'%d' % i)
        connection.send(last)
        connection.expect(opcode, b'abc')
        connection.close()


@rule('5.4', 'Control frames may come between the fragments, and are answered before the message is whole.', product(
    DATA, [('fragments of 1', 1), ('fragments of 125', 125), ('fragments of 1000', 1000)], PIECES))
def ping_between_fragments(server, opcode, size, piece):
    payload = payload_of(opcode, 3000 if size > 1 else 30)
    frames = fragments(opcode, split(payload, size))
    pings = [b'%d' % i for i in range(len(frames) - 1)]
    with open_websocket(server) as connection:
        for data, name in zip(frames, pings):
            connection.send(data + frame(PING, name), piece)
        for name in pings:
            connection.expect(PONG, name)
        connection.send(frames[-1], piece)
        connection.expect(opcode, payload)
        connection.close()


@rule('5.4', 'Unsolicited Pongs between the fragments change nothing.', DATA)
def pong_between_fragments(server, opcode):
    frames = fragments(opcode, [b'a', b'', b'b'])
    with open_websocket(server) as connection:
        connection.send(frame(PONG, b'unasked').join(frames))
        connection.expect(opcode, b'ab')
        connection.close()


@rule('5.4', 'A continuation frame without a message that it continues ends the connection.', product(
    [('at first', []), ('behind a whole message', [b'whole']), ('behind a fragmented one', [b'a', b'b'])],
    [('FIN', True), ('no FIN', False)], [('empty', b''), ('with payload', b'x')]))
def unexpected_continuation(server, before, fin, payload):
    with open_websocket(server) as connection:
        if before:
            connection.send(b''.join(fragments(TEXT, before)))
            connection.expect(TEXT, b''.join(before))
        connection.send_frame(CONTINUATION, payload, fin=fin)
        connection.expect_failure(PROTOCOL_ERROR)


@rule('5.4', 'Fragments of two messages are not interleaved: another message within one ends the connection.', product(
    DATA, DATA, [('FIN', True), ('no FIN', False)]))
def interleaved(server, first, second, fin):
    check_failure(server, frame(first, b'begun', fin=False) + frame(second, b'new', fin=fin))


@rule('5.4', 'Another message within one does so also after a control frame, or after further fragments.', [
    ('a ping', frame(PING, b'p'), [(PONG, b'p')]), ('a fragment', frame(CONTINUATION, b'more', fin=False), [])])
def interleaved_later(server, between, answers):
    with open_websocket(server) as connection:
        connection.send(frame(TEXT, b'begun', fin=False) + between + frame(TEXT, b'new'))
        for opcode, payload in answers:
            connection.expect(opcode, payload)
        connection.expect_failure(PROTOCOL_ERROR)


@rule('5.4', 'Behind a fragmented message there may be anything again.')
def after_fragments(server, _):
    with open_websocket(server) as connection:
        for opcode in (TEXT, BINARY, TEXT):
            connection.send(b''.join(fragments(opcode, [b'a', b'b'])) + frame(BINARY, b'whole') + frame(PING, b'p'))
            connection.expect(opcode, b'ab')
            connection.expect(BINARY, b'whole')
            connection.expect(PONG, b'p')
        connection.close()


@rule('5.4', "A server's fragmented message has its opcode in the first frame and FIN in the last.", labelled(
    [1, 2, 3, 100]))
def server_fragments(server, count):
    with open_websocket(server, 'command') as connection:
        connection.command(f'fragments {count}')
        for i in range(1, count + 1):
            got = connection.read_frame()
            assert got.opcode == (BINARY if i == 1 else CONTINUATION), got
            assert got.fin == (i == count) and got.payload == bytes([i]), got
            if i < count:
                connection.expect(PING, b'between')
        connection.close()


@rule('10.4', 'The limit on the size of a message counts all its fragments, and is held at their headers.', product(
    DATA, [('in one frame', [1000], 1001), ('in two', [500, 500], 501), ('in many', [100] * 10, 101)]))
def limit(server, opcode, within, beyond):
    with open_websocket(server.small) as connection:
        connection.send(b''.join(fragments(opcode, [b'x' * size for size in within])))
        connection.expect(opcode, b'x' * 1000)
        # The same again, but the last one is longer, and only announced.
        *first, last = fragments(opcode, [b'x' * size for size in within])
        connection.send(b''.join(first) + frame(last[0] & 0xF, announced=beyond))
        connection.expect_failure(1009)


@rule('10.4', 'A message of thousands of tiny fragments is refused.', DATA)
def tiny_fragments(server, opcode):
    with open_websocket(server) as connection:
        connection.send(b''.join(fragments(opcode, [b'x'] * 1024)))
        connection.expect(opcode, b'x' * 1024)
        connection.send(b''.join(fragments(opcode, [b'x'] * 1025)))
        connection.expect_failure(1008)
