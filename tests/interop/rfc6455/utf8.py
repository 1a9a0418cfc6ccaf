# SPDX-License-Identifier: MIT
"""RFC 6455 8.1: text is UTF-8.

Python's decoder has another opinion on which octet of a surrogate is the first wrong one, so that is told by the
grammar of RFC 3629 4 here. Python has to agree on whole texts.
"""

import random

from rfc6455.connection import BINARY, CONTINUATION, PING, PONG, TEXT, fragments, frame, split
from rfc6455.framing import check_failure
from rfc6455.opening import open_websocket
from rules import labelled, product, rule

INVALID_PAYLOAD = 1007
RANDOM_TEXTS = 200

CODE_POINTS = [
    0, 1, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD000, 0xD7FF, 0xE000, 0xFDD0, 0xFEFF, 0xFFFD, 0xFFFE,
    0xFFFF, 0x10000, 0x1FFFE, 0x1FFFF, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFD, 0x10FFFE, 0x10FFFF]

VALID = [
    ('ASCII', b'hello'), ('Greek', 'κόσμε'.encode()), ('all lengths', 'a¢€𤭢'.encode()),
    ('a combination', 'e\u0301'.encode()), ('a byte order mark', b'\xef\xbb\xbfx'),
    ('emoji', '👩‍👩‍👧‍👦🏳️‍🌈'.encode()), ('NUL', b'a\0b'),
    ('a line of each', ''.join(chr(point) for point in CODE_POINTS).encode())]

# Sequences that no UTF-8 text has in it. RFC 3629 3 and 4.
IMPOSSIBLE = {
    'continuation octets': ['80', 'bf', '80bf', '80bf80', ''.join(f'{octet:02x}' for octet in range(0x80, 0xC0))],
    'octets that never appear': [
        'c0', 'c1', 'f5', 'f6', 'f7', 'f8', 'f9', 'fa', 'fb', 'fc', 'fd', 'fe', 'ff', 'fefeffff'],
    'overlong forms of ASCII': ['c0af', 'e080af', 'f08080af', 'f8808080af', 'fc80808080af'],
    'overlong forms of NUL': ['c080', 'e08080', 'f0808080', 'f880808080', 'fc8080808080'],
    'the longest overlong forms': ['c1bf', 'e09fbf', 'f08fbfbf', 'f887bfbfbf', 'fc83bfbfbfbf'],
    'surrogates': ['eda080', 'edadbf', 'edae80', 'edafbf', 'edb080', 'edbe80', 'edbfbf'],
    'pairs of surrogates': ['eda080edb080', 'eda080edbfbf', 'edadbfedb080', 'edafbfedbfbf'],
    'beyond U+10FFFF': ['f4908080', 'f4bfbfbf', 'f5808080', 'f7bfbfbf', 'f888808080', 'fbbfbfbfbf', 'fdbfbfbfbfbf'],
    'a continuation octet too few': [
        'c320', 'e28220', 'e22082', 'f09f9820', 'f09f2098', 'f0209f98', 'c3c3', 'e282e2', 'f09f98f0'],
    'a continuation octet too many': ['c3a480', 'e282ac80', 'f09f988080'],
    'lead octets with a blank behind each': [
        ''.join(f'{octet:02x}20' for octet in octets)
        for octets in (range(0xC0, 0xE0), range(0xE0, 0xF0), range(0xF0, 0xF8), range(0xF8, 0xFE))]}
INVALID = [(f'{name}: {text[:20]}', bytes.fromhex(text)) for name, texts in IMPOSSIBLE.items() for text in texts]

# Beginnings of code points.
CUT_OFF = [bytes.fromhex(text) for text in (
    'c2', 'df', 'e0', 'e0a0', 'e1', 'e180', 'ed', 'ed9f', 'ef', 'efbf', 'f0', 'f090', 'f09080', 'f1', 'f180', 'f18080',
    'f4', 'f48f', 'f48fbf')]


# RFC 3629 4: the first octet, the second one, and how many more follow.
GRAMMAR = [
    (range(0xC2, 0xE0), range(0x80, 0xC0), 0), (range(0xE0, 0xE1), range(0xA0, 0xC0), 1),
    (range(0xE1, 0xED), range(0x80, 0xC0), 1), (range(0xED, 0xEE), range(0x80, 0xA0), 1),
    (range(0xEE, 0xF0), range(0x80, 0xC0), 1), (range(0xF0, 0xF1), range(0x90, 0xC0), 2),
    (range(0xF1, 0xF4), range(0x80, 0xC0), 2), (range(0xF4, 0xF5), range(0x80, 0x90), 2)]


def first_impossible(data):
    """Where the first octet is that no continuation makes valid; the size when there is none."""
    expected = []
    for i, octet in enumerate(data):
        if expected:
            if octet not in expected.pop(0):
                return i
        elif octet >= 0x80:
            found = [(second, further) for first, second, further in GRAMMAR if octet in first]
            if not found:
                return i
            expected = [found[0][0]] + [range(0x80, 0xC0)] * found[0][1]
    return len(data)


def is_valid(text):
    try:
        text.decode()
        return True
    except UnicodeDecodeError:
        return False


def completed(beginning):
    """The beginning of a text, with what makes it valid."""
    endings = ['', '80', 'a080', '8080', '908080', '808080']
    return next(text for text in [beginning + bytes.fromhex(ending) for ending in endings] if is_valid(text))


def ways(text):
    """How a text can be sent."""
    return [
        ('whole', frame(TEXT, text), None), ('in pieces of 1', frame(TEXT, text), 1),
        ('in fragments of 1', b''.join(fragments(TEXT, split(text, 1))), None),
        ('in fragments of 1 and pieces of 1', b''.join(fragments(TEXT, split(text, 1))), 1),
        ('between empty fragments', b''.join(fragments(TEXT, [b'', text[:1], b'', text[1:], b''])), None)]


@rule('8.1', 'Text that is UTF-8 comes back, however it is sent.', [*VALID, *[
    (f'U+{point:04X}', chr(point).encode()) for point in CODE_POINTS]])
def valid(server, text):
    with open_websocket(server) as connection:
        for _, data, piece in ways(text):
            connection.send(data, piece)
            connection.expect(TEXT, text)
        connection.close()


@rule('8.1', 'All code points there are come back in a text.', [('whole', None), ('in fragments of 4093', 4093)])
def all_code_points(server, size):
    text = ''.join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)])).encode()
    with open_websocket(server) as connection:
        connection.send(b''.join(fragments(TEXT, split(text, size or len(text)))))
        connection.expect(TEXT, text)
        connection.close()


@rule('8.1', 'A code point may be split between fragments, and a control frame may be where it is split.', VALID[1:])
def split_code_point(server, text):
    with open_websocket(server) as connection:
        for i in range(1, len(text)):
            first, second = fragments(TEXT, [text[:i], text[i:]])
            connection.send(first + frame(PING, b'between'))
            connection.expect(PONG, b'between')
            connection.send(second)
            connection.expect(TEXT, text)
        connection.close()


@rule('8.1', 'Text that is not UTF-8 ends the connection, however it is sent.', product(
    INVALID, [('alone', b'', b''), ('within text', 'gut ä'.encode(), b' and more')]))
def invalid(server, sequence, before, behind):
    text = before + sequence + behind
    assert first_impossible(text) < len(text) and not is_valid(text)
    for label, data, piece in ways(text):
        with open_websocket(server) as connection:
            connection.send(data, piece)
            try:
                connection.expect_failure(INVALID_PAYLOAD)
            except AssertionError as error:
                raise AssertionError(f'{label}: {error}') from error


@rule('8.1', 'Text ends the connection at its first impossible octet: the rest of the frame need not come.', INVALID)
def invalid_within_frame(server, sequence):
    text = b'good ' + sequence
    end = first_impossible(text) + 1
    check_failure(server, frame(TEXT, text[:end], announced=1000), INVALID_PAYLOAD)


@rule('8.1', 'Text does not end the connection before that octet: it may still become UTF-8.', INVALID)
def invalid_across_fragments(server, sequence):
    text = b'good ' + sequence
    end = first_impossible(text)
    with open_websocket(server) as connection:
        connection.send(frame(TEXT, text[:end], fin=False) + frame(PING, b'so far'))
        connection.expect(PONG, b'so far')
        connection.send_frame(CONTINUATION, text[end:end + 1], fin=False)
        connection.expect_failure(INVALID_PAYLOAD)


@rule('8.1', 'A message that ends within a code point ends the connection.', labelled(CUT_OFF))
def cut_off(server, octets):
    assert first_impossible(octets) == len(octets)
    for text in (octets, 'gut ä'.encode() + octets):
        for _, data, piece in ways(text):
            with open_websocket(server) as connection:
                connection.send(data, piece)
                connection.expect_failure(INVALID_PAYLOAD)


@rule('8.1', 'The second octet decides what may follow: all pairs of octets.', [
    (f'{lead:02x}', lead) for lead in [0x00, 0x7F, *range(0x80, 0x100)]])
def second_octet(server, lead):
    with open_websocket(server) as connection:
        for second in range(0x100):
            pair = bytes([lead, second])
            if first_impossible(pair) == 2:
                connection.send_frame(TEXT, completed(pair))
                connection.expect(TEXT, completed(pair))
            elif second % 16 in (0, 15):
                check_failure(server, frame(TEXT, pair + b'\x80\x80'), INVALID_PAYLOAD)
        connection.close()


@rule('8.1', 'Texts made at random, in fragments and pieces made at random, are judged as another decoder does.', labelled(
    range(10)))
def random_texts(server, seed):
    chance = random.Random(seed)
    for _ in range(RANDOM_TEXTS):
        text = bytearray(''.join(chr(chance.choice(CODE_POINTS)) for _ in range(chance.randrange(1, 40))).encode())
        if chance.random() < 0.5:
            text[chance.randrange(len(text))] = chance.randrange(256)
        text = bytes(text)
        parts = split(text, chance.randrange(1, len(text) + 1))
        with open_websocket(server) as connection:
            connection.send(b''.join(fragments(TEXT, parts)), chance.choice([None, 1, 5]))
            if is_valid(text):
                connection.expect(TEXT, text)
                connection.close()
            else:
                connection.expect_failure(INVALID_PAYLOAD)


@rule('5.6', 'Binary need not be UTF-8.', INVALID)
def binary_is_not_checked(server, sequence):
    with open_websocket(server) as connection:
        connection.send(frame(BINARY, sequence) + b''.join(fragments(BINARY, split(sequence, 1))))
        connection.expect(BINARY, sequence)
        connection.expect(BINARY, sequence)
        connection.close()


@rule('8.1', 'Each message is a text of its own: what one ends with does not complete another.')
def separate_texts(server, _):
    for opcode in (BINARY, TEXT):
        with open_websocket(server) as connection:
            if opcode == BINARY:
                connection.send_frame(BINARY, b'\xc3')
                connection.expect(BINARY, b'\xc3')
            else:
                connection.send_frame(TEXT, b'ends well')
                connection.expect(TEXT, b'ends well')
            connection.send_frame(TEXT, b'\xa4')
            connection.expect_failure(INVALID_PAYLOAD)
