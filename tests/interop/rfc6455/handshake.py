# SPDX-License-Identifier: MIT
"""RFC 6455 4, 9.1, 10 and 11.3: the opening handshake."""

import base64

from rfc6455.connection import BINARY, CLOSE, PING, PONG, TEXT, Connection, close_body, frame
from rfc6455.opening import (
    accept, check_accepted, check_refused, check_switching, make_key, open_websocket, read_response, request)
from rules import labelled, product, rule

SAMPLE_KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
LARGE_HEADER = 'X-Filler: ' + 'x' * 1000


def encoded(size):
    return base64.b64encode(bytes(range(size))).decode()


# --- 4.2.1: what the server reads ---------------------------------------------------------------------------------


@rule('4.2.1', 'The handshake is an HTTP/1.1 GET request; a websocket is opened by no other.', [
    ('POST', 'POST / HTTP/1.1', 405), ('HEAD', 'HEAD / HTTP/1.1', 405), ('get', 'get / HTTP/1.1', 405),
    ('OPTIONS', 'OPTIONS * HTTP/1.1', 405), ('HTTP/1.0', 'GET / HTTP/1.0', 400),
    ('HTTP/2.0', 'GET / HTTP/2.0', 505), ('HTTP/0.9', 'GET /', 400), ('no target', 'GET  HTTP/1.1', 400)])
def request_line(server, line, status):
    data = request(line=line)
    if line.startswith('HEAD'):
        with Connection(server.port) as connection:
            connection.send(data)
            assert connection.read_until(b'\r\n\r\n').startswith(b'HTTP/1.1 405 ')
            connection.expect_end()
        return
    response = check_refused(server, data, status)
    assert status != 405 or response.headers['allow'] == ['GET'], response


@rule('4.2.1', 'The request target is a path with an optional query, or an absolute URI: http, https, ws or wss.', labelled([
    '/', '/chat', '/a/b/c?d=e&f=%20', '/?', '//', '/' + 'x' * 1000, '/%E4%B8%96', '/;a=b,c~!$&()*+@:',
    'http://127.0.0.1/chat', 'https://127.0.0.1/chat?a=b', 'ws://127.0.0.1/chat', 'wss://127.0.0.1?a=b']))
def request_target(server, target):
    key = make_key()
    check_accepted(server, request(line=f'GET {target} HTTP/1.1', key=key), key)


@rule('4.2.1', 'A target that is neither, or has a fragment, is refused.', labelled([
    'chat', '?a', '*', '/#', '/chat#a', 'http://127.0.0.1/#a', 'ftp://127.0.0.1/chat', 'http:///chat']))
def malformed_request_target(server, target):
    check_refused(server, request(line=f'GET {target} HTTP/1.1'), 400)


@rule('4.2.1', 'A Host header is there, and only one.', [
    ('none', None), ('two', ['127.0.0.1', '127.0.0.1']), ('two different', ['a', 'b']), ('malformed', 'a b'),
    ('a list', 'a, b')])
def host(server, value):
    check_refused(server, request({'Host': value}), 400)


@rule('4.2.1', 'Every form of host is taken.', labelled(
    ['example.org', 'example.org:8080', '[::1]', '[::1]:80', '127.0.0.1:1', 'a-b_c.example']))
def host_forms(server, value):
    key = make_key()
    check_accepted(server, request({'Host': value}, key=key), key)


@rule('4.2.1', 'The Upgrade header has the value "websocket", compared without case.', labelled(
    ['websocket', 'WebSocket', 'WEBSOCKET', 'wEbSoCkEt', 'h2c, websocket', 'websocket, h2c', '  websocket\t']))
def upgrade(server, value):
    key = make_key()
    check_accepted(server, request({'Upgrade': value}, key=key), key)


@rule('4.2.1', 'Without "websocket" in Upgrade it is another request, and never opens a websocket.', [
    ('none', None), ('h2c', 'h2c'), ('websockets', 'websockets'), ('quoted', '"websocket"'), ('empty', ''),
    ('with blanks', 'web socket')])
def no_upgrade(server, value):
    with Connection(server.port) as connection:
        connection.send(request({'Upgrade': value}))
        assert read_response(connection).status == 404


@rule('4.2.1', 'The Connection header lists "Upgrade", compared without case.', labelled(
    ['Upgrade', 'upgrade', 'UPGRADE', 'keep-alive, Upgrade', 'Upgrade, keep-alive', 'keep-alive,,upgrade ,x',
     ['keep-alive', 'Upgrade']]))
def connection_header(server, value):
    key = make_key()
    check_accepted(server, request({'Connection': value}, key=key), key)


@rule('4.2.1', 'A request whose Connection header does not list "Upgrade" is refused.', [
    ('none', None), ('keep-alive', 'keep-alive'), ('close', 'close'), ('upgrades', 'upgrades'),
    ('with blanks', 'up grade'), ('quoted', '"Upgrade"')])
def no_connection_upgrade(server, value):
    check_refused(server, request({'Connection': value}), 400)


@rule('4.2.1', 'The key is base64 which decodes to 16 bytes; a request without one, or with another, is refused.', [
    ('none', None), ('empty', ''), ('0 bytes', encoded(0)), ('1 byte', encoded(1)), ('15 bytes', encoded(15)),
    ('17 bytes', encoded(17)), ('18 bytes', encoded(18)), ('24 bytes', encoded(24)),
    ('not base64', '!' * 22 + '=='), ('base64url', '-_' * 11 + '=='), ('one padding sign', SAMPLE_KEY[:-1]),
    ('no padding', SAMPLE_KEY[:-2]), ('padding in front', '==' + SAMPLE_KEY[:-2]),
    ('three padding signs', 'A' * 21 + '==='),
    ('bits behind the 16 bytes', 'A' * 21 + 'B=='), ('a blank within', SAMPLE_KEY[:10] + ' ' + SAMPLE_KEY[11:]),
    ('two in one', f'{SAMPLE_KEY}, {SAMPLE_KEY}'), ('in quotes', f'"{SAMPLE_KEY}"')])
def key(server, value):
    check_refused(server, request({'Sec-WebSocket-Key': value}), 400)


@rule('11.3.1', 'The key does not come more than once.', [
    ('the same', [SAMPLE_KEY, SAMPLE_KEY]), ('different ones', [SAMPLE_KEY, encoded(16)])])
def repeated_key(server, values):
    check_refused(server, request({'Sec-WebSocket-Key': values}), 400)


@rule('4.2.1', 'Every key of 16 bytes is taken.', [
    ('zeros', bytes(16)), ('ones', b'\xff' * 16), ('all base64 digits in turn', bytes(range(16))),
    ('"+" and "/"', b'\xfb\xef\xbe' * 5 + b'\xff')])
def key_values(server, value):
    key = base64.b64encode(value).decode()
    check_accepted(server, request(key=key), key)


@rule('4.4', 'Another version than 13 is refused with 426, and the answer lists 13.', labelled(
    ['0', '7', '8', '12', '14', '25', '130', '255', '256', '013', '13.0', '+13', 'thirteen', '', '8, 13', '13, 13']))
def version(server, value):
    response = check_refused(server, request({'Sec-WebSocket-Version': value}), 426)
    assert response.headers['sec-websocket-version'] == ['13'], response


@rule('4.2.1', 'A request without a version is refused.')
def no_version(server, _):
    check_refused(server, request({'Sec-WebSocket-Version': None}), 400)


@rule('11.3.5', 'The version does not come more than once.', [('the same', ['13', '13']), ('others', ['13', '8'])])
def repeated_version(server, values):
    check_refused(server, request({'Sec-WebSocket-Version': values}), 400)


@rule('4.4', 'A client that was told the version may try again.')
def second_try(server, _):
    check_refused(server, request({'Sec-WebSocket-Version': '25'}), 426)
    open_websocket(server).close()


@rule('4.2.1', 'Origin is optional; a server that does not check it takes any.', [
    ('none', None), ('null', 'null'), ('https', 'https://example.org'), ('with a port', 'http://example.org:8080')])
def origin(server, value):
    key = make_key()
    check_accepted(server, request({'Origin': value}, key=key), key)


@rule('4.2.1', 'Other headers, such as cookies, change nothing.', [
    ('cookies', ('Cookie: a=b; c=d', 'Cookie: e=f')), ('unknown ones', ('X-A: 1', 'X-B:', 'X-C:\t2 \t')),
    ('Sec- ones', ('Sec-Fetch-Mode: websocket', 'Sec-WebSocket-Accept: x')), ('octets above 127', ('X-A: \xe4',)),
    ('50 of them', tuple(f'X-{i}: {i}' for i in range(50))), ('a Content-Length of 0', ('Content-Length: 0',))])
def other_headers(server, lines):
    key = make_key()
    check_accepted(server, request(key=key, further=lines), key)


@rule('4.2.1', 'The order of the headers and the case of their names are not important.', [
    ('reversed', lambda lines: lines[::-1]), ('lower case', lambda lines: [line.lower() for line in lines]),
    ('upper case', lambda lines: [line.upper() for line in lines])])
def header_order(server, change):
    # A key that neither changes.
    key = 'A' * 22 + '=='
    first, *lines = request(key=key).decode()[:-4].split('\r\n')
    changed = []
    for line in change(lines):
        name = line.split(':')[0]
        value = next(original for original in lines if original.split(':')[0].lower() == name.lower()).split(':',
            1)[1]
        changed.append(f'{name}:{value}')
    check_accepted(server, '\r\n'.join([first, *changed, '', '']).encode(), key)


@rule('4.2.1', 'Whatever violates the grammar of a request is refused.', [
    ('a blank before the colon', ('X-A : 1',)), ('a folded line', ('X-A: 1', ' 2')), ('no colon', ('X-A',)),
    ('no name', (': 1',)), ('a blank in a name', ('X A: 1',)), ('NUL in a value', ('X-A: \0',)),
    ('CR in a value', ('X-A: a\rb',)), ('content', ('Content-Length: 1',)),
    ('chunks', ('Transfer-Encoding: chunked',))])
def malformed_request(server, lines):
    check_refused(server, request(further=lines), 400)


@rule('4.2.1', 'Lines end with CR LF.')
def line_ends(server, _):
    check_refused(server, request().replace(b'\r\n', b'\n'), 400)


@rule('10.7', 'What is no handshake at all is refused at its first bytes.', [
    ('TLS', bytes.fromhex('16030100f8010000f4030300')), ('a frame', frame(TEXT, b'hello')), ('NUL', bytes(4))])
def no_http(server, data):
    check_refused(server, data, 400)


@rule('10.4', 'The size of a request is limited.', [
    ('a long target', 'GET /' + 'x' * 9000 + ' HTTP/1.1', (), 414),
    ('a long header', 'GET / HTTP/1.1', (LARGE_HEADER * 9,), 431),
    ('many headers', 'GET / HTTP/1.1', (LARGE_HEADER,) * 9, 431)])
def large_request(server, line, further, status):
    check_refused(server, request(line=line, further=further), status)


@rule('4.2.1', 'A request may arrive in any pieces.', labelled([1, 2, 3, 7, 50]))
def split_request(server, piece):
    key = make_key()
    with Connection(server.port) as connection:
        connection.send(request(key=key), piece)
        check_switching(read_response(connection), key)
        connection.close()


@rule('4.2.1', 'The handshake need not be the first request of the connection, nor wait for the answers before it.', [
    ('after an answer', True), ('pipelined', False)])
def later_request(server, waits):
    key = make_key()
    with Connection(server.port) as connection:
        connection.send(b'GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n')
        if waits:
            assert read_response(connection).status == 404
        connection.send(request(key=key))
        if not waits:
            assert read_response(connection).status == 404
        check_switching(read_response(connection), key)
        connection.close()


# --- 4.2.2: what it answers ---------------------------------------------------------------------------------------


@rule('4.2.2', 'Sec-WebSocket-Accept is the base64 of the SHA-1 of the key and the GUID.', labelled(
    [SAMPLE_KEY, 'x3JJHMbDL1EzLkh9GBhXDw==']))
def accept_value(server, key):
    known = {SAMPLE_KEY: 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'x3JJHMbDL1EzLkh9GBhXDw==': 'HSmrc0sMlYUkAGmm5OPpG2HaGWk='}
    assert accept(key) == known[key]
    check_accepted(server, request(key=key), key)


@rule('4.2.2', 'Frames may follow the request at once, in the same segment or in pieces.', product(
    [('a text', [frame(TEXT, b'hello')], [(TEXT, b'hello')]),
     ('a ping', [frame(PING, b'early')], [(PONG, b'early')]),
     ('100 messages', [frame(BINARY, bytes([i])) for i in range(100)], [(BINARY, bytes([i])) for i in range(100)])],
    [('one write', None), ('pieces of 3', 3)]))
def early_frames(server, frames, answers, piece):
    key = make_key()
    with Connection(server.port) as connection:
        connection.send(request(key=key) + b''.join(frames), piece)
        check_switching(read_response(connection), key)
        for opcode, payload in answers:
            connection.expect(opcode, payload)
        connection.close()


@rule('4.2.2', 'A Close frame may follow the request at once.')
def early_close(server, _):
    key = make_key()
    with Connection(server.port) as connection:
        connection.send(request(key=key) + frame(CLOSE, close_body(1001)))
        check_switching(read_response(connection), key)
        connection.expect_close(1001)
        connection.expect_end()


# --- Subprotocols -------------------------------------------------------------------------------------------------


@rule('4.2.2', 'The subprotocol is the first that the client offers and the server has; none if it offers none.', [
    ('none', None, None), ('an empty list', ' , ', None), ('the only one', 'echo', 'echo'), ('the second', 'unknown, echo', 'echo'),
    ('the first of two', 'echo, named', 'echo'), ('as the client prefers', 'named, echo', 'named'),
    ('empty elements', ', ,echo,, named,', 'echo'), ('no blanks', 'unknown,echo', 'echo'),
    ('tabs', 'unknown\t,\techo', 'echo')])
def subprotocol(server, offers, chosen):
    key = make_key()
    with Connection(server.port) as connection:
        connection.send(request({'Sec-WebSocket-Protocol': offers}, key=key))
        check_switching(read_response(connection), key, chosen)
        connection.close()


@rule('11.3.4', 'The subprotocols may come in several headers, which are one list; the answer has one.', [
    ('the second', ['unknown', 'echo'], 'echo'), ('the first of two', ['named', 'echo'], 'named'),
    ('lists', ['a, b', 'c, named, d', 'echo'], 'named')])
def several_protocol_headers(server, offers, chosen):
    key = make_key()
    with Connection(server.port) as connection:
        connection.send(request({'Sec-WebSocket-Protocol': offers}, key=key))
        check_switching(read_response(connection), key, chosen)
        connection.close()


@rule('4.1', 'Names of subprotocols are compared with case; a client of which none is known is refused.', labelled(
    ['unknown', 'Echo', 'ECHO', 'echo2', 'ech', 'a, b, c']))
def unknown_subprotocol(server, offers):
    check_refused(server, request({'Sec-WebSocket-Protocol': offers}), 400)


@rule('4.1', 'The names of subprotocols are tokens, and each comes once.', [
    ('a blank', 'echo, a b'), ('a slash', 'echo, a/b'), ('quoted', '"echo"'), ('octets above 127', 'echo, \xe4'),
    ('twice', 'echo, echo'), ('twice, with others', 'echo, named, x, named'), ('in two headers', ['echo', 'echo'])])
def malformed_subprotocols(server, offers):
    check_refused(server, request({'Sec-WebSocket-Protocol': offers}), 400)


# --- Extensions ---------------------------------------------------------------------------------------------------


@rule('9.1', 'Extensions that the server does not have are declined: the answer has no Sec-WebSocket-Extensions.', [
    ('one', 'x-unknown'), ('with parameters', 'x-unknown; a; b=1; c="d"'), ('a list', 'x-a, x-b; c, x-a'),
    ('several headers', ['x-a', 'x-b; c=d']), ('permessage-deflate', 'permessage-deflate; client_max_window_bits')])
def extensions(server, value):
    key = make_key()
    check_accepted(server, request({'Sec-WebSocket-Extensions': value}, key=key), key)


@rule('9.1', 'A Sec-WebSocket-Extensions header that violates its grammar is refused.', [
    ('no name', '; a'), ('a blank in a name', 'x y'), ('no parameter', 'x;'), ('no value', 'x; a='),
    ('no parameter name', 'x; =1'), ('an open quote', 'x; a="b'), ('no token in quotes', 'x; a="b c"'),
    ('empty quotes', 'x; a=""'), ('a separator', 'x/y'), ('octets above 127', 'x\xe4'),
    ('the second header', ['x', 'y;'])])
def malformed_extensions(server, value):
    check_refused(server, request({'Sec-WebSocket-Extensions': value}), 400)
