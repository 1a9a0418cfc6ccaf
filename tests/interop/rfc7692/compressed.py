# SPDX-License-Identifier: MIT
"""RFC 7692 6 and 7.2: compressed messages."""

from rfc6455.connection import (
    BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_body, fragments, frame, randomness)
from rfc7692.deflating import (
    ANY, Deflater, Inflater, expect_compressed, expect_message, open_compressed, send_compressed)
from rules import product, rule

KINDS = [('windows kept', 'remembering'), ('windows not kept', 'compressing')]
TEXT_DATA = b'All that is compressed is compressed again. ' * 50
HELLO = bytes.fromhex('f248cdc9c90700')  # 7.2.3.1


def open_either(server, kind):
    return open_compressed(getattr(server, kind), '@', ANY)


def inflater_of(kind):
    return Inflater(kind == 'remembering')


def check_echo(connection, kind, content, payload):
    send_compressed(connection, payload)
    expect_message(connection, TEXT, content, inflater_of(kind))
    connection.close()


@rule('6', 'Messages may be compressed or not, one after the other.',
    product(KINDS, [('text', TEXT), ('binary', BINARY)]))
def some_compressed(server, kind, opcode):
    deflater, inflater = Deflater(kind == 'remembering'), inflater_of(kind)
    with open_either(server, kind) as connection:
        for is_compressed in (True, False, False, True, True, False):
            if is_compressed:
                send_compressed(connection, deflater.compress(TEXT_DATA), opcode)
            else:
                connection.send_frame(opcode, TEXT_DATA)
            expect_compressed(connection, opcode, TEXT_DATA, inflater)
        connection.close()


@rule('6', 'Control frames are never compressed, and change nothing between compressed ones.', KINDS)
def control_frames(server, kind):
    with open_either(server, kind) as connection:
        _, *others = fragments(TEXT, [HELLO[:2], HELLO[2:3], b'', HELLO[3:]])
        connection.send(frame(TEXT, HELLO[:2], fin=False, rsv=4))
        for other in others:
            connection.send(frame(PING, b'a' * 125))
            connection.expect(PONG, b'a' * 125)
            connection.send(other)
        expect_message(connection, TEXT, b'Hello', inflater_of(kind))
        connection.close()


@rule('6.1', 'RSV1 stands in the first frame of a message, and nowhere else; the other reserved bits nowhere.',
    product(KINDS, [
    ('a ping', frame(PING, b'a', rsv=4)), ('a pong', frame(PONG, b'a', rsv=4)),
    ('a Close frame', frame(CLOSE, close_body(1000), rsv=4)),
    ('a continuation', frame(TEXT, HELLO, fin=False, rsv=4) + frame(CONTINUATION, b'', rsv=4)),
    ('a continuation only', frame(TEXT, b'a', fin=False) + frame(CONTINUATION, HELLO, rsv=4)),
    ('no message', frame(CONTINUATION, HELLO, rsv=4)),
    *[(f'bits {rsv}', frame(TEXT, HELLO, rsv=rsv)) for rsv in (1, 2, 3, 5, 6, 7)]]))
def misplaced_bit(server, kind, data):
    with open_either(server, kind) as connection:
        connection.send(data)
        connection.expect_failure(1002)


@rule('6.2', 'A compressed message may be in fragments, of any size, and empty.', product(
    KINDS, [(f'fragments of {size}', size) for size in (1, 2, 3, 7, 50)]))
def in_fragments(server, kind, size):
    payload = Deflater().compress(TEXT_DATA)
    parts = [b'', *[payload[i:i + size] for i in range(0, len(payload), size)], b'']
    with open_either(server, kind) as connection:
        _, *others = fragments(TEXT, parts)
        connection.send(frame(TEXT, parts[0], fin=False, rsv=4) + b''.join(others))
        expect_message(connection, TEXT, TEXT_DATA, inflater_of(kind))
        connection.close()


@rule('6.2', 'A compressed message may arrive in any pieces.', product(KINDS, [('1', 1), ('2', 2), ('5', 5)]))
def in_pieces(server, kind, piece):
    with open_either(server, kind) as connection:
        connection.send(frame(TEXT, Deflater().compress(TEXT_DATA), rsv=4), piece)
        expect_message(connection, TEXT, TEXT_DATA, inflater_of(kind))
        connection.close()


@rule('7.2.1', 'What the server compresses ends without the last four octets, and is understood by another zlib.',
    product(
    KINDS, [(f'{size} octets', size) for size in (1, 2, 100, 125, 126, 1000, 65535, 65536, 300000)]))
def compressed_by_server(server, kind, size):
    noise = randomness.randbytes(2000)
    content = (TEXT_DATA + noise) * (size // 2000 + 1)
    inflater = inflater_of(kind)
    with open_either(server, kind) as connection:
        for opcode in (BINARY, BINARY):
            connection.send_frame(opcode, content[:size])
            expect_message(connection, opcode, content[:size], inflater)
        connection.close()


@rule('7.2.1', 'What cannot become smaller comes back, too, as does nothing at all.', product(
    KINDS, [('noise', randomness.randbytes(5000)), ('one octet', b'\xff'), ('nothing', b'')]))
def incompressible(server, kind, content):
    inflater = inflater_of(kind)
    with open_either(server, kind) as connection:
        for _ in range(3):
            connection.send_frame(BINARY, content)
            expect_message(connection, BINARY, content, inflater)
        connection.close()


@rule('7.2.2', 'Every level of compression is understood, and every size.', product(
    [(f'level {level}', level) for level in range(10)], [('short', 10), ('200 KB', 200_000)]))
def levels(server, level, size):
    content = bytes(randomness.choices(range(32, 64), k=size))
    with open_compressed(server.compressing, '@', ANY) as connection:
        check_echo(connection, 'compressing', content, Deflater(level=level).compress(content))


@rule('7.2.2', 'What is no deflate data ends the connection.', product(KINDS, [
    ('a block of a reserved type', b'\x06'), ('noise', b'\xff' * 20), ('text', b'garbage'), ('cut off', HELLO[:4]),
    ('a stored block whose lengths differ', bytes.fromhex('000500faf048656c6c6f00')),
    ('a distance in front of everything', bytes.fromhex('f200110000')),
    ('cut off within a stored block', bytes.fromhex('000500faff4865'))]))
def malformed_data(server, kind, payload):
    with open_either(server, kind) as connection:
        send_compressed(connection, payload)
        connection.expect_failure(1007)


@rule('7.2.2', 'Text that is not UTF-8 once it is decompressed ends the connection; binary does not.', product(
    KINDS, [('an impossible octet', b'a\xffb'), ('cut off', b'a\xe4\xb8'), ('a surrogate', b'\xed\xa0\x80')]))
def not_utf8(server, kind, content):
    payload = Deflater().compress(content)
    with open_either(server, kind) as connection:
        send_compressed(connection, payload, BINARY)
        expect_message(connection, BINARY, content, inflater_of(kind))
        send_compressed(connection, payload)
        connection.expect_failure(1007)


@rule('7.2.3', 'The examples are understood.', product(KINDS, [
    (name, content, bytes.fromhex(payload)) for name, content, payload in [
        ('one block', b'Hello', 'f248cdc9c90700'), ('a block without compression', b'Hello',
        '000500faff48656c6c6f00'),
        ('a final block', b'Hello', 'f348cdc9c9070000'), ('two blocks', b'Hello', 'f24805000000ffffcac9c90700'),
        ('an empty message', b'', '00'), ('a final block, and others', b'HelloHello', 'f348cdc9c90700f248cdc9c90700'),
        ('an empty final block', b'', '030000'), ('empty blocks', b'Hello', '000000ffff000000fffff248cdc9c90700')]]))
def examples(server, kind, content, payload):
    with open_either(server, kind) as connection:
        check_echo(connection, kind, content, payload)


@rule('7.2.3.1', 'The example in two fragments is understood.', KINDS)
def example_in_fragments(server, kind):
    with open_either(server, kind) as connection:
        connection.send(frame(TEXT, HELLO[:3], fin=False, rsv=4) + frame(CONTINUATION, HELLO[3:]))
        expect_message(connection, TEXT, b'Hello', inflater_of(kind))
        connection.close()


@rule('7.2.3.2', 'The example of a window that is kept is understood, and what the server sends refers back likewise.')
def example_of_window(server, _):
    with open_either(server, 'remembering') as connection:
        inflater = Inflater(True)
        for payload in (HELLO, bytes.fromhex('f200110000')):
            send_compressed(connection, payload)
            answer = expect_compressed(connection, TEXT, b'Hello', inflater)
        assert len(answer) < len(HELLO), answer
        connection.close()


@rule('7.2.3.4', 'A window outlives a final block.')
def window_behind_final_block(server, _):
    with open_either(server, 'remembering') as connection:
        inflater = Inflater(True)
        for payload in (bytes.fromhex('f348cdc9c9070000'), bytes.fromhex('f200110000')):
            send_compressed(connection, payload)
            expect_message(connection, TEXT, b'Hello', inflater)
        connection.close()


@rule('7.2.3.6', 'An empty message is compressed or not, whole or in fragments.', product(
    KINDS, [('compressed', [frame(TEXT, b'\0', rsv=4)]), ('not', [frame(TEXT)]),
            ('in fragments', [frame(TEXT, b'', fin=False, rsv=4), frame(CONTINUATION, b'\0')]),
            ('in fragments, not', [frame(TEXT, b'', fin=False), frame(CONTINUATION)])]))
def empty_message(server, kind, frames):
    with open_either(server, kind) as connection:
        for _ in range(3):
            connection.send(b''.join(frames))
            expect_message(connection, TEXT, b'', inflater_of(kind))
        connection.close()


@rule('8', 'A small message that becomes larger than the limit is refused, and one that becomes nothing much.', [
    ('over max_message_size', lambda: Deflater(level=9).compress(bytes(17 * 2**20)), 1009),
    ('empty blocks', lambda: b'\0\0\0\xff\xff' * 30000 + b'\0', 1008)])
def bombs(server, payload, code):
    with open_compressed(server.compressing, '@', ANY) as connection:
        send_compressed(connection, payload(), BINARY)
        connection.expect_failure(code)
