# SPDX-License-Identifier: MIT
"""Opening handshakes, right ones and wrong ones."""

import base64
import collections
import hashlib
import re

from rfc6455.connection import Connection, randomness

GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'  # RFC 6455 1.3

Response = collections.namedtuple('Response', 'status headers body')


def make_key():
    return base64.b64encode(randomness.randbytes(16)).decode()


def accept(key):
    """RFC 6455 4.2.2."""
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def request(changes=(), line='GET / HTTP/1.1', key=None, further=()):
    """The request of 4.1 with some headers changed: to another value, to several, or (None) left out."""
    headers = {
        'Host': '127.0.0.1', 'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec-WebSocket-Key': key or make_key(),
        'Sec-WebSocket-Version': '13', **dict(changes)}
    lines = [line]
    for name, values in headers.items():
        for value in [values] if isinstance(values, str) else values or ():
            lines.append(f'{name}: {value}')
    return '\r\n'.join([*lines, *further, '', '']).encode()


def read_response(connection, method='GET'):
    """RFC 9112 4, 6.2 and 6.3: what a server sends here has a Content-Length, unless its status has no content."""
    head = connection.read_until(b'\r\n\r\n').decode('ascii')
    status_line, *lines = head[:-4].split('\r\n')
    found = re.fullmatch(r'HTTP/1\.1 (\d{3}) [\x20-\x7e]+', status_line)
    assert found, status_line
    headers = collections.defaultdict(list)
    for line in lines:
        name, value = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e]*?)[ \t]*", line).groups()
        headers[name.lower()].append(value)
    status = int(found[1])
    assert 'transfer-encoding' not in headers, headers
    if status < 200 or status in (204, 304):
        assert 'content-length' not in headers, headers
        return Response(status, headers, b'')
    (size,) = headers['content-length']
    return Response(status, headers, b'' if method == 'HEAD' else connection.read(int(size)))


def check_switching(response, key, protocol=None, extension=None):
    """4.2.2 and 11.3: what has to stand in the answer to a handshake, once, and nothing more than that."""
    headers = response.headers
    assert response.status == 101, response
    assert [value.lower() for value in headers['upgrade']] == ['websocket'], response
    assert [value.lower() for value in headers['connection']] == ['upgrade'], response
    assert headers['sec-websocket-accept'] == [accept(key)], response
    assert headers.get('sec-websocket-protocol') == (protocol and [protocol]), response
    assert headers.get('sec-websocket-extensions') == (extension and [extension]), response
    assert 'sec-websocket-version' not in headers, response


def open_websocket(server, protocol=None):
    """A connection behind its handshake."""
    connection = Connection(server.port)
    key = make_key()
    connection.send(request({'Sec-WebSocket-Protocol': protocol}, key=key))
    check_switching(read_response(connection), key, protocol)
    return connection


def check_accepted(server, data, key, protocol=None):
    """The server takes the handshake, and echoes."""
    with Connection(server.port) as connection:
        connection.send(data)
        check_switching(read_response(connection), key, protocol)
        connection.send_frame(1, b'opened')
        connection.expect(1, b'opened')
        connection.close()


def check_refused(server, data, status):
    """The server says what is wrong, with a body, and ends the connection. Returns the response."""
    with Connection(server.port) as connection:
        connection.send(data)
        response = read_response(connection)
        assert response.status == status, response
        assert response.body.strip(), 'no body says why'
        assert response.headers['connection'][0] == 'close', response
        connection.expect_end()
        return response
