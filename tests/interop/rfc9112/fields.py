# SPDX-License-Identifier: MIT
"""RFC 9112 5: the headers of a request."""

from rfc6455.connection import Connection
from rfc6455.opening import read_response
from rfc9112.exchange import NEXT, check_not_understood, get
from rules import labelled, product, rule

# Headers whose meaning nobody may come to by another way.
NAMES = [(name, name) for name in ('X', 'Host', 'Content-Length', 'Transfer-Encoding', 'Connection')]


def values_of(name):
    return {'Content-Length': '0', 'Transfer-Encoding': 'chunked'}.get(name, 'a')


@rule('5', 'A header is a name that is a token, a colon and a value.', labelled([
    'X', 'X a', ': a', ':', 'X Y: a', 'X(Y): a', 'X/Y: a', 'X"Y": a', 'X@Y: a', 'X\x00: a', 'X\x1b: a', 'X\xe4: a',
    '[X]: a']))
def malformed_name(server, line):
    check_not_understood(server, get(line))


@rule('5', 'A value has no control characters but tabs.', labelled([
    'X: \x00', 'X: a\x00b', 'X: a\x01b', 'X: a\x0bb', 'X: \x0cb', 'X: a\x1b[2J', 'X: a\x7f']))
def malformed_value(server, line):
    check_not_understood(server, get(line))


@rule('5.1', 'No white space stands between the name and the colon.', product(
    NAMES, [('a blank', ' '), ('a tab', '\t'), ('two blanks', '  '), ('a vertical tab', '\x0b')]))
def blank_before_colon(server, name, blank):
    check_not_understood(server, get(f'{name}{blank}: {values_of(name)}'))


@rule('5.1', 'The white space around a value is no part of it; what is within it stays.', [
    ('none', 'a', b'a'), ('one blank', ' a', b'a'), ('blanks and tabs', ' \t a \t ', b'a'),
    ('within', ' a \t b ', b'a \t b'),
    ('nothing else', ' \t ', b''), ('octets above 127', ' \xe4\xff ', b'\xe4\xff'), ('colons', ':a: b', b':a: b')])
def blanks_around_value(server, written, seen):
    with Connection(server.port) as connection:
        connection.send(get(f'X-Seen:{written}'))
        head = connection.read_until(b'\r\n\r\n')
        assert head.startswith(b'HTTP/1.1 200 ') and b'\r\nX-Seen: ' + seen + b'\r\n' in head, head


@rule('5.2', 'A line that is folded is refused.', product(
    NAMES, [('a blank', '{name}: {value}\r\n b'), ('a tab', '{name}: {value}\r\n\tb'),
    ('at the colon', '{name}:\r\n {value}'),
            ('a line of blanks', '{name}: {value}\r\n ')]))
def folded(server, name, form):
    check_not_understood(server, get(form.format(name=name, value=values_of(name))))


@rule('5', 'There are so many headers, and no more: 431.')
def many_headers(server, _):
    with Connection(server.port) as connection:
        connection.send(get(*['X: a'] * 99) + NEXT)
        assert [read_response(connection).status for _ in range(2)] == [200, 200]
    check_not_understood(server, get(*['X: a'] * 100), 431)
