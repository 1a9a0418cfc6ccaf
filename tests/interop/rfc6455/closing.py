# SPDX-License-Identifier: MIT
"""RFC 6455 5.5.1 and 7: closing."""

import socket
import struct

from rfc6455.connection import (
    BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Connection, close_body, fragments, frame, randomness)
from rfc6455.framing import PROTOCOL_ERROR, check_failure
from rfc6455.opening import check_switching, make_key, open_websocket, read_response, request
from rules import labelled, product, rule

INVALID_PAYLOAD = 1007

# 7.4.1, and what was registered later; 7.4.2.
CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999]
RESERVED_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 32768, 65535]
LONGEST_REASON = 123
REASONS = [
    ('no reason', b''), ('a word', b'bye'), ('UTF-8', 'Auf Wiederhören, 再见 \U0001f44b'.encode()), ('NUL', b'a\0b'),
    ('the longest', b'x' * LONGEST_REASON), ('the longest in UTF-8', ('ä' * 61 + 'x').encode())]
INVALID_REASONS = [
    ('an impossible octet', b'\xff'), ('within text', b'good \xc3\x28 bad'), ('overlong', b'\xc0\xaf'),
    ('a surrogate', b'\xed\xa0\x80'), ('beyond U+10FFFF', b'\xf4\x90\x80\x80'), ('cut off', 'ä'.encode()[:1]),
    ('cut off at the longest', b'x' * 122 + b'\xe4'), ('a continuation', b'\x80')]


# --- 5.5.1: the client closes -------------------------------------------------------------------------------------


@rule('5.5.1', 'A Close frame is answered by a Close frame with its code.', product(labelled(CODES), REASONS))
def client_closes(server, code, reason):
    with open_websocket(server) as connection:
        connection.close(code, reason)


@rule('5.5.1', 'A Close frame without a body is answered by one without.')
def client_closes_without_code(server, _):
    with open_websocket(server) as connection:
        connection.close(None)


@rule('5.5.1', 'A Close frame is answered however its bytes arrive.', labelled([1, 2, 3, 7]))
def split_close(server, piece):
    with open_websocket(server) as connection:
        connection.send_frame(CLOSE, close_body(3000, b'a reason'), piece)
        connection.expect_close(3000)
        connection.expect_end()


@rule('5.5.1', 'The body of a Close frame has at least the two octets of a code, else the connection ends.', labelled(
    [b'\x00', b'\x03', b'\xff']))
def short_body(server, body):
    check_failure(server, frame(CLOSE, body))


@rule('5.5.1', 'The reason in a Close frame is UTF-8, else the connection ends.', INVALID_REASONS)
def invalid_reason(server, reason):
    check_failure(server, frame(CLOSE, close_body(1000, reason)), INVALID_PAYLOAD)


@rule('5.5.1', 'What was asked before the Close frame is answered before it is.', [
    ('a message', [frame(TEXT, b'last')], [(TEXT, b'last')]),
    ('a ping', [frame(PING, b'last')], [(PONG, b'last')]),
    ('many messages', [frame(BINARY, b'%d' % i) for i in range(500)], [(BINARY, b'%d' % i) for i in range(500)]),
    ('a large message', [frame(BINARY, bytes(2**20))], [(BINARY, bytes(2**20))]),
    ('fragments', fragments(TEXT, [b'a', b'b']), [(TEXT, b'ab')])])
def answers_before_close(server, frames, answers):
    with open_websocket(server) as connection:
        connection.send(b''.join(frames) + frame(CLOSE, close_body(1000)))
        for opcode, payload in answers:
            connection.expect(opcode, payload)
        connection.expect_close(1000)
        connection.expect_end()


@rule('5.5.1', 'A Close frame may come within a fragmented message, which is then never whole.', [
    ('behind the first fragment', frame(TEXT, b'a', fin=False)),
    ('behind several', frame(TEXT, b'a', fin=False) + frame(CONTINUATION, b'b', fin=False)),
    ('in the midst of a code point', frame(TEXT, b'\xc3', fin=False))])
def close_within_message(server, before):
    with open_websocket(server) as connection:
        connection.send(before)
        connection.close()


@rule('5.5.1', 'What follows a Close frame is not read.', [
    ('a text', frame(TEXT, b'late')), ('a ping', frame(PING, b'late')),
    ('a Close frame', frame(CLOSE, close_body(1001))),
    ('an invalid frame', b'\xff\xff\xff'), ('half a frame', frame(TEXT, b'late')[:5])])
def after_close(server, behind):
    with open_websocket(server) as connection:
        connection.send(frame(CLOSE, close_body(1000)) + behind)
        connection.expect_close(1000)
        connection.expect_end()


# --- 5.5.1 and 7.1: the server closes -----------------------------------------------------------------------------


@rule('7.1.2', 'The server may close at any time, with any code that may be sent, and a reason.', product(
    labelled(CODES), [('no reason', ''), ('a reason', 'Auf Wiederhören')]))
def server_closes(server, code, reason):
    with open_websocket(server, 'command') as connection:
        connection.command(f'close {code} {reason}')
        assert connection.expect_close(code) == reason
        connection.send_frame(CLOSE, close_body(code))
        connection.expect_end()


@rule('7.1.2', 'The server may close without a code.')
def server_closes_without_code(server, _):
    with open_websocket(server, 'command') as connection:
        connection.command('close')
        connection.expect_close(None)
        connection.send_frame(CLOSE)
        connection.expect_end()


@rule('5.5.1', "Nothing follows the server's Close frame; the client may answer late, and with another code.", [
    ('another code', frame(CLOSE, close_body(4000, b'other'))), ('no code', frame(CLOSE)),
    ('messages before', frame(TEXT, b'close 1001') + frame(BINARY, bytes(100000)) + frame(CLOSE, close_body(1000))),
    ('fragments before', b''.join(fragments(TEXT, [b'a', b'b'])) + frame(CLOSE, close_body(1000)))])
def answer_to_close(server, answer):
    with open_websocket(server, 'command') as connection:
        connection.command('farewell 1001')
        connection.expect(TEXT, b'farewell')
        connection.expect_close(1001)
        connection.send(answer)
        connection.expect_end()


@rule('7.1.2', 'When both close at the same time each sends one Close frame.')
def both_close(server, _):
    with open_websocket(server, 'command') as connection:
        connection.send(frame(TEXT, b'close 1001') + frame(CLOSE, close_body(1000)))
        connection.expect_close(1001)
        connection.expect_end()


# --- 7.1 ----------------------------------------------------------------------------------------------------------


@rule('7.1.1', 'The server ends the TCP connection first, without a reset, when both Close frames were sent.')
def server_ends_first(server, _):
    # Each expect_end() checks it; a reset raises ConnectionResetError.
    with open_websocket(server) as connection:
        connection.close()
        connection.send(b'x')
        connection.expect_end()


@rule('7.1.1', 'Trailing bytes are discarded, and do not spoil a clean end.', [
    ('behind a Close frame', frame(CLOSE, close_body(1000)), 1000),
    ('behind an invalid frame', frame(TEXT, b'x', masked=False), PROTOCOL_ERROR),
    ('behind invalid UTF-8', frame(TEXT, b'\xff'), INVALID_PAYLOAD)])
def trailing_bytes(server, data, code):
    with open_websocket(server) as connection:
        connection.send(data + bytes(2000))
        connection.expect_close(code)
        connection.expect_end()


@rule('7.1.1', 'A client in the midst of sending is not reset when the server fails the connection, but may go on.', [
    ('an invalid frame', frame(TEXT, b'x', masked=False), PROTOCOL_ERROR),
    ('a message over the limit', frame(BINARY, announced=2**30), 1009)])
def failed_while_sending(server, data, code):
    with open_websocket(server) as connection:
        connection.send(data)
        for _ in range(50):
            connection.send(bytes(100000))
        connection.expect_close(code)
        for _ in range(50):
            connection.send(bytes(100000))
        connection.expect_end()


@rule('7.1.1', 'A client that does not answer a Close frame is not waited for without end.')
def unanswered_close(server, _):
    with open_websocket(server.impatient, 'command') as connection:
        connection.command('close 1000')
        connection.expect_close(1000)
        connection.expect_end()


@rule('7.1.5', "The application is told the client's code and reason; 1005 stands for no code.", [
    (str(code), code, reason) for code, reason in
    [(None, b''), *[(code, b'') for code in CODES], (1000, b'bye'), (4999, 'wörld'.encode()), (3000, b'x' * 123)]])
def reported_code(server, code, reason):
    name = '%06x' % randomness.getrandbits(24)
    with open_websocket(server, 'observer') as observer, open_websocket(server, 'named') as connection:
        connection.send_frame(TEXT, name.encode())
        connection.expect(TEXT, name.encode())
        connection.close(code, reason)
        observer.expect(TEXT, f'{name} {code or 1005} '.encode() + reason)
        observer.close()


def lose(connection, how):
    if how == 'reset':
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    if how == 'half':
        connection.socket.shutdown(socket.SHUT_WR)
    else:
        connection.socket.close()


@rule('7.1.5', 'The application is told 1006 when the connection was lost without a Close frame.', product(
    [('ended', 'end'), ('half closed', 'half'), ('reset', 'reset')],
    [('between messages', b''), ('within a header', frame(TEXT, b'x' * 200)[:3]),
     ('within a message', frame(TEXT, b'x' * 200)[:100]), ('between fragments', frame(TEXT, b'x', fin=False)),
     ('within a Close frame', frame(CLOSE, close_body(1000))[:7])]))
def lost(server, how, data):
    name = '%06x' % randomness.getrandbits(24)
    with open_websocket(server, 'observer') as observer, open_websocket(server, 'named') as connection:
        connection.send_frame(TEXT, name.encode())
        connection.expect(TEXT, name.encode())
        connection.send(data)
        lose(connection, how)
        observer.expect(TEXT, f'{name} 1006 '.encode())
        if how == 'half':
            connection.expect_end()
        observer.close()


@rule('7.1.5', 'The application is told what the server failed the connection for.', [
    ('1002', frame(TEXT, masked=False), 1002), ('1007', frame(TEXT, b'\xff'), 1007),
    ('1009', frame(TEXT, announced=2**40), 1009)])
def reported_failure(server, data, code):
    name = '%06x' % randomness.getrandbits(24)
    with open_websocket(server, 'observer') as observer, open_websocket(server, 'named') as connection:
        connection.send_frame(TEXT, name.encode())
        connection.expect(TEXT, name.encode())
        connection.send(data)
        connection.expect_failure(code)
        report = observer.read_frame().payload
        assert report.startswith(f'{name} {code} '.encode()), report
        observer.close()


@rule('7.1.7', 'Once the server fails a connection it answers nothing any more, nor what it had begun to receive.', [
    ('a fragmented message', frame(TEXT, b'begun', fin=False) + b'\xff\xff', 1002),
    ('a valid frame in front', frame(PONG) + b'\x8f\x80', 1002)])
def failed(server, data, code):
    check_failure(server, data, code)


@rule('7.1.7', 'A handshake in the same bytes is answered first.')
def failed_at_once(server, _):
    key = make_key()
    with Connection(server.port) as connection:
        connection.send(request(key=key) + frame(TEXT, b'x', masked=False))
        check_switching(read_response(connection), key)
        connection.expect_failure(PROTOCOL_ERROR)


# --- 7.4 ----------------------------------------------------------------------------------------------------------


@rule('7.4', 'A Close frame with a code that may not be sent ends the connection.', product(
    labelled(RESERVED_CODES), [('no reason', b''), ('a reason', b'bye')]))
def reserved_code(server, code, reason):
    check_failure(server, frame(CLOSE, close_body(code, reason)))


@rule('7.4', 'The server itself does not send a code that may not be sent.', labelled(
    [code for code in RESERVED_CODES if code]))
def reserved_code_of_server(server, code):
    with open_websocket(server, 'command') as connection:
        connection.command(f'close {code}')
        got = connection.read_frame()
        assert got.opcode == TEXT and b'close code' in got.payload, got
        connection.close()


@rule('5.5.1', 'The server itself sends no reason that is too long or not UTF-8.', [
    ('too long', b'x' * (LONGEST_REASON + 1)), ('not UTF-8', b'\xff'), ('cut off', b'\xc3')])
def invalid_reason_of_server(server, reason):
    with open_websocket(server, 'command') as connection:
        connection.send_frame(BINARY, b'close 1000 ' + reason)
        got = connection.read_frame()
        assert got.opcode == TEXT and b'reason' in got.payload, got
        connection.close()
