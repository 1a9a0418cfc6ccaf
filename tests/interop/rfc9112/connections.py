# SPDX-License-Identifier: MIT
"""RFC 9112 9: when a connection goes on, and how it ends."""

from rfc6455.connection import Connection
from rfc6455.opening import read_response
from rfc9112.exchange import NEXT, NEXT_SEEN, check_understood, expect_seen, get, lines, post
from rules import labelled, product, rule


@rule('9.3', 'HTTP/1.1 goes on unless "close" is in Connection, HTTP/1.0 does not unless "keep-alive" is.', [
    ('1.1', 'HTTP/1.1', (), True), ('1.1, keep-alive', 'HTTP/1.1', ('Connection: keep-alive',), True),
    ('1.1, another option', 'HTTP/1.1', ('Connection: closed, x-close',), True),
    ('1.1, close', 'HTTP/1.1', ('Connection: close',), False),
    ('1.1, CLOSE', 'HTTP/1.1', ('Connection: CLOSE',), False),
    ('1.1, close in a list', 'HTTP/1.1', ('Connection: a ,,\tclose, keep-alive',), False),
    ('1.1, close in another line', 'HTTP/1.1', ('Connection: keep-alive', 'Connection: close'), False),
    ('1.0', 'HTTP/1.0', (), False), ('1.0, keep-alive', 'HTTP/1.0', ('Connection: Keep-Alive',), True),
    ('1.0, both', 'HTTP/1.0', ('Connection: keep-alive, close',), False)])
def persistence(server, version, headers, goes_on):
    with Connection(server.port) as connection:
        connection.send(lines(f'GET /echo {version}', 'Host: a', *headers))
        response = read_response(connection)
        options = response.headers.get('connection')
        if goes_on:
            assert options == (['keep-alive'] if version == 'HTTP/1.0' else None), response
            connection.send(NEXT)
            expect_seen(connection, NEXT_SEEN)
        else:
            assert options == ['close'], response
            connection.expect_end()


@rule('9.3.2', 'Requests may come before the answers to others: the answers have their order.',
    labelled([None, 1, 50]))
def pipelining(server, piece):
    requests = [get(target=f'/echo?{i}') + post('Content-Length: 1', content=b'%d' % i) for i in range(10)]
    seen = [answer for i in range(10) for answer in (b'GET /echo?%d a ' % i, b'POST /echo a %d' % i)]
    check_understood(server, b''.join(requests), *seen, piece=piece)


@rule('9.3.2', 'Requests in front of a malformed one are answered, those behind it are not.')
def pipelining_malformed(server, _):
    with Connection(server.port) as connection:
        connection.send(get() + get() + get('X') + NEXT)
        expect_seen(connection, b'GET /echo a ', b'GET /echo a ')
        assert read_response(connection).status == 400
        connection.expect_end()


@rule('9.6', 'Behind "close" nothing is read any more; the server ends first, and resets nobody who sends on.',
    product(
    [('asked for', get('Connection: close'), 200), ('malformed', get('X'), 400),
     ('HTTP/1.0', lines('GET /echo HTTP/1.0'), 200)],
    [('requests', NEXT * 3), ('nonsense', bytes(range(256))), ('1 MiB', bytes(2**20))]))
def nothing_after_close(server, data, status, further):
    with Connection(server.port) as connection:
        connection.send(data + further)
        response = read_response(connection)
        assert response.status == status and response.headers['connection'] == ['close'], response
        connection.send(further)
        connection.expect_end()


@rule('9.6', 'A client that has ended its side is answered, and then the connection ends.')
def half_closed(server, _):
    with Connection(server.port) as connection:
        connection.send(get() + NEXT)
        connection.end()
        expect_seen(connection, b'GET /echo a ', NEXT_SEEN)
        connection.expect_end()
