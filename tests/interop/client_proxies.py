#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our client through proxies: tinyproxy (CONNECT), microsocks (SOCKS5), haproxy (TLS to the proxy), and proxies that do
as a function says; and which one it takes by the environment.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import base64
import glob
import pathlib
import sys
import tempfile

from clients import Checks, Daemon, Driver, Processes
from proxy import Proxy, Route
from raw_server import RawServer
from support import Server, demo_certificates, run

NAME = 'only-the-proxy-knows.test'
HOST = 'target.test'  # the client knows it, too, where the environment is tested
USER, PASSWORD = 'user', 'pass-word'

temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)
processes = Processes()
processes.stack.callback(temporary.cleanup)
checks = Checks()


# --- Real ones ----------------------------------------------------------------------------------------------------


def names():
    """The environment of a program that is to know our names."""
    library = glob.glob('/usr/lib/*/libnss_wrapper.so')[0]
    (folder / 'hosts').write_text(f'127.0.0.1 {NAME}\n127.0.0.1 {HOST}\n')
    return {'LD_PRELOAD': library, 'NSS_WRAPPER_HOSTS': str(folder / 'hosts')}


class Log:
    """A proxy, and what it says."""

    def __init__(self, name, command, url):
        self.name, self.path = name, folder / f'{name}.log'
        with open(self.path, 'w') as log:
            self.daemon = processes.add(Daemon(command, env=names(), stdout=log, stderr=log))
        self.port = self.daemon.port
        self.url = url % self.port

    def text(self):
        return self.path.read_text()


def tinyproxy(name, *settings):
    def command(port):
        path = folder / f'{name}.conf'
        lines = [f'Port {port}', 'Listen 127.0.0.1', 'MaxClients 100', 'LogLevel Connect', *settings]
        path.write_text('\n'.join(lines) + '\n')
        return ['/usr/bin/tinyproxy', '-d', '-c', str(path)]

    return Log(name, command, f'http://{USER}:{PASSWORD}@127.0.0.1:%d' if settings else 'http://127.0.0.1:%d')


def microsocks(name, *arguments):
    return Log(name, lambda port: ['/usr/bin/microsocks', '-i', '127.0.0.1', '-p', str(port), *arguments],
               f'socks5h://{USER}:{PASSWORD}@127.0.0.1:%d' if arguments else 'socks5h://127.0.0.1:%d')


class Behind:
    """A proxy that is spoken to by TLS."""

    def __init__(self, name, port, proxy):
        self.name, self.url, self.text = name, f'https://{USER}:{PASSWORD}@localhost:{port}', proxy.text


def start():
    """Returns the proxies by name."""
    with_password = tinyproxy('tinyproxy with a password', f'BasicAuth {USER} {PASSWORD}')
    route = Route('tls', f'127.0.0.1:{with_password.port}', mode='tcp')
    processes.add(Proxy('haproxy', folder, [route]))
    return {proxy.name: proxy for proxy in (
        tinyproxy('tinyproxy'), with_password, Behind('haproxy before tinyproxy', route.tls_port, with_password),
        microsocks('microsocks'), microsocks('microsocks with a password', '-u', USER, '-P', PASSWORD))}


TALK = r'''
  local client = opened(url, options)
  client:echo 'Grüße'
  client:echo(('0123456789abcdef'):rep(2 ^ 16), websockets.WRITE_BINARY)
  for i = 1, 100 do
    client:write(('x'):rep(i * 10))
  end
  client.ws:ping 'ping'
  for i = 1, 100 do
    assert(client:receive() == ('x'):rep(i * 10))
  end
  assert(client:receive_pong() == 'ping')
  client:close(1000)
  options.protocols = { 'command' }
  client = opened(url, options)
  client:write 'close 4001 bye'
  local ended = client:wait_closed()
  assert(ended.code == 4001 and ended.reason == 'bye', client:describe())
'''


def goes_through(proxy, scheme):
    options = {'proxy': proxy.url, 'ssl_ca_path': f'{folder}/ca.pem', 'max_backpressure': 4 * 2**20}
    for name in ('127.0.0.1', 'localhost', NAME):
        driver(TALK, url=f'{scheme}://{name}:{ports[scheme]}/', options={
            **options, **({'ssl_server_name': 'localhost'} if name == NAME and scheme == 'wss' else {})})
    assert f'{NAME}:{ports[scheme]}' in proxy.text(), proxy.text()


def verifies_beyond(proxy):
    failure = driver.refused(f'wss://{NAME}:{ports["wss"]}/', proxy=proxy.url, ssl_ca_path=f'{folder}/ca.pem')
    assert (failure['kind'], failure['phase']) == ('tls', 'tls') and NAME in failure['message'], failure


def reports_what_is_not_there(proxy):
    for place in ('unknown.invalid:80', f'127.0.0.1:{unused}'):
        failure = driver.refused(f'ws://{place}/', proxy=proxy.url, ssl_ca_path=f'{folder}/ca.pem')
        assert (failure['kind'], failure['phase']) == ('proxy', 'proxy'), failure
        assert PASSWORD not in str(failure), failure


def reports_a_wrong_password(proxy):
    for credentials in ('', f'{USER}:wrong-word@'):
        url = proxy.url.replace(f'{USER}:{PASSWORD}@', credentials)
        failure = driver.refused(f'ws://127.0.0.1:{ports["ws"]}/', proxy=url, ssl_ca_path=f'{folder}/ca.pem')
        assert (failure['kind'], failure['phase']) == ('proxy', 'proxy'), failure
        assert 'wrong-word' not in str(failure), failure
        if url.startswith('http'):
            assert '407' in failure['message'] or '401' in failure['message'], failure


def by_name(function):
    """The proxies are not there yet when the checks are listed."""
    return lambda name, *arguments: function(proxies[name], *arguments)


for each in ('tinyproxy', 'tinyproxy with a password', 'haproxy before tinyproxy', 'microsocks',
             'microsocks with a password'):
    for scheme in ('ws', 'wss'):
        checks.add(f'{each}: goes through by {scheme}', by_name(goes_through), each, scheme)
    checks.add(f'{each}: verifies beyond', by_name(verifies_beyond), each)
    checks.add(f'{each}: reports what is not there', by_name(reports_what_is_not_there), each)
    if each not in ('tinyproxy', 'microsocks'):
        checks.add(f'{each}: reports a wrong password', by_name(reports_a_wrong_password), each)


@checks.check
def verifies_the_proxy():
    url = proxies['haproxy before tinyproxy'].url
    for host, options in (('localhost', {}), ('not-named.localhost', {'ssl_ca_path': f'{folder}/ca.pem'})):
        failure = driver.refused(f'ws://127.0.0.1:{ports["ws"]}/', proxy=url.replace('localhost', host), **options)
        assert failure['kind'] == 'tls' and host in failure['message'], failure
        assert PASSWORD not in str(failure), failure


@checks.check
def reports_that_there_is_no_proxy():
    for scheme in ('http', 'https', 'socks5h'):
        failure = driver.refused('ws://example.org/', proxy=f'{scheme}://user:{PASSWORD}@127.0.0.1:{unused}')
        assert failure['kind'] in ('refused', 'proxy') and PASSWORD not in str(failure), failure
        assert failure['address'] == f'127.0.0.1:{unused}' and f'127.0.0.1:{unused}' in failure['message'], failure


# --- Scripted ones ------------------------------------------------------------------------------------------------


@checks.check
def keeps_what_is_for_the_proxy_from_the_server():
    heads = []

    def script(connection):
        heads.append(connection.read_head())
        connection.send('HTTP/1.1 200 Connection established\r\nVia: 1.1 here\r\n\r\n')
        heads.append(connection.read_head())
        connection.send(connection.switching())
        connection.wind_up()

    with RawServer(script) as server:
        driver('opened(url, options):close()', url='ws://me:mine@example.org:1234/path', options={
            'proxy': f'http://us%40er:p%3A%40ss@127.0.0.1:{server.port}', 'headers': {'X-Api-Key': 'key'}})
    tunnel, request = heads
    assert tunnel.startswith('CONNECT example.org:1234 HTTP/1.1\r\n') and 'Host: example.org:1234\r\n' in tunnel, tunnel
    assert f'Proxy-Authorization: Basic {base64.b64encode(b"us@er:p:@ss").decode()}\r\n' in tunnel, tunnel
    assert 'X-Api-Key' not in tunnel and '\r\nAuthorization' not in tunnel, tunnel
    assert request.startswith('GET /path HTTP/1.1\r\n') and 'Proxy' not in request, request
    assert 'Host: example.org:1234\r\n' in request and 'Authorization: Basic bWU6bWluZQ==' in request, request


@checks.check
def asks_for_literals_as_they_are():
    heads = []

    def script(connection):
        heads.append(connection.read_head())

    with RawServer(script) as server:
        for host in ('[2001:db8::1]:9000', '192.0.2.1'):
            driver.refused(f'ws://{host}/', proxy=f'http://127.0.0.1:{server.port}')
    assert [head.split()[1] for head in heads] == ['[2001:db8::1]:9000', '192.0.2.1:80'], heads


def http_answer(text):
    def script(connection):
        connection.read_head()
        connection.send(text)
        connection.wait_end()

    return script


def endless_tunnel_headers(connection):
    connection.read_head()
    connection.send('HTTP/1.1 200 OK\r\n')
    connection.send_for_ever('X: ' + 'x' * 1000 + '\r\n')


def end_at_once(connection):
    connection.receive()


@checks.table('reports of an HTTP proxy', [
    ('407', http_answer('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n'
                        'Content-Length: 0\r\n\r\n'), '407'),
    ('403', http_answer('HTTP/1.1 403 Filtered\r\nContent-Length: 2\r\n\r\nno'), '403'),
    ('502', http_answer('HTTP/1.0 502 Bad Gateway\r\n\r\n'), '502'),
    ('a redirect', http_answer('HTTP/1.1 302 Found\r\nLocation: http://localhost/\r\n\r\n'), '302'),
    ('no HTTP', http_answer('220 mail.example.org ESMTP\r\n\r\n'), ''),
    ('endless headers', endless_tunnel_headers, ''),
    ('the end', end_at_once, '')])
def _(script, word):
    with RawServer(script) as server:
        failure = driver.refused('ws://example.org/', proxy=f'http://user:{PASSWORD}@127.0.0.1:{server.port}')
        assert (failure['kind'], failure['phase']) == ('proxy', 'proxy') and word in failure['message'], failure
        assert PASSWORD not in str(failure), failure


def socks(method=b'\5\0', reply=None, password=None, pieces=False):
    """A SOCKS proxy that answers so, and then is the server."""
    def script(connection):
        version, count = connection.read(2)
        methods = connection.read(count)
        assert version == 5 and 0 in methods, (version, methods)
        connection.send(method)
        if password is not None:
            version, count = connection.read(2)
            name = connection.read(count)
            secret = connection.read(connection.read(1)[0])
            assert (version, name, secret) == (1, USER.encode(), PASSWORD.encode()), (name, secret)
            connection.send(password)
        if reply is None:
            return connection.wait_end()
        head = connection.read(5)
        assert head[:4] == b'\5\1\0\3', head  # the name goes to the proxy
        name, port = connection.read(head[4]), int.from_bytes(connection.read(2), 'big')
        assert (name, port) == (b'example.org', 80), (name, port)
        for piece in ([bytes([byte]) for byte in reply] if pieces else [reply]):
            connection.send(piece)
        if reply[1] == 0 and reply[3] != 2:
            connection.open()
            connection.wind_up()
        else:
            connection.wait_end()

    return script


@checks.table('opens by a SOCKS proxy', [
    ('an address', socks(reply=b'\5\0\0\1' + bytes(6))),
    ('an IPv6 address', socks(reply=b'\5\0\0\4' + bytes(18))),
    ('a name', socks(reply=b'\5\0\0\3\4name\0\1')),
    ('byte by byte', socks(reply=b'\5\0\0\3\4name\0\1', pieces=True)),
    ('a password', socks(method=b'\5\2', password=b'\1\0', reply=b'\5\0\0\1' + bytes(6)))])
def _(script):
    with RawServer(script) as server:
        driver('opened(url, options):close()', url='ws://example.org/', options={
            'proxy': f'socks5h://{USER}:{PASSWORD}@127.0.0.1:{server.port}'})


@checks.table('reports of a SOCKS proxy', [
    *[(f'reply {code}', socks(reply=bytes([5, code, 0, 1]) + bytes(6))) for code in (1, 2, 3, 4, 5, 6, 7, 8, 99)],
    ('no method', socks(method=b'\5\xff')), ('a method that was not offered', socks(method=b'\5\1')),
    ('SOCKS 4', socks(method=b'\4\0')), ('HTTP', socks(method=b'HTTP/1.1 400 Bad Request\r\n\r\n')),
    ('a wrong password', socks(method=b'\5\2', password=b'\1\1')),
    ('an unknown kind of address', socks(reply=b'\5\0\0\2' + bytes(6))), ('the end', end_at_once)])
def _(script):
    with RawServer(script) as server:
        failure = driver.refused('ws://example.org/', proxy=f'socks5h://{USER}:{PASSWORD}@127.0.0.1:{server.port}')
        assert (failure['kind'], failure['phase']) == ('proxy', 'proxy'), failure
        assert PASSWORD not in str(failure), failure


# --- The environment ----------------------------------------------------------------------------------------------



@checks.table('takes from the environment', [
    ('http_proxy', {'http_proxy': '@'}, 'ws', HOST, True),
    ('http_proxy, for ws only', {'http_proxy': '@'}, 'wss', HOST, False),
    ('https_proxy', {'https_proxy': '@'}, 'wss', HOST, True),
    ('https_proxy, for wss only', {'https_proxy': '@'}, 'ws', HOST, False),
    ('ws_proxy', {'ws_proxy': '@', 'http_proxy': 'http://127.0.0.1:1'}, 'ws', HOST, True),
    ('wss_proxy', {'wss_proxy': '@', 'https_proxy': 'http://127.0.0.1:1'}, 'wss', HOST, True),
    ('all_proxy', {'all_proxy': '@'}, 'ws', HOST, True),
    ('all_proxy last', {'all_proxy': 'http://127.0.0.1:1', 'http_proxy': '@'}, 'ws', HOST, True),
    ('HTTPS_PROXY', {'HTTPS_PROXY': '@'}, 'wss', HOST, True),
    ('ALL_PROXY', {'ALL_PROXY': '@'}, 'ws', HOST, True),
    ('not HTTP_PROXY', {'HTTP_PROXY': '@'}, 'ws', HOST, False),
    ('lower case first', {'https_proxy': '@', 'HTTPS_PROXY': 'http://127.0.0.1:1'}, 'wss', HOST, True),
    ('without a scheme', {'http_proxy': '127.0.0.1:PORT'}, 'ws', HOST, True),
    ('nothing for localhost', {'all_proxy': '@'}, 'ws', 'localhost', False),
    ('nothing for a name below localhost', {'all_proxy': '@'}, 'ws', 'a.localhost', False),
    ('nothing for 127.0.0.1', {'all_proxy': '@'}, 'ws', '127.0.0.1', False),
    ('no_proxy', {'all_proxy': '@', 'no_proxy': HOST}, 'ws', HOST, False),
    ('no_proxy of others', {'all_proxy': '@', 'no_proxy': 'other.test, example.org'}, 'ws', HOST, True),
    ('no_proxy in a list', {'all_proxy': '@', 'no_proxy': f'other.test, {HOST.upper()}'}, 'ws', HOST, False),
    ('NO_PROXY', {'all_proxy': '@', 'NO_PROXY': HOST}, 'ws', HOST, False),
    ('no_proxy of a domain', {'all_proxy': '@', 'no_proxy': '.test'}, 'ws', HOST, False),
    ('no_proxy of a domain without a dot', {'all_proxy': '@', 'no_proxy': 'test'}, 'ws', HOST, False),
    ('no_proxy of half a name', {'all_proxy': '@', 'no_proxy': 'get.test'}, 'ws', HOST, True),
    ('no_proxy with this port', {'all_proxy': '@', 'no_proxy': f'{HOST}:PORT'}, 'ws', HOST, False),
    ('no_proxy with another port', {'all_proxy': '@', 'no_proxy': f'{HOST}:1'}, 'ws', HOST, True),
    ('no_proxy of all', {'all_proxy': '@', 'no_proxy': '*'}, 'ws', HOST, False),
    ('no_proxy of a network', {'all_proxy': '@', 'no_proxy': '192.0.2.0/24'}, 'ws', '192.0.2.7', None),
    ('no_proxy of another network', {'all_proxy': '@', 'no_proxy': '192.0.2.0/29'}, 'ws', '192.0.2.8', True),
    ('no_proxy of an IPv6 network', {'all_proxy': '@', 'no_proxy': '2001:db8::/32'}, 'ws', '[2001:db8::1]', None),
    ('no_proxy of another IPv6 network', {'all_proxy': '@', 'no_proxy': '2001:db8::/32'}, 'ws', '[2001:db9::1]', True),
])
def _(environment, scheme, host, is_proxied):
    """The proxy and the server are one, told apart by how they are spoken to. None: there is no such host."""
    seen = []

    def script(connection):
        seen.append(connection.receive().startswith(b'CONNECT '))

    with RawServer(script) as server:
        own = {name: value.replace('@', f'http://127.0.0.1:{server.port}').replace('PORT', str(server.port))
               for name, value in environment.items()}
        one = Driver(**own, **hosts)
        try:
            # Nobody answers there: a moment is enough to see that no proxy is asked.
            options = {'connect_timeout': 0.3} if is_proxied is None else {}
            one('return refused(url, options)', url=f'{scheme}://{host}:{server.port}/', options=options)
        finally:
            one.stop()
    assert seen == ([] if is_proxied is None else [is_proxied]), seen


@checks.check
def asks_the_option_before_the_environment():
    seen = []

    def script(connection):
        seen.append(connection.receive().startswith(b'CONNECT '))

    with RawServer(script) as server:
        proxy = f'http://127.0.0.1:{server.port}'
        for environment, options, is_proxied in (
                ({'all_proxy': proxy}, {'proxy': False}, False),
                ({'no_proxy': '*'}, {'proxy': proxy}, True),
                ({'all_proxy': 'http://127.0.0.1:1'}, {'proxy': proxy}, True)):
            one = Driver(**environment, **hosts)
            try:
                one('refused(url, options)', url=f'ws://{HOST}:{server.port}/', options=options)
            finally:
                one.stop()
            assert seen.pop() == is_proxied, (environment, options)


if __name__ == '__main__':
    try:
        demo_certificates(folder)
        driver = processes.add(Driver())
        ports = {}
        for scheme, *tls in (('ws',), ('wss', 'tls')):
            server = processes.add(Server('tests/interop/client_server.lua', folder, 'off', *tls))
            ports[scheme] = int(server.first_line)
        with RawServer(end_at_once) as server:
            unused = server.port
        hosts = names()
        proxies = start()
    except BaseException:
        processes.stop()
        raise
    sys.exit(run(processes, checks.selected()))
