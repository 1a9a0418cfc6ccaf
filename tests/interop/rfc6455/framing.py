# SPDX-License-Identifier: MIT
"""RFC 6455 5.1 to 5.3, 5.5, 5.7 and 5.8: single frames."""

from rfc6455.connection import (
    BINARY, CLOSE, CONTINUATION, NAMES, PING, PONG, TEXT, close_body, encode_length, frame, mask, randomness)
from rfc6455.opening import open_websocket
from rules import labelled, product, rule

PROTOCOL_ERROR = 1002

SIZES = [0, 1, 125, 126, 127, 128, 65535, 65536, 65537]
DATA = [('text', TEXT), ('binary', BINARY)]
OPCODES = [(name, opcode) for opcode, name in NAMES.items()]
RESERVED_OPCODES = [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF]
LENGTH_FORMS = [('7 bits', 5, 7), ('16 bits', 200, 16), ('64 bits', 70000, 64)]


def payload_of(opcode, size):
    """Whatever the opcode may carry, never twice the same."""
    if opcode == CLOSE:
        return close_body(1000, b'x' * (size - 2)) if size >= 2 else b''
    data = randomness.randbytes(size)
    return data if opcode == BINARY else bytes(32 + byte % 95 for byte in data)


def check_failure(server, data, code=PROTOCOL_ERROR, protocol=None):
    with open_websocket(server, protocol) as connection:
        connection.send(data)
        connection.expect_failure(code)


# --- 5.1 ----------------------------------------------------------------------------------------------------------


@rule('5.1', 'A frame that is not masked ends the connection.', product(
    OPCODES, [('empty', 0), ('5 bytes', 5), ('125 bytes', 125)]))
def unmasked(server, opcode, size):
    check_failure(server, frame(opcode, payload_of(opcode, size), masked=False))


@rule('5.1', 'A frame that is not masked does so at its header, whatever length it announces.', LENGTH_FORMS)
def unmasked_length(server, size, form):
    check_failure(server, frame(BINARY, masked=False, announced=size, form=form))


@rule('5.1', 'A frame that is not masked does so also behind others that are, and within a message.', [
    ('behind a text', frame(TEXT, b'first'), [(TEXT, b'first')], frame(TEXT, b'x', masked=False)),
    ('behind a ping', frame(PING, b'first'), [(PONG, b'first')], frame(PING, b'x', masked=False)),
    ('a continuation', frame(TEXT, b'a', fin=False), [], frame(CONTINUATION, b'b', masked=False)),
    ('a ping within a message', frame(TEXT, b'a', fin=False), [], frame(PING, b'b', masked=False)),
    ('a Close frame', b'', [], frame(CLOSE, close_body(1000), masked=False))])
def unmasked_later(server, before, answers, unmasked):
    with open_websocket(server) as connection:
        connection.send(before + unmasked)
        for opcode, payload in answers:
            connection.expect(opcode, payload)
        connection.expect_failure(PROTOCOL_ERROR)


@rule('5.1', 'The server masks none of its frames, whatever they are.')
def server_frames(server, _):
    # Each read_frame() checks it.
    with open_websocket(server, 'command') as connection:
        connection.command('ping hello')
        connection.expect(PING, b'hello')
        connection.command('pong hello')
        connection.expect(PONG, b'hello')
        connection.command('close 1000 bye')
        assert connection.expect_close(1000) == 'bye'
        connection.send_frame(CLOSE, close_body(1000))
        connection.expect_end()


# --- 5.2 ----------------------------------------------------------------------------------------------------------


@rule('5.2', 'A reserved bit that no extension uses ends the connection.', product(
    OPCODES, [(f'RSV {rsv:03b}', rsv) for rsv in range(1, 8)]))
def reserved_bits(server, opcode, rsv):
    before = frame(TEXT, b'begun', fin=False) if opcode == CONTINUATION else b''
    check_failure(server, before + frame(opcode, payload_of(opcode, 5), rsv=rsv))


@rule('5.2', 'Messages in front of a frame with reserved bits are answered, what is behind it is not read.', labelled(
    [1, 2, 4]))
def reserved_bits_later(server, rsv):
    with open_websocket(server) as connection:
        connection.send(frame(TEXT, b'first') + frame(TEXT, b'x', rsv=rsv) + frame(PING))
        connection.expect(TEXT, b'first')
        connection.expect_failure(PROTOCOL_ERROR)


@rule('5.2', 'A reserved opcode ends the connection.', product(
    labelled(RESERVED_OPCODES), [('empty', 0, True), ('with payload', 5, True), ('a fragment', 5, False)]))
def reserved_opcode(server, opcode, size, fin):
    check_failure(server, frame(opcode, b'x' * size, fin=fin))


@rule('5.2', 'A reserved opcode does so also within a fragmented message.', labelled(RESERVED_OPCODES))
def reserved_opcode_within_message(server, opcode):
    check_failure(server, frame(TEXT, b'begun', fin=False) + frame(opcode, b'x'))


@rule('5.2', 'What makes a header invalid is seen at its first byte.', [
    ('a reserved bit', b'\xc1'), ('a reserved opcode', b'\x83'), ('a continuation of nothing', b'\x80'),
    ('a fragmented ping', b'\x09'), ('an unmasked frame', b'\x81\x05'), ('a long ping', b'\x89\xfe')])
def first_byte(server, data):
    check_failure(server, data)


@rule('5.2', 'Lengths of 7, 7+16 and 7+64 bits are read, and written in the shortest form.', product(
    DATA, labelled(SIZES)))
def length(server, opcode, size):
    payload = payload_of(opcode, size)
    with open_websocket(server) as connection:
        connection.send_frame(opcode, payload)
        got = connection.read_frame()
        short, extended = encode_length(size)
        assert got.header == bytes([0x80 | opcode, short]) + extended, got.header
        assert got.payload == payload
        connection.close()


@rule('5.2', 'Payloads of all lengths come back, however their bytes arrive.', product(
    DATA, labelled(SIZES), [(f'pieces of {piece}', piece) for piece in (1, 7, 100, 1000, 4096, 20000)]))
def split_frame(server, opcode, size, piece):
    payload = payload_of(opcode, size)
    with open_websocket(server) as connection:
        connection.send_frame(opcode, payload, piece)
        connection.expect(opcode, payload)
        connection.close()


@rule('5.2', 'A length that is not in its shortest form ends the connection.', product(
    DATA, [('0 in 16 bits', 0, 16), ('1 in 16 bits', 1, 16), ('125 in 16 bits', 125, 16), ('0 in 64 bits', 0, 64),
           ('125 in 64 bits', 125, 64), ('126 in 64 bits', 126, 64), ('65535 in 64 bits', 65535, 64)]))
def long_form(server, opcode, size, form):
    check_failure(server, frame(opcode, payload_of(opcode, size), form=form))


@rule('5.2', 'A length of 64 bits has its topmost bit clear, else the connection ends.', product(
    DATA, [('2^63', 2**63), ('2^64 - 1', 2**64 - 1), ('2^63 + 5', 2**63 + 5)]))
def topmost_bit(server, opcode, size):
    check_failure(server, frame(opcode, b'hello', announced=size, form=64))


@rule('10.4', 'A message over the limit is refused at its header, whatever it announces.', product(
    DATA, [('one byte more', 2**24 + 1), ('4 GiB', 2**32), ('2^63 - 1', 2**63 - 1)]))
def too_large(server, opcode, size):
    check_failure(server, frame(opcode, announced=size), 1009)


# --- 5.3 ----------------------------------------------------------------------------------------------------------


@rule('5.3', 'Any masking key is taken.', product(
    [('zeros', bytes(4)), ('ones', b'\xff' * 4), ('1', b'\0\0\0\1'), ('different bytes', b'\x37\xfa\x21\x3d')],
    labelled([0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1000, 65537])))
def masking_key(server, key, size):
    payload = payload_of(BINARY, size)
    with open_websocket(server) as connection:
        connection.send_frame(BINARY, payload, key=key)
        connection.expect(BINARY, payload)
        connection.close()


@rule('5.3', 'Octet i of the payload is masked with octet i modulo 4 of the key, wherever it is split.', labelled(
    range(1, 20)))
def masking_split(server, at):
    payload = payload_of(BINARY, 20)
    with open_websocket(server) as connection:
        data = frame(BINARY, payload)
        # Between the two halves the server is known to have read the first.
        connection.send(frame(PING, b'between') + data[:6 + at])
        connection.expect(PONG, b'between')
        connection.send(data[6 + at:])
        connection.expect(BINARY, payload)
        connection.close()


@rule('5.3', 'A frame need not have another key than the one before it, and each may have its own.')
def masking_keys(server, _):
    with open_websocket(server) as connection:
        keys = [b'same'] * 5 + [randomness.randbytes(4) for _ in range(50)]
        connection.send(b''.join(frame(BINARY, bytes([i]) * i, key=key) for i, key in enumerate(keys)))
        for i in range(len(keys)):
            connection.expect(BINARY, bytes([i]) * i)
        connection.close()


# --- 5.5 ----------------------------------------------------------------------------------------------------------

CONTROLS = [('close', CLOSE), ('ping', PING), ('pong', PONG)]


@rule('5.5', 'A control frame with more than 125 bytes ends the connection.', product(
    CONTROLS, [('126', 126), ('127', 127), ('65535', 65535), ('65536', 65536)]))
def long_control(server, opcode, size):
    check_failure(server, frame(opcode, payload_of(opcode, size)))


@rule('5.5', 'A control frame whose length is not in seven bits ends the connection.', product(
    CONTROLS, [('16 bits', 16), ('64 bits', 64)]))
def control_long_form(server, opcode, form):
    check_failure(server, frame(opcode, payload_of(opcode, 5), form=form))


@rule('5.5', 'A control frame that is fragmented ends the connection.', product(
    CONTROLS, [('empty', 0), ('with payload', 5)],
    [('alone', b''), ('within a message', frame(TEXT, b'a', fin=False))]))
def fragmented_control(server, opcode, size, before):
    check_failure(server, before + frame(opcode, payload_of(opcode, size), fin=False))


@rule('5.5.2', 'A Ping is answered by a Pong with the same payload, of any size.', labelled(range(126)))
def ping(server, size):
    payload = payload_of(BINARY, size)
    with open_websocket(server) as connection:
        connection.send_frame(PING, payload)
        connection.expect(PONG, payload)
        connection.close()


@rule('5.5.2', 'A Ping is answered however its bytes arrive.', product(
    labelled([0, 1, 125]), [(f'pieces of {piece}', piece) for piece in (1, 2, 3, 50)]))
def split_ping(server, size, piece):
    payload = payload_of(BINARY, size)
    with open_websocket(server) as connection:
        connection.send_frame(PING, payload, piece)
        connection.expect(PONG, payload)
        connection.close()


@rule('5.5.3', 'Of many Pings each is answered in turn.', [
    ('10', 10, None), ('10 in single bytes', 10, 1), ('1000', 1000, None)])
def many_pings(server, count, piece):
    with open_websocket(server) as connection:
        connection.send(b''.join(frame(PING, f'{i}'.encode()) for i in range(count)), piece)
        for i in range(count):
            connection.expect(PONG, f'{i}'.encode())
        connection.close()


@rule('5.5.3', 'A Pong that was not asked for is not answered.', [
    ('empty', [b'']), ('with payload', [b'unasked']), ('several', [b'a', bytes(125), b''])])
def unsolicited_pong(server, payloads):
    with open_websocket(server) as connection:
        connection.send(b''.join(frame(PONG, payload) for payload in payloads) + frame(PING, b'asked'))
        connection.expect(PONG, b'asked')
        connection.close()


@rule('5.5.2', "A server's own Ping may be answered, or not, or late.", labelled([True, False]))
def server_ping(server, answers):
    with open_websocket(server, 'command') as connection:
        connection.command('ping hello')
        connection.expect(PING, b'hello')
        if answers:
            connection.send_frame(PONG, b'hello')
        connection.command('ping')
        connection.expect(PING, b'')
        connection.close()


# --- 5.7: the examples, as they stand there -----------------------------------------------------------------------


@rule('5.7', 'The examples are understood, and answered by their unmasked forms.', [
    ('a masked text', bytes.fromhex('818537fa213d7f9f4d5158'), bytes.fromhex('810548656c6c6f')),
    ('a masked ping', bytes.fromhex('898537fa213d7f9f4d5158'), bytes.fromhex('8a0548656c6c6f')),
    ('a fragmented text', frame(TEXT, b'Hel', fin=False) + frame(CONTINUATION, b'lo'), bytes.fromhex('810548656c6c6f')),
    ('256 bytes', bytes.fromhex('82fe010037fa213d') + mask(bytes(256), b'\x37\xfa\x21\x3d'),
     bytes.fromhex('827e0100') + bytes(256)),
    ('64 KiB', bytes.fromhex('82ff000000000001000037fa213d') + mask(bytes(65536), b'\x37\xfa\x21\x3d'),
     bytes.fromhex('827f0000000000010000') + bytes(65536))])
def example(server, data, answer):
    with open_websocket(server) as connection:
        connection.send(data)
        assert connection.read(len(answer)) == answer
        connection.close()
