#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our client against servers whose TLS is not as it should be, and what it tells of it: Python's ssl, on a raw socket.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import base64
import hashlib
import pathlib
import ssl
import subprocess
import sys
import tempfile
import warnings

from clients import Checks, Driver, Processes
from raw_server import TEXT, RawServer, frame
from support import run

temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)
processes = Processes()
processes.stack.callback(temporary.cleanup)
checks = Checks()


def openssl(*arguments, **options):
    return subprocess.run(['openssl', *arguments], cwd=folder, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, **options).stdout


def certificate(name, *extensions, issuer=None, days=30):
    """Makes NAME.pem and NAME.key. By itself without an issuer."""
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', f'{name}.key')
    openssl('req', '-new', '-key', f'{name}.key', '-subj', f'/CN={name}', '-out', f'{name}.csr')
    (folder / f'{name}.extensions').write_text('\n'.join(extensions))
    signer = ['-CA', f'{issuer}.pem', '-CAkey', f'{issuer}.key', '-CAcreateserial'] if issuer else \
        ['-signkey', f'{name}.key']
    openssl('x509', '-req', '-in', f'{name}.csr', *signer, '-days', str(days), '-extfile', f'{name}.extensions', '-out',
            f'{name}.pem')


def make_certificates():
    authority = 'basicConstraints = critical, CA:true'
    ours = 'subjectAltName = DNS:localhost, IP:127.0.0.1'
    certificate('ca', authority)
    certificate('between', authority, issuer='ca')
    certificate('good', ours, issuer='ca')
    certificate('other', 'subjectAltName = DNS:other.example, IP:127.0.0.2', issuer='ca')
    certificate('expired', ours, issuer='ca', days=-1)
    certificate('alone', ours)
    certificate('below', ours, issuer='between')
    certificate('client', 'extendedKeyUsage = clientAuth', issuer='ca')
    (folder / 'whole.pem').write_text((folder / 'below.pem').read_text() + (folder / 'between.pem').read_text())


def tls(name, key=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f'{name}.pem', folder / f'{key or name}.key')
    return context


def serve(connection):
    connection.open()
    connection.wind_up()


class Secure(RawServer):
    """Opens websockets; a client may end the handshake."""

    def __init__(self, context, script=serve):
        super().__init__(script, tls=context)
        self.ended = []

    def serve(self, index, sock):
        super().serve(index, sock)
        # What a client does not like ends the handshake here, too.
        self.ended += [error for error in self.errors if isinstance(error, (ssl.SSLError, ConnectionError, EOFError))]
        self.errors = [error for error in self.errors if error not in self.ended]


def ca():
    return f'{folder}/ca.pem'


def open_and_close(url, **options):
    driver('opened(url, options):close()', url=url, options=options)


# --- Verification -------------------------------------------------------------------------------------------------


@checks.table('refuses', [
    ('an expired certificate', 'expired', 'localhost', 'expired'),
    ('that of another host', 'other', 'localhost', 'mismatch'),
    ('that of another address', 'other', '127.0.0.1', 'mismatch'),
    ('one that is signed by itself', 'alone', 'localhost', 'self'),
    ('a missing intermediate', 'below', 'localhost', 'issuer')])
def _(name, host, word):
    with Secure(tls(name)) as server:
        failure = driver.refused(f'wss://{host}:{server.port}/', ssl_ca_path=ca(), reconnect=True)  # it is final
        assert (failure['kind'], failure['phase']) == ('tls', 'tls'), failure
        assert word in failure['message'] and host in failure['message'], failure
        assert failure['address'] == f'127.0.0.1:{server.port}', failure
        open_and_close(f'wss://{host}:{server.port}/', ssl_verify=False)
    assert [bool(head) for head in server.heads] == [False, True], server.heads


@checks.table('accepts', [
    ('a certificate of the authority', 'good', 'good', 'ca', 'localhost', {}),
    ('that of an address', 'good', 'good', 'ca', '127.0.0.1', {}),
    ('that of the name that is expected', 'other', 'other', 'ca', '127.0.0.1', {'ssl_server_name': 'other.example'}),
    ('one that is its own authority', 'alone', 'alone', 'alone', 'localhost', {}),
    ('an intermediate', 'whole', 'below', 'ca', 'localhost', {})])
def _(name, key, authority, host, options):
    with Secure(tls(name, key)) as server:
        open_and_close(f'wss://{host}:{server.port}/', ssl_ca_path=f'{folder}/{authority}.pem', **options)


def with_environment(environment, program, **values):
    one = Driver(**environment)
    try:
        return one(program, **values)
    finally:
        one.stop()


@checks.check
def looks_for_the_systems_store():
    with Secure(tls('good')) as server:
        with_environment({'SSL_CERT_FILE': ca(), 'SSL_CERT_DIR': '/nowhere'}, 'opened(url):close()', url=server.url)
        failure = driver.refused(server.url)
        assert failure['kind'] == 'tls', failure


@checks.check
def says_where_it_has_looked_for_a_store():
    with Secure(tls('good')) as server:
        variables = {'SSL_CERT_FILE': '/nowhere/file', 'SSL_CERT_DIR': '/nowhere/folder'}
        failure = with_environment(variables, 'return refused(url).failure', url=server.url)
        assert failure['kind'] == 'tls', failure
        assert '/nowhere/file' in failure['message'] and '/nowhere/folder' in failure['message'], failure


def pin(name):
    public = openssl('x509', '-in', f'{name}.pem', '-noout', '-pubkey')
    return 'sha256//' + base64.b64encode(hashlib.sha256(
        openssl('pkey', '-pubin', '-outform', 'der', input=public)).digest()).decode()


@checks.check
def knows_pinned_keys():
    with Secure(tls('good')) as server:
        open_and_close(server.url, ssl_ca_path=ca(), ssl_pinned_keys=[pin('other'), pin('good')])
        failure = driver.refused(server.url, ssl_ca_path=ca(), ssl_pinned_keys=[pin('other')], reconnect=True)
        assert (failure['kind'], failure['phase']) == ('tls', 'tls') and 'localhost' in failure['message'], failure


# --- The handshake ------------------------------------------------------------------------------------------------


@checks.check
def refuses_a_server_of_tls_1_1():
    context = tls('good')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers('ALL:@SECLEVEL=0')
    with Secure(context) as server:
        failure = driver.refused(server.url, ssl_ca_path=ca())
        assert (failure['kind'], failure['phase']) == ('tls', 'tls'), failure
        assert 'version' in failure['message'] and 'localhost' in failure['message'], failure


@checks.table('shows a certificate that is asked for', [
    ('TLS 1.2', ssl.TLSVersion.TLSv1_2), ('TLS 1.3', ssl.TLSVersion.TLSv1_3)])
def _(version):
    seen = []

    def script(connection):
        seen.append(connection.sock.getpeercert())
        serve(connection)

    context = tls('good')
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca())
    with Secure(context, script) as server:
        # With TLS 1.3 the client takes the handshake for done before the server has seen that there is none.
        failure = driver.refused(server.url, ssl_ca_path=ca())
        assert failure['kind'] in ('tls', 'lost') and 'localhost' in failure['message'], failure
        if version == ssl.TLSVersion.TLSv1_2:
            assert (failure['kind'], failure['phase']) == ('tls', 'tls'), failure
        own = {'ssl_cert_path': f'{folder}/client.pem', 'ssl_private_key_path': f'{folder}/client.key'}
        open_and_close(server.url, ssl_ca_path=ca(), **own)
    assert len(seen) == 1 and (('commonName', 'client'),) in seen[0]['subject'], seen


def answers_in_plain_text(connection):
    connection.receive()
    connection.send('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nplain HTTP is spoken here')
    connection.wait_end()


def ends(connection):
    connection.receive()


@checks.table('says that', [
    ('a server speaks plain HTTP', answers_in_plain_text, 'tls'), ('a server ends the handshake', ends, None)])
def _(script, kind):
    with RawServer(script) as server:
        failure = driver.refused(f'wss://localhost:{server.port}/', ssl_ca_path=ca())
        assert failure['kind'] == kind or kind is None and failure['kind'] in ('tls', 'lost'), failure
        assert failure['phase'] == 'tls' and 'localhost' in failure['message'], failure


@checks.check
def says_that_a_server_speaks_tls():
    def script(connection):
        raise AssertionError('a handshake with plain HTTP')

    with Secure(tls('good'), script) as server:
        failure = driver.refused(f'ws://localhost:{server.port}/')
        assert failure['kind'] in ('lost', 'handshake') and failure['phase'] == 'http', failure


@checks.check
def names_hosts_but_no_addresses():
    names = []
    context = tls('good')
    context.sni_callback = lambda _, name, __: names.append(name)
    with Secure(context) as server:
        for host, options in (('localhost', {}), ('127.0.0.1', {}), ('127.0.0.1', {'ssl_server_name': 'localhost'}),
                              ('LOCALHOST', {})):
            open_and_close(f'wss://{host}:{server.port}/', ssl_ca_path=ca(), **options)
    assert names == ['localhost', None, 'localhost', 'localhost'], names


@checks.table('resumes sessions', [('TLS 1.2', ssl.TLSVersion.TLSv1_2), ('TLS 1.3', ssl.TLSVersion.TLSv1_3)])
def _(version):
    """And not those of clients that verify otherwise."""
    resumed = []

    def script(connection):
        resumed.append(connection.sock.session_reused)
        connection.open()
        connection.send(frame(TEXT, b'hello'))
        connection.wind_up()

    context = tls('good')
    context.minimum_version = context.maximum_version = version
    program = '''
      for _, options in ipairs(all_options) do
        local client = opened(url, options)
        client:receive()
        client:close()
      end
    '''
    verified, unverified = {'ssl_ca_path': ca()}, {'ssl_verify': False}
    pinned = {**verified, 'ssl_pinned_keys': [pin('good')]}
    order = [unverified, verified, verified, pinned, verified, unverified, pinned]
    with Secure(context, script) as server:
        driver(program, url=server.url, all_options=order)
    assert resumed == [False, False, True, False, True, True, True], resumed


if __name__ == '__main__':
    try:
        make_certificates()
        driver = processes.add(Driver())
    except BaseException:
        processes.stop()
        raise
    sys.exit(run(processes, checks.selected()))
