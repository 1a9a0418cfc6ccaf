# SPDX-License-Identifier: MIT
"""RFC 9112 4, 6 and 11.1: what the server answers, and what a script cannot make it answer."""

from rfc6455.connection import Connection
from rfc6455.opening import accept, check_refused, check_switching, make_key, read_response, request
from rfc9112.exchange import NEXT, NEXT_SEEN, expect_seen, lines
from rules import labelled, rule

# Tables of Lua, and what none of them may become: a header, an answer, or the end of one.
INJECTIONS = labelled([
    r'{ ["X-A"] = "a\r\nX-Evil: b" }', r'{ ["X-A"] = "a\nX-Evil: b" }', r'{ ["X-A"] = "a\rX-Evil: b" }',
    r'{ ["X-A"] = "a\r\n\r\nHTTP/1.1 200 OK" }', r'{ ["X-A"] = { "a", "b\r\nX-Evil: c" } }', r'{ ["X-A"] = "a\0b" }',
    r'{ ["X-A"] = "a\27b" }', r'{ ["X-A"] = "a\127" }', r'{ ["X-A\r\nX-Evil"] = "b" }',
    r'{ ["X-A: b\r\nX-Evil"] = "c" }',
    r'{ ["X-A "] = "b" }', r'{ [""] = "b" }', r'{ ["X-\228"] = "b" }', r'{ ["Set-Cookie"] = "a=b\r\nX-Evil: c" }',
    r'{ ["Set-Cookie"] = { "a=b", "c=d\nX-Evil: e" } }', r'{ Location = "/\r\nX-Evil: a" }',
    r'{ ["Content-Type"] = "text/plain\r\nX-Evil: a" }', r'{ ["Content-Length"] = "0" }',
    r'{ ["content-length"] = 5 }',
    r'{ ["Transfer-Encoding"] = "chunked" }', r'{ Connection = "keep-alive" }', r'{ Upgrade = "h2c" }',
    r'{ ["Sec-WebSocket-Accept"] = "a" }', r'{ ["sec-websocket-protocol"] = "a" }', r'{ ["Keep-Alive"] = "a" }'])


def ask_to_respond(connection, expression, method='POST'):
    content = expression.encode()
    connection.send(lines(
        f'{method} /respond HTTP/1.1', 'Host: a', f'Content-Length: {len(content)}', content=content))
    return read_response(connection, method)


def check_told(response):
    """The script was told by an error, and nothing of what it wanted was sent."""
    assert response.status == 409 and 'x-evil' not in response.headers and 'x-a' not in response.headers, response


@rule('4', 'A status from 200 to 599 is sent, with its reason or without one.', [
    (str(status), status) for status in (200, 201, 226, 299, 302, 404, 418, 429, 500, 503, 599)])
def statuses(server, status):
    with Connection(server.port) as connection:
        connection.send(b'')
        content = f'{status}, nil, "x"'.encode()
        connection.send(lines('POST /respond HTTP/1.1', 'Host: a', f'Content-Length: {len(content)}',
            content=content))
        head = connection.read_until(b'\r\n\r\n')
        assert head.startswith(b'HTTP/1.1 %d ' % status), head  # with its blank also where there is no reason
        assert connection.read(1) == b'x'


@rule('4', 'Other statuses cannot be sent.', labelled(['0', '99', '100', '101', '199', '600', '1000', '-200', '2^31',
    '"200 OK\\r\\nX-Evil: a"', 'nil', '{}']))
def malformed_status(server, status):
    with Connection(server.port) as connection:
        check_told(ask_to_respond(connection, f'{status}, nil, "x"'))
        connection.send(NEXT)
        expect_seen(connection, NEXT_SEEN)


@rule('6.3', 'Answers to HEAD, and those of 204 and 304, have no content; what follows is the next answer.', [
    ('HEAD', 'HEAD', '200, nil, "content"', 200), ('HEAD, refused', 'HEAD', '404, nil, "content"', 404),
    ('204', 'POST', '204', 204), ('304', 'POST', '304', 304), ('205', 'POST', '205', 205),
    ('empty', 'POST', '200, nil, ""', 200),
    ('no body', 'POST', '200', 200)])
def without_content(server, method, expression, status):
    with Connection(server.port) as connection:
        response = ask_to_respond(connection, expression, method)
        assert response.status == status and response.body == b'', response
        connection.send(NEXT)
        expect_seen(connection, NEXT_SEEN)


@rule('6.3', 'Content behind 204, 205 and 304 cannot be sent.', labelled([204, 205, 304]))
def content_of_none(server, status):
    with Connection(server.port) as connection:
        check_told(ask_to_respond(connection, f'{status}, nil, "HTTP/1.1 200 OK"'))


@rule('11.1', 'A script cannot add headers, or an answer, by what it puts into a header of an answer.', INJECTIONS)
def injected_header(server, headers):
    with Connection(server.port) as connection:
        check_told(ask_to_respond(connection, f'200, {headers}, "x"'))
        connection.send(NEXT)
        expect_seen(connection, NEXT_SEEN)


@rule('11.1', 'The same holds for headers of the answer to a handshake that it grants.', INJECTIONS)
def injected_into_handshake(server, headers):
    check_told(check_refused(server.guarded, request(further=(f'X-Accept: {headers}',)), 409))


@rule('11.1', 'The same holds for those of one that it refuses.', INJECTIONS)
def injected_into_refusal(server, headers):
    check_told(check_refused(server.guarded, request(further=(f'X-Reject: 403, {headers}',)), 409))


@rule('11.1', 'A script may add headers that are ones, repeated ones too.')
def added_headers(server, _):
    key = make_key()
    with Connection(server.guarded.port) as connection:
        connection.send(request(key=key, further=('X-Accept: { ["Set-Cookie"] = { "a=b", "c=d; HttpOnly" }, X = 1 }',
            )))
        response = read_response(connection)
        check_switching(response, key)
        assert response.headers['set-cookie'] == ['a=b', 'c=d; HttpOnly'] and response.headers['x'] == ['1'], response
        assert response.headers['sec-websocket-accept'] == [accept(key)]
        connection.close()
