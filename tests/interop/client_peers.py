#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our client against other people's servers, and our own: node's ws, python3-websockets and libwebsockets; over TCP,
TLS and unix sockets, with and without permessage-deflate; and with nginx and haproxy between.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH, ws by NODE_PATH.
"""

import pathlib
import socket
import sys
import tempfile

from clients import Checks, Daemon, Driver, Processes, Program
from proxy import Proxy, Route
from support import Server, demo_certificates, run

MODES = ('off', 'fresh', 'takeover')
TRANSPORTS = ('tcp', 'tls', 'unix')

temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)
processes = Processes()
processes.stack.callback(temporary.cleanup)


class Peer:
    """A server by one way, and what the client is told of it."""

    def __init__(self, name, url, **options):
        self.name, self.url, self.options = name, url, options

    def __call__(self, program, options=(), **values):
        """Runs it with `url` and `options`."""
        return driver(program, url=self.url, options={**self.options, **dict(options)}, **values)


def secure_peer(name, port, **options):
    return Peer(name, f'wss://localhost:{port}/', ssl_ca_path=f'{folder}/ca.pem', **options)


class Ours:
    """Our server: a process for each of its addresses."""

    def __init__(self):
        self.ports = {mode: {} for mode in MODES}
        for mode in MODES:
            for transport in ('tcp', 'tls'):
                server = processes.add(Server('tests/interop/client_server.lua', folder, mode, transport))
                self.ports[mode][transport] = int(server.first_line)


def peer(name, ports, mode, transport):
    label, options = f'{name}, {transport}, {mode}', {'max_backpressure': 17 * 2**20}
    if transport == 'tls':
        return secure_peer(label, ports[mode][transport], **options)
    if transport == 'unix':
        return Peer(label, f'ws+unix:{folder}/{name}-{mode}.sock:/', **options)
    return Peer(label, f'ws://127.0.0.1:{ports[mode][transport]}/', **options)


# --- Messages -----------------------------------------------------------------------------------------------------


def echoes_all_kinds_of_messages(peer):
    peer(r'''
      local client = opened(url, options)
      for _, text in ipairs { 'hello', 'Grüße, 世界', '', 'NUL \0 inside', '' } do
        client:echo(text)
        client:echo(text, websockets.WRITE_BINARY)
      end
      client:echo('\xff\xfe\0', websockets.WRITE_BINARY)
      for _, size in ipairs { 1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 131072 } do
        client:echo(('a'):rep(size))
        client:echo(('\xf0'):rep(size), websockets.WRITE_BINARY)
      end
      client:close(1000)
    ''')


def moves_a_mebibyte(peer):
    peer('''
      local client = opened(url, options)
      client:echo(('0123456789abcdef'):rep(2 ^ 16), websockets.WRITE_BINARY)
      client:echo(('ä'):rep(2 ^ 19))
      client:close(1000)
    ''')


def moves_16_mebibytes(peer):
    """As much as max_message_size lets by."""
    peer('''
      local client = opened(url, options)
      client:echo(('0123456789abcdef'):rep(2 ^ 20), websockets.WRITE_BINARY)
      client:close(1000)
    ''')


def refuses_one_byte_more_than_the_limit(peer):
    peer('''
      options.max_message_size = 1000
      local client = opened(url, options)
      client:echo(('x'):rep(1000))
      client:write(('x'):rep(1001))
      local ended = client:wait_closed()
      assert(ended.failure.close_code == 1009, client:describe())
    ''')


def sends_fragments(peer):
    peer('''
      local client = opened(url, options)
      for _, parts in ipairs { { 'one', '', ' two', ' three' }, { '', '' }, { '', 'x' }, { ('y'):rep(70000), 'z' } } do
        for i, part in ipairs(parts) do
          local kind = i == 1 and websockets.WRITE_TEXT or websockets.WRITE_CONTINUATION
          client:write(part, kind + (i < #parts and websockets.WRITE_NO_FIN or 0))
          client.ws:ping('after ' .. i)
        end
        local answer, kind = client:receive()
        assert(answer == table.concat(parts) and kind == websockets.WRITE_TEXT, answer)
        for i = 1, #parts do
          assert(client:receive_pong() == 'after ' .. i)
        end
      end
      client:close(1000)
    ''')


def receives_fragments(peer):
    peer('''
      options.protocols = { 'command' }
      local client = opened(url, options)
      for _, count in ipairs { 1, 2, 100 } do
        client:write('fragments ' .. count)
        local expected = {}
        for i = 1, count do
          expected[i] = i .. ' '
        end
        assert(client:receive() == table.concat(expected))
      end
      client:close(1000)
    ''')


def keeps_the_order_of_pipelined_messages(peer):
    peer('''
      local client = opened(url, options)
      for i = 1, 500 do
        client:write(i .. ' ' .. ('x'):rep(i % 300))
      end
      for i = 1, 500 do
        assert(client:receive() == i .. ' ' .. ('x'):rep(i % 300))
      end
      client:close(1000)
    ''')


# --- Control frames -----------------------------------------------------------------------------------------------


def pings(peer):
    peer('''
      local client = opened(url, options)
      for _, data in ipairs { '', 'ping', ('x'):rep(125) } do
        client.ws:ping(data)
        assert(client:receive_pong() == data)
      end
      client:close(1000)
    ''')


def answers_pings(peer):
    peer('''
      options.protocols = { 'command' }
      local client = opened(url, options)
      for _, data in ipairs { 'ping', ('x'):rep(125) } do
        client:write('probe ' .. data)
        assert(client:receive() == 'pong ' .. data)
      end
      client:close(1000)
    ''')


def tells_the_server_how_it_closes(peer):
    peer('''
      options.protocols = { 'observer' }
      local observer = opened(url, options)
      options.protocols = { 'watched' }
      for _, how in ipairs { { 1000, '' }, { 1000, 'done' }, { 3001, 'ü'}, { 4999, ('ä'):rep(61) }, {} } do
        local client = opened(url, options)
        assert(observer:receive() == 'opened')
        local ended = client:close(how[1], how[2])
        assert(ended.code == (how[1] or 1005) and not ended.failure, client:describe())
        local expected = ('closed %d %s'):format(how[1] or 1005, how[2] or '')
        local told = observer:receive()
        assert(told == expected, told)
      end
      local client = opened(url, options)
      assert(observer:receive() == 'opened')
      client.ws:terminate()
      assert(observer:receive() == 'closed 1006 ')
      observer:close(1000)
    ''')


def is_told_how_the_server_closes(peer):
    peer('''
      options.protocols = { 'command' }
      for _, how in ipairs { { 1000, '' }, { 1001, 'bye' }, { 4999, 'Grüße, two words' } } do
        local client = opened(url, options)
        client:write(('close %d %s'):format(how[1], how[2]))
        local ended = client:wait_closed()
        assert(ended.code == how[1] and ended.reason == how[2], client:describe())
        assert(ended.failure.kind == 'closed' and ended.failure.close_code == how[1], client:describe())
      end
      local client = opened(url, options)
      client:write 'terminate'
      local ended = client:wait_closed()
      assert(ended.code == 1006 and ended.failure.kind == 'lost', client:describe())
    ''')


# --- The opening --------------------------------------------------------------------------------------------------


def agrees_on_a_subprotocol(peer):
    peer('''
      for _, offered in ipairs { { 'echo' }, { 'unknown', 'command' } } do
        options.protocols = offered
        local client = opened(url, options)
        assert(client.response.protocol == offered[#offered] and client.ws:protocol() == offered[#offered])
        client:close(1000)
      end
    ''')


def fails_without_a_subprotocol(peer):
    ended = peer('''
      options.protocols = { 'unknown' }
      return refused(url, options)
    ''')
    # ws and python3-websockets open without one, ours refuses, as it may.
    failure = ended['failure']
    if peer.name.startswith('ours'):
        assert (failure['kind'], failure['status']) == ('http', 400), failure
    else:
        assert failure['kind'] == 'handshake', failure


def tells_the_certificate(peer):
    common = peer('''
      local client = opened(url, options)
      client:close(1000)
      return client.response.certificate
    ''')
    assert 'localhost' in str(common), common


def verifies_the_certificate(peer):
    failure = peer('''
      options.ssl_ca_path = nil
      return refused(url, options).failure
    ''')
    assert (failure['kind'], failure['phase']) == ('tls', 'tls') and 'localhost' in failure['message'], failure
    failure = peer('''
      options.ssl_server_name = 'elsewhere.example'
      return refused(url, options).failure
    ''')
    assert failure['kind'] == 'tls' and 'elsewhere.example' in failure['message'], failure


# --- Compression --------------------------------------------------------------------------------------------------

OFFERS = {'no offer': False, 'fresh': True, 'takeover': {'context_takeover': True, 'min_size': 1},
          'smallest': {'memory': '3KB', 'min_size': 1, 'level': 9}}
COMPRESSED = r'''
  local client = opened(url, options)
  local extensions = client.response.headers['Sec-WebSocket-Extensions'] or ''
  assert((extensions:find('permessage-deflate', 1, true) ~= nil) == expected, extensions)
  math.randomseed(7692)
  local words = {}
  for i = 1, 20000 do
    words[i] = ('%x'):format(math.random(500) * 7919)
  end
  local text = table.concat(words, ' ')
  for _, size in ipairs { 0, 1, 2, 125, 126, 600, 5000, 40000, 70000 } do
    for _ = 1, 2 do
      client:echo(text:sub(1, size))
      client:echo(text:sub(-size - 1, -2), websockets.WRITE_BINARY)
    end
  end
  for _ = 1, 3 do
    client:write(text:sub(1, 1000), websockets.WRITE_TEXT + websockets.WRITE_NO_FIN)
    client.ws:ping 'between'
    client:write(text:sub(1001, 3000), websockets.WRITE_CONTINUATION)
    assert(client:receive() == text:sub(1, 3000))
    assert(client:receive_pong() == 'between')
  end
  client:close(1000)
'''


def agrees_on_compression(peer):
    is_on = not peer.name.endswith('off')
    for offer in OFFERS.values():
        peer(COMPRESSED, {'compression': offer}, expected=is_on and bool(offer))


def compresses_with_and_without_context_takeover(peer):
    """Of a text that comes again only a reference is sent, but where both sides forget."""
    sizes = {}
    for name, offer in OFFERS.items():
        sizes[name] = peer('''
          options.protocols, options.compression = { 'command' }, offer
          local client = opened(url, options)
          local last
          local function received()
            client:write 'received'
            local now = tonumber((client:receive()))
            last, now = now, now - (last or 0)
            return now
          end
          received()
          local own = received()
          math.randomseed(7692)
          local words = {}
          for i = 1, 500 do
            words[i] = ('%x'):format(math.random(2 ^ 24))
          end
          local sizes = {}
          for i = 1, 3 do
            client:write('ignore ' .. table.concat(words, ' '))
            sizes[i] = received() - own
          end
          client:close(1000)
          return sizes
        ''', offer=offer)
    first, again, _ = sizes['fresh']
    assert first < 0.8 * sizes['no offer'][0] and again > 0.9 * first, sizes
    first, again, _ = sizes['takeover']
    assert again < 0.2 * first if peer.name.endswith('takeover') else again > 0.9 * first, sizes


PLAIN_CHECKS = [
    echoes_all_kinds_of_messages, moves_a_mebibyte, moves_16_mebibytes, refuses_one_byte_more_than_the_limit,
    sends_fragments, receives_fragments, keeps_the_order_of_pipelined_messages, pings, answers_pings,
    tells_the_server_how_it_closes, is_told_how_the_server_closes, agrees_on_a_subprotocol, fails_without_a_subprotocol]
TLS_CHECKS = [tells_the_certificate, verifies_the_certificate]


# --- libwebsockets ------------------------------------------------------------------------------------------------


def lws(*arguments):
    return processes.add(Daemon(lambda port: ['libwebsockets-test-server', f'--port={port}', *arguments]))


def counts_up(peer):
    peer('''
      options.protocols = { 'dumb-increment-protocol' }
      local client = opened(url, options)
      for _ = 1, 5 do
        assert(tonumber((client:receive())), 'not a number')
      end
      assert(client:close(1000).code == 1000)
    ''')


def mirrors(peer):
    """Back to everybody, and so to itself; it declines compression there."""
    peer('''
      options.protocols, options.compression = { 'lws-mirror-protocol' }, true
      local client = opened(url, options)
      assert(not client.response.headers['Sec-WebSocket-Extensions'])
      for i = 1, 20 do
        local text = ('c #%06x %d %d %d;'):format(i * 7919, i, i, i)
        client:write(text)
        local got = client:receive()
        assert(got == text, got)
      end
      for _, data in ipairs { 'ping', ('x'):rep(125) } do
        client.ws:ping(data)
        assert(client:receive_pong() == data)
      end
      assert(client:close(1001, 'bye').code == 1001)
    ''')


def tells_its_status(peer):
    """With compression where the client offers it."""
    for compression in (False, True, {'context_takeover': True}):
        status = peer('''
          options.protocols, options.user_agent = { 'nothing', 'lws-status' }, 'ours/1.0'
          options.compression = compression
          local client = opened(url, options)
          assert(client.response.protocol == 'lws-status')
          local extensions = client.response.headers['Sec-WebSocket-Extensions']
          assert((extensions ~= nil) == (compression ~= false), extensions)
          client:write(('x'):rep(1000)) -- is not answered
          local status = client:receive()
          client:close(1000)
          return status
        ''', compression=compression)
        assert '"ua":"ours/1.0"' in status, status


def ends_without_an_answer(peer):
    """That is how it refuses a protocol."""
    failure = peer('''
      options.protocols = { 'unheard-of' }
      return refused(url, options).failure
    ''')
    assert (failure['kind'], failure['phase']) == ('lost', 'http'), failure


LWS_CHECKS = [counts_up, mirrors, tells_its_status, ends_without_an_answer]


# --- Proxies in front ---------------------------------------------------------------------------------------------

PROXIED_CHECKS = [
    echoes_all_kinds_of_messages, moves_a_mebibyte, sends_fragments, receives_fragments, pings, answers_pings,
    tells_the_server_how_it_closes, is_told_how_the_server_closes, agrees_on_a_subprotocol]


def start_proxies(ports):
    """Returns peers: nginx and haproxy, in front of our server and of none."""
    tcp, unix = f'127.0.0.1:{ports["off"]["tcp"]}', f'{folder}/ours-off.sock'
    with socket.create_server(('127.0.0.1', 0)) as probe:
        nobody = f'127.0.0.1:{probe.getsockname()[1]}'
    routes = {
        'nginx': [Route('nginx-tcp', tcp), Route('nginx-unix', f'unix:{unix}'), Route('nginx-nobody', nobody)],
        'haproxy': [
            Route('haproxy-tcp', tcp), Route('haproxy-bytes', tcp, mode='tcp'), Route('haproxy-nobody', nobody)],
    }
    peers = []
    for program in routes:
        processes.add(Proxy(program, folder, routes[program]))
        for route in routes[program]:
            peers.append(Peer(route.name, f'ws://127.0.0.1:{route.port}/'))
            peers.append(secure_peer(f'{route.name}, tls', route.tls_port))
    return peers


def is_told_that_nobody_is_there(peer):
    failure = peer('return refused(url, options).failure')
    assert failure['kind'] == 'http' and failure['status'] in (502, 503) and failure['body'], failure


def list_checks(servers, lws_peers, proxied):
    checks = Checks()

    def add(functions, peer):
        for function in functions:
            checks.add(f'{peer.name}: {function.__name__}', function, peer)

    for name, server in servers.items():
        for transport in TRANSPORTS:
            add(PLAIN_CHECKS + (TLS_CHECKS if transport == 'tls' else []), peer(name, server.ports, 'off', transport))
            for mode in MODES:
                add([agrees_on_compression], peer(name, server.ports, mode, transport))
    for mode in MODES[1:]:
        add([compresses_with_and_without_context_takeover], peer('node', servers['node'].ports, mode, 'tcp'))
    for one in lws_peers:
        add(LWS_CHECKS, one)
    for one in proxied:
        add([is_told_that_nobody_is_there] if 'nobody' in one.name else PROXIED_CHECKS, one)
    return checks


if __name__ == '__main__':
    try:
        demo_certificates(folder)
        driver = processes.add(Driver())
        servers = {
            'ours': Ours(),
            'node': processes.add(Program('node', 'tests/interop/client_server.mjs', folder)),
            'python': processes.add(Program('/usr/bin/python3', 'tests/interop/client_server.py', folder)),
        }
        lws_peers = [
            Peer('libwebsockets, tcp', f'ws://127.0.0.1:{lws().port}/'),
            secure_peer('libwebsockets, tls', lws(
                '--ssl', f'--ssl-cert={folder}/server.pem', f'--ssl-key={folder}/server.key').port)]
        proxied = start_proxies(servers['ours'].ports)
    except BaseException:
        processes.stop()
        raise
    sys.exit(run(processes, list_checks(servers, lws_peers, proxied).selected()))
