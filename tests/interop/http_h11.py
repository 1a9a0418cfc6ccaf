#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The HTTP side of our server, read by h11, which takes nothing that RFC 9112 does not allow.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import contextlib
import pathlib
import random
import sys
import tempfile

sys.dont_write_bytecode = True

import h11  # noqa: E402

from h11_client import HOST, Client, check  # noqa: E402
from rfc6455.connection import TEXT, frame  # noqa: E402
from rfc6455.opening import accept, make_key, request  # noqa: E402
from support import DEADLINE_S, Server, run  # noqa: E402

MIB = 2**20
FILES = {'empty': b'', 'one': b'x', 'small': b'line\r\n' * 100, 'large': random.Random(9112).randbytes(5 * MIB)}
TRIES = 10

checks = []


def each(table):
    """Makes a check of the function below for each row: a label, and what the function is called with."""
    def register(function):
        for label, *arguments in table:
            def call(arguments=arguments):
                function(*arguments)

            call.__name__ = label
            checks.append(call)
        return function

    return register


def case(label):
    return each([(label,)])


def lines(*texts, content=b''):
    """A request of a request line and header lines."""
    return '\r\n'.join([*texts, '', '']).encode('latin-1') + content


@each([(f'GET, {name} file', name) for name in FILES])
def get(name):
    with Client(server.port) as client:
        for _ in range(3):
            check(client.ask(target=f'/file/{name}'), 200, FILES[name])
            client.next_cycle()


@each([(f'HEAD, {name} file', name) for name in FILES])
def head(name):
    with Client(server.port) as client:
        for _ in range(3):
            answer = client.ask('HEAD', f'/file/{name}')
            check(answer, 200, b'')
            assert int(answer.headers[b'content-length']) == len(FILES[name]), answer
            client.next_cycle()
        check(client.ask(target=f'/file/{name}'), 200, FILES[name])


@each([
    ('404, nothing there', 'GET', '/nothing', 404), ('404, no file of that name', 'GET', '/file/nothing', 404),
    ('404, POST to nothing', 'POST', '/nothing', 404), ('404, DELETE of nothing', 'DELETE', '/nothing', 404),
    ('404, OPTIONS *', 'OPTIONS', '*', 404), ('405, POST to a file', 'POST', '/file/small', 405),
    ('405, PUT to a file', 'PUT', '/file/small', 405)])
def refused(method, target, status):
    with Client(server.port) as client:
        check(client.ask(method, target), status)
        client.next_cycle()
        check(client.ask(target='/file/one'), 200, FILES['one'])


@case('404 to HEAD has no content')
def head_of_nothing():
    with Client(server.port) as client:
        answer = client.ask('HEAD', '/nothing')
        check(answer, 404, b'')
        assert int(answer.headers[b'content-length']) > 0
        client.next_cycle()
        check(client.ask(), 404)


GET, POST, HOST_LINE, CHUNKED = 'GET / HTTP/1.1', 'POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked'


@each([(f'{status}, {label}', status, data) for label, status, data in [
    ('no Host', 400, lines(GET)), ('two Hosts', 400, lines(GET, HOST_LINE, HOST_LINE)),
    ('a malformed Host', 400, lines(GET, 'Host: a b')), ('no version', 400, lines('GET /', HOST_LINE)),
    ('no target', 400, lines('GET HTTP/1.1', HOST_LINE)),
    ('a blank in the target', 400, lines('GET /a b HTTP/1.1', HOST_LINE)),
    ('HTTP/2.0', 505, lines('GET / HTTP/2.0', HOST_LINE)), ('HTTP/3.0', 505, lines('GET / HTTP/3.0', HOST_LINE)),
    ('the preface of HTTP/2', 505, b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    ('a malformed method', 400, lines('G(T / HTTP/1.1', HOST_LINE)), ('no HTTP', 400, b'\x16\x03\x01\x00\xf8'),
    ('LF for CR LF', 400, b'GET / HTTP/1.1\nHost: a\n\n'),
    ('a folded header', 400, lines(GET, HOST_LINE, 'X: a', ' b')),
    ('a blank before the colon', 400, lines(GET, HOST_LINE, 'X : a')), ('no colon', 400, lines(GET, HOST_LINE, 'X')),
    ('NUL in a value', 400, lines(GET, HOST_LINE, 'X: a\0')), ('CR in a value', 400, lines(GET, HOST_LINE, 'X: a\rb')),
    ('Content-Length and chunks', 400, lines(POST, HOST_LINE, 'Content-Length: 5', CHUNKED, content=b'0\r\n\r\n')),
    ('two Content-Lengths', 400, lines(POST, HOST_LINE, 'Content-Length: 1', 'Content-Length: 2', content=b'ab')),
    ('a negative Content-Length', 400, lines(POST, HOST_LINE, 'Content-Length: -1')),
    ('a Content-Length with a sign', 400, lines(POST, HOST_LINE, 'Content-Length: +1', content=b'a')),
    ('a malformed chunk', 400, lines(POST, HOST_LINE, CHUNKED, content=b'x\r\n')),
    ('a chunk longer than it says', 400, lines(POST, HOST_LINE, CHUNKED, content=b'1\r\nab\r\n0\r\n\r\n')),
    ('another coding', 501, lines(POST, HOST_LINE, 'Transfer-Encoding: gzip, chunked')),
    ('too much content', 413, lines(POST, HOST_LINE, f'Content-Length: {10 * MIB}')),
    ('too much content in chunks', 413, lines(POST, HOST_LINE, CHUNKED, content=b'a00000\r\n')),
    ('another expectation', 417, lines(POST, HOST_LINE, 'Expect: tea', 'Content-Length: 1')),
    ('too large a head', 431, lines(GET, HOST_LINE, 'X: ' + 'x' * 10000)),
    ('too long a target', 414, lines(f'GET /{"x" * 10000} HTTP/1.1', HOST_LINE))]])
def malformed(status, data):
    # Also on a connection that was good so far.
    with Client(server.port) as client:
        check(client.ask(target='/file/one'), 200, FILES['one'])
        client.next_cycle()
        check(client.ask(data=data), status)
        client.expect_end()
    with Client(server.port) as client:
        check(client.ask(data=data), status)
        client.expect_end()


@each([
    ('426, a handshake with another version', 426, {'Sec-WebSocket-Version': '8'}, GET),
    ('400, a handshake without a version', 400, {'Sec-WebSocket-Version': None}, GET),
    ('400, a handshake without a key', 400, {'Sec-WebSocket-Key': None}, GET),
    ('400, a handshake with an unknown subprotocol', 400, {'Sec-WebSocket-Protocol': 'unknown'}, GET),
    ('405, a handshake by POST', 405, {}, POST), ('400, a handshake by HTTP/1.0', 400, {}, 'GET / HTTP/1.0')])
def refused_handshake(status, changes, line):
    with Client(server.port) as client:
        check(client.ask(data=request(changes, line)), status)
        client.expect_end()


@case('keep-alive, requests of all kinds one after the other')
def keep_alive():
    with Client(server.port) as client:
        for _ in range(20):
            check(client.ask(target='/file/small'), 200, FILES['small'])
            client.next_cycle()
            check(client.ask('HEAD', '/file/small'), 200, b'')
            client.next_cycle()
            check(client.ask('POST', '/nothing', [HOST, ('Content-Length', '3')], b'abc'), 404)
            client.next_cycle()
            check(client.ask('POST', '/nothing', [HOST, ('Transfer-Encoding', 'chunked')], b'abc' * 1000), 404)
            client.next_cycle()


@case('pipelining, the answers come in the order of the requests')
def pipelining():
    names = [name for _ in range(5) for name in FILES]
    with Client(server.port) as client:
        client.send(b''.join(lines(f'GET /file/{name} HTTP/1.1', 'Host: a') for name in names))
        for name in names:
            check(client.ask(target=f'/file/{name}', data=b''), 200, FILES[name])
            client.next_cycle()


@case('pipelining, GET, HEAD and POST in turn, split into single bytes')
def pipelining_bytes():
    data = b''.join([
        lines('GET /file/one HTTP/1.1', 'Host: a'), lines('HEAD /file/small HTTP/1.1', 'Host: a'),
        lines(POST, HOST_LINE, 'Content-Length: 4', content=b'GET '),
        lines(POST, HOST_LINE, CHUNKED, content=b'3;a="b"\r\nabc\r\n0\r\nX: y\r\n\r\n'),
        lines('GET /file/empty HTTP/1.1', 'Host: a', 'Connection: close')])
    with Client(server.port) as client:
        client.connection.send(data, 1)
        for method, status, body in [
                ('GET', 200, FILES['one']), ('HEAD', 200, b''), ('POST', 404, None), ('POST', 404, None)]:
            check(client.ask(method, data=b''), status, body)
            client.next_cycle()
        check(client.ask(data=b''), 200, b'')
        client.expect_end()


@case('Connection: close, the answer repeats it, and the connection ends')
def connection_close():
    for target, status in [('/file/small', 200), ('/nothing', 404)]:
        with Client(server.port) as client:
            answer = client.ask(target=target, headers=[HOST, ('Connection', 'close')])
            check(answer, status, FILES['small'] if status == 200 else None)
            assert answer.headers[b'connection'] == b'close', answer
            client.expect_end()


@case('Connection: close, what is pipelined behind it is not answered')
def nothing_after_close():
    with Client(server.port) as client:
        get = lines('GET /file/one HTTP/1.1', 'Host: a', 'Connection: close')
        check(client.ask(data=get * 3), 200, FILES['one'])
        client.expect_end()


@case('HTTP/1.0, the connection ends')
def http_1_0():
    with Client(server.port) as client:
        answer = client.ask(data=b'GET /file/small HTTP/1.0\r\n\r\n')
        check(answer, 200, FILES['small'])
        assert answer.headers[b'connection'] == b'close', answer
        client.expect_end()


@case('HTTP/1.0 with keep-alive, the connection is kept')
def http_1_0_keep_alive():
    with Client(server.port) as client:
        for _ in range(3):
            answer = client.ask(data=b'GET /file/small HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
            check(answer, 200, FILES['small'])
            assert answer.headers[b'connection'] == b'keep-alive', answer
            client.next_cycle()


@case('Expect: 100-continue, told to go on, then answered')
def expect_continue():
    headers = [HOST, ('Expect', '100-continue'), ('Content-Length', '5')]
    with Client(server.port) as client:
        for _ in range(3):
            parser = client.parser
            client.send(parser.send(h11.Request(method='POST', target='/', headers=headers)))
            assert client.next_event().status_code == 100
            client.send(parser.send(h11.Data(b'hello')) + parser.send(h11.EndOfMessage()))
            answer = client.read_answer()
            check(answer, 404)
            assert not answer.interim
            client.next_cycle()


@case('Expect: 100-continue, not told when the content is there already')
def expect_nothing():
    with Client(server.port) as client:
        answer = client.ask('POST', '/', [HOST, ('Expect', '100-continue'), ('Content-Length', '5')], b'hello')
        check(answer, 404)
        assert not answer.interim, answer


@case('500, the handler failed')
def handler_fails():
    with Client(server.port) as client:
        check(client.ask(target='/fail'), 500)
        client.expect_end()


@case('an answer written by hand')
def written_by_hand():
    with Client(server.port) as client:
        answer = client.ask(target='/raw')
        assert (answer.status, answer.body) == (200, b'bytes'), answer
        client.expect_end()


@case('empty lines before a request')
def empty_lines():
    with Client(server.port) as client:
        for count in range(3):
            check(client.ask(data=b'\r\n' * count + lines('GET /file/one HTTP/1.1', 'Host: a')), 200, FILES['one'])
            client.next_cycle()


@case('absolute-form of the target')
def absolute_form():
    with Client(server.port) as client:
        # on_http is told the target as it stands there.
        check(client.ask(target='http://127.0.0.1/file/one'), 404)


@case('101, and behind it frames')
def upgrade():
    key = make_key()
    with Client(server.port) as client:
        headers = [
            HOST, ('Connection', 'Upgrade'), ('Upgrade', 'websocket'), ('Sec-WebSocket-Version', '13'),
            ('Sec-WebSocket-Key', key)]
        answer = client.ask(headers=headers, data=request(key=key) + frame(TEXT, b'hello'))
        assert answer.status == 101 and client.parser.their_state is h11.SWITCHED_PROTOCOL
        assert answer.headers == {
            b'upgrade': b'websocket', b'connection': b'Upgrade', b'sec-websocket-accept': accept(key).encode()}, answer
        echoed = client.parser.trailing_data[0]
        echoed += client.connection.read(len(b'hello') + 2 - len(echoed))
        assert echoed == b'\x81\x05hello', echoed


def is_told_of_timeout(data):
    with Client(impatient.port) as client:
        client.send(data)
        # On a busy machine it may come too late for an answer: the connection was idle until then.
        with contextlib.suppress(ConnectionError):
            if not client.connection.at_end():
                check(client.ask(data=b''), 408)
                client.expect_end()
                return True
    return False


@case('408, a request that does not become whole')
def request_timeout():
    for data in (b'G', b'GET / HTTP/1.1\r\nHost: a\r\n', lines(POST, 'Host: a', 'Content-Length: 5', content=b'a')):
        assert any(is_told_of_timeout(data) for _ in range(TRIES)), f'no answer to {data}'


@case('an idle connection ends without an answer')
def idle():
    with Client(impatient.port) as client:
        client.connection.expect_end()


def start(folder, timeout_s):
    one = Server('tests/interop/conformance_server.lua', folder, f'handshake_timeout={timeout_s}',
                 f'body_timeout={timeout_s}', 'close_timeout=60')
    if not one.first_line:
        raise RuntimeError('the server does not start')
    one.port = int(one.first_line)
    return one


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for name, content in FILES.items():
            (pathlib.Path(folder) / name).write_bytes(content)
        server = start(folder, int(2 * DEADLINE_S))
        impatient = start(folder, 0.3)
        stack.callback(impatient.stop)
        sys.exit(run(server, checks))
