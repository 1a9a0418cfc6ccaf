# SPDX-License-Identifier: MIT
"""RFC 7692 5 and 7.1: what is offered, and what the server agrees to."""

from rfc6455.connection import TEXT
from rfc6455.opening import check_refused, make_key
from rfc7692.deflating import ANY, Deflater, expect_message, Inflater, offering, open_compressed, send_compressed
from rules import labelled, rule

NOTHING_KEPT = '@; server_no_context_takeover; client_no_context_takeover'


def check_answer(server, offers, answer):
    """The server answers so, and messages are understood."""
    with open_compressed(server, offers, answer) as connection:
        if answer is None:
            connection.send_frame(TEXT, b'hello')
            connection.expect(TEXT, b'hello')
        else:
            send_compressed(connection, Deflater().compress(b'hello'))
            expect_message(connection, TEXT, b'hello', Inflater())
        connection.close()


@rule('5', 'A server that does not compress declines, and takes no compressed message.',
    labelled(['@', '@; client_max_window_bits']))
def not_turned_on(server, offers):
    with open_compressed(server, offers, None) as connection:
        send_compressed(connection, Deflater().compress(b'hello'))
        connection.expect_failure(1002)


@rule('5', 'Nothing is compressed for a client that did not offer it.')
def not_offered(server, _):
    with open_compressed(server.compressing, [], None) as connection:
        connection.send_frame(TEXT, b'hello' * 100)
        connection.expect(TEXT, b'hello' * 100)
        send_compressed(connection, Deflater().compress(b'hello'))
        connection.expect_failure(1002)


@rule('5.1', 'Of several offers, in one header or several, the first that can be accepted is.', [
    ('two', '@; server_max_window_bits=10, @', '@; server_max_window_bits=10'),
    ('the other way round', '@, @; server_max_window_bits=10', '@'),
    ('the second', '@; unknown, @; server_max_window_bits=10', '@; server_max_window_bits=10'),
    ('the third', '@; server_max_window_bits=16, @; server_max_window_bits=8, @; client_no_context_takeover',
    '@; client_no_context_takeover'),
    ('two headers', ['@; unknown', '@; server_no_context_takeover'], '@; server_no_context_takeover'),
    ('others in front', 'x, y; z="@", @', '@'), ('others behind', '@, x-webkit-deflate-frame', '@'),
    ('empty elements', ', ,@,,', '@')])
def several_offers(server, offers, answer):
    check_answer(server.remembering, offers, answer)


@rule('5.1', 'Where no offer can be accepted the websocket opens without.', labelled([
    'x', '@; unknown', '@; unknown, @; server_max_window_bits=7', 'permessage-bzip2', 'permessage-deflate2',
    'x-webkit-deflate-frame', 'Permessage-Deflate', 'x; @']))
def no_good_offer(server, offers):
    check_answer(server.compressing, offers, None)


@rule('5.1', 'A header that is no list of extensions is refused.', labelled([
    '@;', '@; =', '@; server_max_window_bits=', '@; server_max_window_bits=""', '@; server_max_window_bits="1',
    '@; a b', '@ a',
    '@; server_max_window_bits=10 11', '@; a="b c"']))
def malformed_offers(server, offers):
    check_refused(server.compressing, offering(offers, make_key()), 400)


@rule('7', 'An offer with a parameter that is not known is declined.', labelled([
    '@; unknown', '@; unknown=1', '@; server_no_context_takeover; unknown', '@; unknown; client_max_window_bits',
    '@; Server_no_context_takeover', '@; CLIENT_MAX_WINDOW_BITS', '@; server-no-context-takeover',
    '@; permessage-deflate']))
def unknown_parameter(server, offers):
    check_answer(server.compressing, offers, None)


@rule('7.1', 'An offer in which a parameter comes twice is declined.', labelled([
    '@; server_no_context_takeover; server_no_context_takeover',
    '@; client_no_context_takeover; client_no_context_takeover',
    '@; server_max_window_bits=10; server_max_window_bits=10',
    '@; server_max_window_bits=10; server_max_window_bits=11',
    '@; client_max_window_bits; client_max_window_bits', '@; client_max_window_bits; client_max_window_bits=10',
    '@; client_max_window_bits=10; server_max_window_bits=10; client_max_window_bits=10']))
def repeated_parameter(server, offers):
    check_answer(server.compressing, offers, None)


@rule('7.1', 'A value may stand in quotes, and white space around everything.', [
    (written, written, '@; server_max_window_bits=12') for written in [
        '@;server_max_window_bits=12', '@ ;\tserver_max_window_bits=12 ', '@; server_max_window_bits="12"',
        '@; server_max_window_bits="\\12"', '@; server_max_window_bits = 12']])
def written_forms(server, offers, answer):
    check_answer(server.remembering, offers, answer)


@rule('7.1', 'Parameters may come in any order.', labelled([
    '@; server_max_window_bits=10; client_max_window_bits=9; client_no_context_takeover; server_no_context_takeover',
    '@; client_no_context_takeover; server_no_context_takeover; client_max_window_bits=9; server_max_window_bits=10']))
def parameter_order(server, offers):
    check_answer(server.remembering, offers, NOTHING_KEPT + '; server_max_window_bits=10; client_max_window_bits=9')


@rule('7.1.1', 'A parameter about windows that are kept has no value.', [
    (f'{side} {value}', f'@; {side}_no_context_takeover={value}')
    for side in ('server', 'client') for value in ('1', '0', 'true', '"true"', '15')])
def value_of_flag(server, offers):
    check_answer(server.compressing, offers, None)


@rule('7.1.1.1', 'A client that asks for it gets no message that refers to another; the server may do so by itself.',
    [
    ('asked', 'remembering', '@; server_no_context_takeover', '@; server_no_context_takeover', False),
    ('not asked', 'remembering', '@', '@', True), ('by itself', 'compressing', '@', NOTHING_KEPT, False)])
def server_takeover(server, kind, offers, answer, takeover):
    text = bytes(range(32, 127)) * 3
    with open_compressed(getattr(server, kind), offers, answer) as connection:
        inflater = Inflater(takeover)
        sizes = []
        for _ in range(3):
            connection.send_frame(TEXT, text)
            got = connection.read_frame()
            assert inflater.decompress(got.payload) == text
            sizes.append(len(got.payload))
        assert max(sizes[1:]) < sizes[0] / 4 if takeover else len(set(sizes)) == 1, sizes
        connection.close()


@rule('7.1.1.2', 'A client whose window is kept may refer to former messages; one whose window is not, may not.', [
    ('kept', 'remembering', '@', '@', True), ('at its wish', 'remembering', '@; client_no_context_takeover',
    '@; client_no_context_takeover', False),
    ("at the server's wish", 'compressing', '@', NOTHING_KEPT, False)])
def client_takeover(server, kind, offers, answer, takeover):
    deflater = Deflater(True)
    text = bytes(range(32, 127)) * 3
    with open_compressed(getattr(server, kind), offers, answer) as connection:
        send_compressed(connection, deflater.compress(text))
        expect_message(connection, TEXT, text, inflater := Inflater(True))
        send_compressed(connection, deflater.compress(text))
        if takeover:
            expect_message(connection, TEXT, text, inflater)
            connection.close()
        else:
            connection.expect_failure(1007)


@rule('7.1.2.1', 'The server keeps to the window that the client asks for, or to a smaller one, and says to which.', [
    (f'{asked}, {kind}', kind, asked, agreed) for kind, most in [('remembering', 15), ('narrow', 10)]
    for asked in (None, 9, 10, 11, 12, 13, 14, 15) for agreed in [min(asked or 15, most)]])
def server_window(server, kind, asked, agreed):
    # The same again and again, at distances beyond the smaller windows.
    parts = [bytes([65 + i]) * 7 + bytes(range(97, 123)) * (i + 1) for i in range(26)]
    text = b''.join(parts) * 4
    offers = '@' if asked is None else f'@; server_max_window_bits={asked}'
    limits = '; client_no_context_takeover' if kind == 'narrow' else ''
    confirmed = '' if asked is None and agreed == 15 else f'; server_max_window_bits={agreed}'
    with open_compressed(getattr(server, kind), offers, f'@{limits}{confirmed}') as connection:
        inflater = Inflater(True, agreed)
        for _ in range(3):
            connection.send_frame(TEXT, text)
            expect_message(connection, TEXT, text, inflater)
        connection.close()


@rule('7.1.2.1', 'A window of the server that is not 9 to 15 is declined: 8, too, which zlib cannot do.', [
    (offer, offer) for offer in ['@; server_max_window_bits', *[f'@; server_max_window_bits={value}' for value in (
        '0', '1', '7', '8', '16', '32', '100', '010', '09', '-9', '+9', '9.0', '0x9', '1e1', 'a', '4294967305', '"7"',
        '"16"')]]])
def bad_server_window(server, offers):
    check_answer(server.compressing, offers, None)


@rule('7.1.2.2', 'The client is told its window only if it says that it can be, and none larger than it says.', [
    (f'{offer}, {kind}', kind, offer, answer) for kind, offer, answer in [
        ('remembering', '@; client_max_window_bits', '@'), ('remembering', '@; client_max_window_bits=15', '@'),
        ('remembering', '@; client_max_window_bits=10', '@; client_max_window_bits=10'),
        ('remembering', '@; client_max_window_bits=8', '@; client_max_window_bits=8'),
        ('remembering', '@; client_max_window_bits="9"', '@; client_max_window_bits=9'),
        ('narrow', '@; client_max_window_bits', '@; server_max_window_bits=10; client_max_window_bits=11'),
        ('narrow', '@; client_max_window_bits=15', '@; server_max_window_bits=10; client_max_window_bits=11'),
        ('narrow', '@; client_max_window_bits=9', '@; server_max_window_bits=10; client_max_window_bits=9'),
        ('narrow', '@', '@; client_no_context_takeover; server_max_window_bits=10')]])
def client_window(server, kind, offers, answer):
    check_answer(getattr(server, kind), offers, answer)


@rule('7.1.2.2', 'Any window that was agreed upon is enough to understand the client.',
    labelled([9, 10, 11, 12, 13, 14, 15]))
def client_within_window(server, bits):
    deflater = Deflater(True, bits)
    text = bytes(range(97, 123)) * 2000
    with open_compressed(server.remembering, f'@; client_max_window_bits={bits}', ANY) as connection:
        inflater = Inflater(True)
        for size in (100, 5000, 40000):
            send_compressed(connection, deflater.compress(text[:size]))
            expect_message(connection, TEXT, text[:size], inflater)
        connection.close()


@rule('7.1.2.2', 'A window of the client that is not 8 to 15 is declined.', [
    (offer, offer) for offer in [f'@; client_max_window_bits={value}' for value in (
        '0', '1', '7', '16', '100', '08', '010', '-8', '+8', '8.0', '0x8', 'x', '4294967304', '"7"', '"16"',
        '"\\x"')]])
def bad_client_window(server, offers):
    check_answer(server.compressing, offers, None)
