#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our client against servers that fall silent, break every rule, or redirect: each a function, on a raw socket.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import contextlib
import pathlib
import socket
import ssl
import sys
import tempfile
import threading
import time
import zlib

from clients import Checks, ClientError, Driver, Processes
from raw_server import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawServer, Signal, close_frame, frame
from support import DEADLINE_S, demo_certificates, run

MIB = 2**20
TIMEOUTS_S = (0.2, 2, 20, DEADLINE_S)  # the first one with which a slow machine comes as far as it is to come
SECRETS = {'Authorization': 'Bearer secret', 'X-Api-Key': 'secret'}

temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)
processes = Processes()
processes.stack.callback(temporary.cleanup)
checks = Checks()


# --- Silence ------------------------------------------------------------------------------------------------------


def expect_timeout(phase, url, **options):
    for timeout in TIMEOUTS_S:
        failure = driver.refused(url, connect_timeout=timeout, **options)
        assert failure['kind'] == 'timeout', failure
        if failure['phase'] == phase:
            return
    raise AssertionError(failure)


@checks.check
def says_that_tcp_is_silent():
    with socket.create_server(('127.0.0.1', 0), backlog=0) as listener:
        # It is never accepted, so that no other one gets through.
        with socket.create_connection(listener.getsockname()):
            expect_timeout('tcp', f'ws://127.0.0.1:{listener.getsockname()[1]}/')


def silent(connection):
    connection.wait_end()


@checks.check
def says_that_tls_is_silent():
    with RawServer(silent) as server:
        expect_timeout('tls', f'wss://127.0.0.1:{server.port}/', ssl_ca_path=f'{folder}/ca.pem')


@checks.check
def says_that_a_proxy_is_silent():
    with RawServer(silent) as server:
        for scheme in ('http', 'socks5h'):
            expect_timeout('proxy', 'ws://example.org/', proxy=f'{scheme}://127.0.0.1:{server.port}')


@checks.check
def says_that_tls_within_a_tunnel_is_silent():
    def tunnel(connection):
        connection.read_head()
        connection.send('HTTP/1.1 200 OK\r\n\r\n')
        connection.wait_end()

    with RawServer(tunnel) as server:
        expect_timeout('tls', 'wss://example.org/', proxy=f'http://127.0.0.1:{server.port}',
                       ssl_ca_path=f'{folder}/ca.pem')


def half_an_answer(connection):
    connection.read_head()
    connection.send(connection.switching()[:-1])
    connection.wait_end()


def byte_by_byte(connection):
    """For ever: each byte is a sign of life, and none is to move the deadline."""
    connection.read_head()
    connection.send('HTTP/1.1 101 Switching Protocols\r\nX: ')
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while True:
            connection.send('x')
            time.sleep(0.01)


@checks.table('says that HTTP is silent', [
    ('no answer', silent), ('half an answer', half_an_answer), ('byte by byte', byte_by_byte)])
def _(script):
    with RawServer(script) as server:
        expect_timeout('http', server.url)


@checks.check
def tells_a_refusal_whose_body_falls_silent():
    """At the deadline, with what has come."""
    def refuse(connection):
        connection.read_head()
        connection.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nbegun')
        connection.wait_end()

    with RawServer(refuse) as server:
        for timeout in TIMEOUTS_S:
            failure = driver.refused(server.url, connect_timeout=timeout)
            if failure['kind'] == 'http':
                break
    assert (failure['kind'], failure['status'], failure['body']) == ('http', 403, 'begun'), failure


@checks.check
def is_closed_while_it_connects():
    with Signal() as reached:
        def script(connection):
            connection.read_head()
            reached.give()
            assert not connection.wait_end(), 'more came'

        with RawServer(script) as server:
            ended = driver('''
              local client = connect(url)
              client:write 'lost'
              opened(reached):close()
              client.ws:close(1000)
              return client:wait_closed()
            ''', url=server.url, reached=reached.url)
            assert ended['failure']['kind'] == 'cancelled', ended


# --- Answers ------------------------------------------------------------------------------------------------------


@checks.check
def skips_interim_answers():
    def script(connection):
        connection.read_head()
        connection.send('HTTP/1.1 100 Continue\r\n\r\n',
                        'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n', 'HTTP/1.1 199 \r\n\r\n',
                        connection.switching(), frame(TEXT, b'hello'), close_frame(1000))
        assert connection.read_close() == (1000, '')

    with RawServer(script) as server:
        driver('''
          local client = opened(url)
          assert(client.response.status == 101 and not client.response.headers.Link)
          assert(client:receive() == 'hello')
          client:wait_closed()
        ''', url=server.url)


@checks.check
def delivers_frames_of_the_segment_of_the_101():
    frames = [frame(TEXT, b'one'), frame(PING, b'ping'), frame(TEXT, b'two '), close_frame(4000, 'done')]

    def script(connection):
        connection.read_head()
        connection.send(connection.switching(), *frames)
        assert connection.read_frame() == (PONG, b'ping')
        assert connection.read_close() == (4000, '')

    with RawServer(script) as server:
        driver('''
          local client = connect(url)
          local ended = client:wait_closed()
          assert(table.concat(client.events, ' ') == 'open message message closed', client:describe())
          assert(ended.code == 4000 and ended.reason == 'done' and ended.failure.close_code == 4000)
        ''', url=server.url)


@checks.check
def reads_an_answer_byte_by_byte():
    def script(connection):
        connection.read_head()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in (connection.switching().encode() + frame(TEXT, b'hello') + close_frame(1000)):
            connection.send(bytes([byte]))
        connection.read_close()

    with RawServer(script) as server:
        driver('''
          local client = opened(url)
          assert(client:receive() == 'hello' and client:wait_closed().code == 1000)
        ''', url=server.url)


@checks.check
def lets_the_server_keep_its_window():
    """Though it was asked not to, as uWebSockets with a compressor for each websocket does."""
    compressor = zlib.compressobj(wbits=-15)

    def script(connection):
        assert 'server_no_context_takeover' in connection.read_head()
        connection.send(connection.switching('Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover'))
        for _ in range(3):
            data = compressor.compress(b'the same again') + compressor.flush(zlib.Z_SYNC_FLUSH)
            connection.send(frame(TEXT, data[:-4], reserved=4))
        connection.wind_up()

    with RawServer(script) as server:
        driver('''
          local client = opened(url, { compression = true })
          for _ = 1, 3 do
            assert(client:receive() == 'the same again')
          end
          client:close(1000)
        ''', url=server.url)


def answer(text='', *lines, **replaced):
    """A script that sends a text, or a 101 in which lines are replaced."""
    def script(connection):
        connection.read_head()
        connection.send(text or connection.switching(*lines, **replaced))
        connection.wind_up()

    return script


def end_at_once(connection):
    connection.read_head()


@checks.table('refuses', [
    ('a wrong accept', answer(Sec_WebSocket_Accept='AAAAAAAAAAAAAAAAAAAAAAAAAAA='), 'handshake'),
    ('no accept', answer(Sec_WebSocket_Accept=None), 'handshake'),
    ('no Upgrade', answer(Upgrade=None), 'handshake'),
    ('another Upgrade', answer(Upgrade='h2c'), 'handshake'),
    ('no Connection', answer(Connection=None), 'handshake'),
    ('another Connection', answer(Connection='keep-alive'), 'handshake'),
    ('a protocol that was not offered', answer('', 'Sec-WebSocket-Protocol: other'), 'handshake'),
    ('two protocols', answer('', 'Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: a'), 'handshake'),
    ('an extension that was not offered', answer('', 'Sec-WebSocket-Extensions: permessage-deflate'), 'handshake'),
    ('an unknown extension', answer('', 'Sec-WebSocket-Extensions: x-unknown'), 'handshake'),
    ('a status that is not 101', answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno'), 'http'),
    ('no HTTP', answer('SSH-2.0-OpenSSH_9.2\r\n\r\n'), 'handshake'),
    ('nothing', end_at_once, 'lost'),
])
def _(script, kind):
    with RawServer(script) as server:
        failure = driver.refused(server.url)
        assert (failure['kind'], failure['phase']) == (kind, 'http'), failure
        assert str(server.port) in failure['message'] and failure['address'] == f'127.0.0.1:{server.port}', failure
        if kind == 'http':
            assert (failure['status'], failure['body']) == (200, 'no'), failure


@checks.check
def wants_a_protocol_where_it_has_offered_one():
    with RawServer(answer()) as server:
        failure = driver.refused(server.url, protocols=['a', 'b'])
        assert failure['kind'] == 'handshake', failure
        driver('opened(url, options):close()', url=server.url, options={'protocols': ['a'], 'protocol_required': False})


@checks.table('refuses endless', [
    ('headers', 'HTTP/1.1 101 Switching Protocols\r\n', f'X-Endless: {"x" * 1000}\r\n'),
    ('interim answers', '', 'HTTP/1.1 103 Early Hints\r\n\r\n'),
    ('lines', 'HTTP/1.1 101 ', 'x' * 1000)])
def _(first, other):
    def script(connection):
        connection.read_head()
        connection.send(first)
        connection.send_for_ever(other)

    with RawServer(script) as server:
        failure = driver.refused(server.url)
        assert (failure['kind'], failure['phase']) == ('handshake', 'http'), failure


@checks.check
def tells_the_body_of_a_401():
    body = '{"error":"expired"}'
    head = f'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: {len(body)}\r\n\r\n'
    with RawServer(answer(head + body)) as server:
        failure = driver.refused(server.url, reconnect=True)  # final: another attempt would be refused, too
        assert (failure['kind'], failure['status'], failure['body']) == ('http', 401, body), failure
        assert failure['headers']['www-authenticate'] == 'Bearer', failure
        assert '401' in failure['message'], failure
    assert len(server.heads) == 1


@checks.table('takes 64 KiB of an endless body:', [
    ('until the end', '', b'x' * 65536),
    ('with a length', 'Content-Length: 99999999999\r\n', b'x' * 65536),
    ('chunked', 'Transfer-Encoding: chunked\r\n', b'10000\r\n' + b'x' * 65536 + b'\r\n')])
def _(header, data):
    def script(connection):
        connection.read_head()
        connection.send(f'HTTP/1.1 500 Internal Server Error\r\n{header}\r\n')
        connection.send_for_ever(data)

    with RawServer(script) as server:
        failure = driver.refused(server.url)
        assert (failure['kind'], failure['status']) == ('http', 500), failure
        assert failure['body'] == 'x' * len(failure['body']) and len(failure['body']) == 65536, len(failure['body'])


@checks.check
def obeys_retry_after():
    refusal = answer('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbusy')
    with RawServer(refusal, answer()) as server:
        start = time.monotonic()
        retries = driver('''
          local retries = {}
          local client = connect(url, { reconnect = { delay = 0 } })
          client.ws:on_retry(function(_, seconds, failure)
            retries[#retries + 1] = { seconds = seconds, status = failure.status, body = failure.body }
          end)
          wait_for(function() return client.response end, 'the second attempt')
          return retries
        ''', url=server.url)
        assert time.monotonic() - start >= 1
    assert len(retries) == 1 and retries[0]['seconds'] >= 1, retries
    assert (retries[0]['status'], retries[0]['body']) == (503, 'busy'), retries


@checks.check
def obeys_retry_after_of_an_hour():
    refusal = answer('HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n')
    with RawServer(refusal) as server:
        seconds = driver('''
          local told
          local client = connect(url, { reconnect = true })
          client.ws:on_retry(function(_, seconds) told = seconds; return false end)
          client:wait_closed()
          return told
        ''', url=server.url)
        assert seconds >= 3600, seconds


# --- Redirects ----------------------------------------------------------------------------------------------------


def redirect(location, status='302 Found'):
    return answer(f'HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n')


@checks.check
def does_not_follow_redirects_unless_it_may():
    with RawServer(redirect('/elsewhere')) as server:
        failure = driver.refused(server.url, reconnect=True)
        assert (failure['kind'], failure['status']) == ('http', 302), failure
        assert failure['headers']['location'] == '/elsewhere', failure
    assert len(server.heads) == 1


@checks.check
def follows_redirects_of_its_own_origin_with_all_headers():
    with RawServer(redirect('../b?c=d#e', '307 Temporary Redirect'), answer()) as server:
        url = driver('''
          local client = opened(url .. 'a/x', { redirects = 1, headers = headers, protocols = {} })
          client:close()
          return client.response.url
        ''', url=server.url, headers=SECRETS)
        assert url == f'{server.url}b?c=d', url
    assert server.heads[1].startswith('GET /b?c=d HTTP/1.1\r\n'), server.heads
    for name, value in SECRETS.items():
        for head in server.heads:
            assert f'{name}: {value}\r\n' in head, head


@checks.check
def takes_no_headers_to_another_host():
    with RawServer(answer()) as other:
        with RawServer(redirect(f'http://localhost:{other.port}/there')) as server:
            driver('''
              local with_userinfo = url:gsub('//', '//user:password@')
              for _, try in ipairs { with_userinfo, url } do
                local own = try == url and headers or { ['X-Api-Key'] = 'secret' }
                local client = opened(try, { redirects = 1, cookies = { a = 'secret' }, headers = own })
                client:close()
                assert(not client.response.url:find 'password')
              end
            ''', url=server.url, headers=SECRETS)
        for head in server.heads:
            assert 'Cookie: a=secret\r\n' in head and 'X-Api-Key: secret\r\n' in head, head
        assert 'Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n' in ''.join(server.heads), server.heads
    assert len(other.heads) == 2
    for head in other.heads:
        assert head.startswith('GET /there HTTP/1.1\r\n') and f'Host: localhost:{other.port}\r\n' in head, head
        assert 'secret' not in head and 'uthorization' not in head and 'ookie' not in head, head


@checks.check
def follows_a_redirect_to_https():
    with RawServer(answer(), tls=tls) as secure, RawServer(redirect(f'https://localhost:{secure.port}/')) as server:
        url = driver('''
          local client = opened(url, { redirects = 1, ssl_ca_path = ca, headers = { ['X-Api-Key'] = 'secret' } })
          client:close()
          return client.response.url
        ''', url=server.url, ca=f'{folder}/ca.pem')
        assert url == f'wss://localhost:{secure.port}/', url
    assert 'secret' in server.heads[0] and 'secret' not in secure.heads[0], secure.heads


@checks.check
def does_not_follow_a_redirect_from_wss_to_ws():
    def never(_):
        raise AssertionError('it came')

    with RawServer(never) as plain, RawServer(redirect(f'ws://localhost:{plain.port}/'), tls=tls) as secure:
        failure = driver.refused(secure.url, redirects=5, ssl_ca_path=f'{folder}/ca.pem')
        assert failure['kind'] == 'http' and failure['status'] == 302, failure


@checks.table('does not follow a redirect', [
    ('to ftp', 'ftp://localhost/'), ('to nowhere', ''), ('to a wrong port', 'http://localhost:99999/'),
    ('with line ends', 'http://localhost:1/\rX: y'), ('to a unix socket', 'ws+unix:/tmp/socket:/')])
def _(location):
    with RawServer(redirect(location)) as server:
        failure = driver.refused(server.url, redirects=5)
        assert failure['kind'] in ('http', 'handshake') and failure['phase'] == 'http', failure


@checks.check
def does_not_go_in_circles():
    def script(connection):
        here = connection.read_head().split()[1]
        there = '/b' if here == '/a' else '/a'
        connection.send(f'HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n')
        connection.wait_end()

    with RawServer(script) as server:
        failure = driver.refused(server.url, redirects=5)
        assert (failure['kind'], failure['status']) == ('http', 302), failure
    assert 1 < len(server.heads) <= 6, server.heads


# --- Closing ------------------------------------------------------------------------------------------------------


def close_and_wait(script, program):
    """Runs it with `url`, and `gone`, a URL which opens when the script has ended."""
    with Signal() as gone:
        def whole(connection):
            script(connection)
            connection.wait_end()
            gone.give()

        with RawServer(whole) as server:
            driver(program + '\nopened(gone):close()', url=server.url, gone=gone.url)


@checks.check
def ends_the_connection_when_the_server_keeps_it_after_its_close():
    def script(connection):
        connection.open()
        assert connection.read_close() == (1000, 'bye')
        connection.send(close_frame(1000))

    close_and_wait(script, '''
      local client = opened(url, { close_timeout = 0.2 })
      local ended = client:close(1000, 'bye')
      assert(ended.code == 1000 and not ended.failure)
    ''')


@checks.check
def ends_the_connection_when_the_server_does_not_answer_its_close():
    def script(connection):
        connection.open()
        assert connection.read_close() == (1005, '')

    close_and_wait(script, '''
      local client = opened(url, { close_timeout = 0.2 })
      assert(client:close().code == 1005)
    ''')


@checks.check
def ends_the_connection_when_the_server_talks_on_after_its_close():
    def script(connection):
        connection.open()
        connection.read_close()
        connection.send_for_ever(frame(TEXT, b'x' * 1000))

    close_and_wait(script, '''
      local client = opened(url, { close_timeout = 0.2 })
      client:close(1000)
    ''')


@checks.check
def ends_the_connection_when_the_server_keeps_it_after_the_servers_close():
    def script(connection):
        connection.open()
        connection.send(close_frame(4001, 'go'))
        assert connection.read_close() == (4001, '')

    close_and_wait(script, '''
      local client = opened(url, { close_timeout = 0.2 })
      local ended = client:wait_closed()
      assert(ended.code == 4001 and ended.reason == 'go' and ended.failure.close_code == 4001)
    ''')


@checks.check
def takes_a_lost_connection_for_lost():
    def script(connection):
        connection.open()
        connection.read_frame()

    with RawServer(script) as server:
        ended = driver('''
          local client = opened(url)
          client:write 'hello'
          return client:wait_closed()
        ''', url=server.url)
        assert (ended['code'], ended['failure']['kind']) == (1006, 'lost'), ended


@checks.check
def notices_a_silent_server():
    def script(connection):
        connection.open()
        connection.wait_end()

    with RawServer(script) as server:
        ended = driver('''
          local client = opened(url, { idle_timeout = 0.4, ping_interval = 0.1 })
          return client:wait_closed()
        ''', url=server.url)
        assert ended['failure']['kind'] == 'timeout' and ended['failure']['phase'] == 'open', ended


# --- Frames -------------------------------------------------------------------------------------------------------


@checks.table('refuses by its code', [
    ('a mask', 1002, frame(TEXT, b'x', mask=b'abcd')),
    ('reserved bits', 1002, frame(TEXT, b'x', reserved=4)),
    ('an unknown opcode', 1002, frame(3, b'x')),
    ('a fragmented ping', 1002, frame(PING, b'x', fin=False)),
    ('a ping that is too long', 1002, frame(PING, bytes(126))),
    ('a Close frame of one byte', 1002, frame(CLOSE, b'x')),
    ('a Close frame with 1005', 1002, frame(CLOSE, b'\x03\xed')),
    ('a continuation of nothing', 1002, frame(CONTINUATION, b'x')),
    ('a message within a message', 1002, frame(TEXT, b'x', fin=False) + frame(TEXT, b'x')),
    ('a length of more than 63 bits', 1002, b'\x82\x7f' + b'\xff' * 8),
    ('invalid UTF-8', 1007, frame(TEXT, b'\xc3\x28')),
    ('invalid UTF-8 in a reason', 1007, frame(CLOSE, b'\x03\xe8\xff')),
    ('a message over the limit', 1009, frame(BINARY, bytes(1001))),
    ('a message over the limit, in fragments', 1009,
     frame(BINARY, bytes(900), fin=False) + frame(CONTINUATION, bytes(101))),
    ('16 MiB, announced', 1009, b'\x82\x7f' + (16 * MIB).to_bytes(8, 'big')),
])
def _(code, data):
    def script(connection):
        connection.open()
        connection.send(data)
        assert connection.read_close()[0] == code

    with RawServer(script) as server:
        ended = driver('''
          local client = opened(url, { max_message_size = 1000 })
          return client:wait_closed()
        ''', url=server.url)
        # 1006: no Close frame of the server's has come.
        assert ended['failure']['close_code'] == code, ended
        assert not ended['failure']['message'].endswith('0'), ended


@checks.table('refuses 16 MiB in fragments of', [
    ('1 byte', b'\x02\x01x', b'\x00\x01x', 16 * MIB), ('no byte', b'\x02\x00', b'\x00\x00', 16 * MIB)])
def _(first, other, count):
    def script(connection):
        connection.open()
        connection.send(first)
        sent = 1
        while sent < count and not connection.has_input():
            connection.send(other * 65536)
            sent += 65536
        assert sent < count, 'it has taken them all'
        assert connection.read_close()[0] == 1008

    close_and_wait(script, '''
      local client = opened(url, { close_timeout = 0.5 })
      local ended = client:wait_closed()
      assert(ended.failure.close_code == 1008, client:describe())
    ''')


@checks.check
def takes_a_mebibyte_in_fragments_of_16_bytes():
    def script(connection):
        connection.open()
        fragment = b'0123456789abcdef'
        connection.send(frame(TEXT, fragment, fin=False), frame(CONTINUATION, fragment, fin=False) * 65534,
                        frame(CONTINUATION, fragment))
        assert connection.read_close() == (1000, '')
        connection.send(close_frame(1000))

    with RawServer(script) as server:
        driver('''
          local client = opened(url)
          assert(client:receive() == ('0123456789abcdef'):rep(65536))
          client:close(1000)
        ''', url=server.url)


# --- A slow server ------------------------------------------------------------------------------------------------

MESSAGE_BYTES, MESSAGES = MIB, 64


LATE = 'nothing was heard in time'


def read_slowly(connection, seconds, pings):
    """Sends nothing while it reads but pings, where it is to; then answers the client's."""
    count, answers, asked, answered = 0, [], 0, 0
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
    connection.open()
    while count < MESSAGES:
        opcode, payload = connection.read_frame()
        if opcode == PONG:
            answered += 1
        elif opcode == PING:
            answers.append(frame(PONG, payload))
        else:
            assert opcode == BINARY and payload == bytes([count]) * MESSAGE_BYTES, (opcode, len(payload))
            count += 1
            if pings:
                connection.send(frame(PING, b'%d' % asked))
                asked += 1
            time.sleep(seconds / MESSAGES)
    connection.send(*answers, frame(PING, b'there?'))
    while (read := connection.read_frame()) != (PONG, b'there?'):
        if read[0] == PING:
            connection.send(frame(PONG, read[1]))
        else:
            assert read[0] == PONG, read
            answered += 1
    assert answered == asked, (answered, asked)
    connection.send(frame(TEXT, b'all there'))
    connection.wind_up()


@checks.table('writes 64 MiB to a slow server', [('which is silent', False), ('which pings', True)])
def _(pings):
    """For three times idle_timeout nothing comes from the silent one, but it goes on reading: that is life enough."""
    for idle in (0.5, 5, 2 * DEADLINE_S):  # a slow machine may not come to reading in time
        try:
            with RawServer(lambda connection: read_slowly(connection, min(3 * idle, 15), pings)) as server:
                driver('''
                  local client = opened(url, { max_backpressure = 65 * 2 ^ 20, idle_timeout = idle })
                  for i = 0, count - 1 do
                    client:write(string.char(i):rep(size), websockets.WRITE_BINARY)
                    client.ws:ping(tostring(i))
                  end
                  assert(client.ws:buffered_amount() > 32 * 2 ^ 20)
                  local drained = false
                  client.ws:on_server_writeable(function() drained = true end)
                  for i = 0, count - 1 do
                    local pong = client:receive_pong()
                    while pong == '' do -- the library's own
                      pong = client:receive_pong()
                    end
                    if client.ended and client.ended.failure.kind == 'timeout' then error(late) end
                    assert(pong == tostring(i), pong)
                  end
                  assert(client:receive() == 'all there')
                  assert(drained and client.ws:buffered_amount() == 0)
                  client:close(1000)
                ''', url=server.url, idle=idle, size=MESSAGE_BYTES, count=MESSAGES,
                       late=LATE)
            return
        except ClientError as error:
            if LATE not in str(error):
                raise
    raise AssertionError(LATE)


@checks.check
def gives_up_on_a_server_that_reads_nothing():
    ended = threading.Event()

    def script(connection):
        connection.open()
        assert ended.wait(DEADLINE_S)

    with RawServer(script) as server:
        try:
            result = driver('''
              local client = opened(url, { max_backpressure = 65 * 2 ^ 20, idle_timeout = 0.4, ping_interval = 0.1 })
              client:write(('x'):rep(64 * 2 ^ 20), websockets.WRITE_BINARY)
              return client:wait_closed()
            ''', url=server.url)
        finally:
            ended.set()
        assert result['failure']['kind'] == 'timeout' and result['failure']['phase'] == 'open', result


if __name__ == '__main__':
    try:
        demo_certificates(folder)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(f'{folder}/server.pem', f'{folder}/server.key')
        driver = processes.add(Driver())
    except BaseException:
        processes.stop()
        raise
    sys.exit(run(processes, checks.selected()))
