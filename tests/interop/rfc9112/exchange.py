# SPDX-License-Identifier: MIT
"""Requests as they stand on the wire, and what has to become of them. conformance_server.lua tells at /echo what it has
understood."""

from rfc6455.connection import Connection
from rfc6455.opening import check_refused, read_response

NEXT = b'GET /echo?next HTTP/1.1\r\nHost: next\r\n\r\n'
NEXT_SEEN = b'GET /echo?next next '


def lines(*texts, content=b''):
    """A request line, or what takes its place, and header lines."""
    return '\r\n'.join([*texts, '', '']).encode('latin-1') + content


def get(*further, target='/echo'):
    return lines(f'GET {target} HTTP/1.1', 'Host: a', *further)


def post(*further, content=b''):
    return lines('POST /echo HTTP/1.1', 'Host: a', *further, content=content)


def chunked(content, *further):
    """A request with this content, as it stands there."""
    return post('Transfer-Encoding: chunked', *further, content=content)


def expect_seen(connection, *contents):
    """Answers with 200 that repeat what was understood, one after the other."""
    for content in contents:
        response = read_response(connection)
        assert (response.status, response.body) == (200, content), response


def check_understood(server, data, *seen, piece=None):
    """The server has understood these requests, and that another one begins behind them."""
    with Connection(server.port) as connection:
        connection.send(data + NEXT, piece)
        expect_seen(connection, *seen, NEXT_SEEN)


def check_not_understood(server, data, status=400):
    """One answer, which says why, and then the end: nothing behind it was taken for a request."""
    check_refused(server, data + NEXT, status)
