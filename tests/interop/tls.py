#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""TLS: libwebsockets-test-client, python3-websockets, curl and sslscan against our servers.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import asyncio
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree

import websockets

from support import DEADLINE_S, ROOT, demo_certificates, echo_server, run, test_server

ERROR, WARNING, NOTICE, INFO = 1, 2, 4, 8
NUMBERS = 5

temporary = tempfile.TemporaryDirectory()
folder, other_folder = f'{temporary.name}/ours', f'{temporary.name}/theirs'
demo_certificates(folder)
demo_certificates(other_folder)
page_server = test_server(f'{folder}/server.pem', f'{folder}/server.key')
open_server = echo_server('/dev/null', folder)
strict_server = echo_server('/dev/null', folder, 'client')


class Servers:
    """All of them as one, for run()."""

    servers = [page_server, open_server, strict_server]

    def is_running(self):
        return all(server.is_running() for server in self.servers)

    @property
    def process(self):
        return next(server.process for server in self.servers if not server.is_running())

    def stop(self):
        for server in self.servers:
            server.stop()
        temporary.cleanup()


def check(coroutine):
    def run_check():
        asyncio.run(asyncio.wait_for(coroutine(), DEADLINE_S))

    run_check.__name__ = coroutine.__name__
    return run_check


# --- libwebsockets ------------------------------------------------------------------------------------------------


def lws(*arguments, end=None):
    """The client's log. `end`: a pattern; when a line has it that often, Ctrl-C."""
    process = subprocess.Popen(
        ['libwebsockets-test-client', '-s', '-A', f'{folder}/ca.pem', '-d', str(ERROR + WARNING + NOTICE + INFO),
         *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace')
    deadline = threading.Timer(DEADLINE_S, process.kill)
    deadline.start()
    try:
        log, count = [], 0
        for line in process.stderr:
            log.append(line)
            if end and re.search(end, line):
                count += 1
                if count == NUMBERS:
                    process.send_signal(signal.SIGINT)
        process.wait()
        assert process.returncode == 0, (process.returncode, ''.join(log[-40:]))
        return ''.join(log)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        deadline.cancel()


def page_address(scheme='wss'):
    return f'{scheme}://localhost:{page_server.port}/'


def libwebsockets_counts():
    log = lws(page_address(), end=r"rx \d+ '\d+'$")
    numbers = [int(number) for number in re.findall(r"rx \d+ '(\d+)'$", log, re.M)]
    assert numbers[:NUMBERS] == list(range(1, NUMBERS + 1)), numbers
    assert 'Using SSL' in log, log[-4000:]


def libwebsockets_echoes_without_errors():
    log = lws('-e', page_address())
    assert 'send completed: 1024 x 12288' in log, log[-4000:]
    assert 'Everything received: errs 0' in log and 'mismatch' not in log, log[-4000:]


def libwebsockets_gets_the_page():
    log = lws(page_address('https'))
    sizes = re.findall(r'lws_http_client_read: swallowed read \((\d+)\)', log)
    assert sum(map(int, sizes)) == (ROOT / 'test-server' / 'test.html').stat().st_size, log[-4000:]


# --- python3-websockets -------------------------------------------------------------------------------------------


def client_context(authority=folder, client=None, version=None):
    context = ssl.create_default_context(cafile=f'{authority}/ca.pem')
    if client:
        context.load_cert_chain(f'{client}/client.pem', f'{client}/client.key')
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def connect(server, context, host='localhost'):
    return websockets.connect(
        f'wss://{host}:{server.port}/', ssl=context, host='127.0.0.1', max_size=None, ping_interval=None,
        open_timeout=DEADLINE_S, close_timeout=DEADLINE_S)


async def echoed(server, context, **options):
    async with connect(server, context, **options) as ws:
        for message in ('text', b'binary', '', os.urandom(5 * 2**20)):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.close(1000)
        assert ws.close_code == 1000, ws.close_code


async def refused(server, context):
    try:
        await echoed(server, context)
    except (ssl.SSLError, OSError, websockets.InvalidHandshake) as error:
        return str(error) + str(error.__cause__)
    raise AssertionError('it was accepted')


@check
async def python_echoes_in_both_versions():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        await echoed(open_server, client_context(version=version))


@check
async def python_verifies_names_and_addresses():
    for host in ('localhost', '127.0.0.1'):
        await echoed(open_server, client_context(), host=host)


@check
async def python_refuses_a_server_of_another_authority():
    assert 'CERTIFICATE_VERIFY_FAILED' in await refused(open_server, client_context(other_folder))


@check
async def python_shows_its_certificate():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        await echoed(strict_server, client_context(client=folder, version=version))


@check
async def python_is_refused_without_a_certificate():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        await refused(strict_server, client_context(version=version))


@check
async def python_is_refused_with_a_certificate_of_another_authority():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        await refused(strict_server, client_context(client=other_folder, version=version))


@check
async def python_has_many_connections():
    await asyncio.gather(*(echoed(open_server, client_context()) for _ in range(20)))


# --- curl ---------------------------------------------------------------------------------------------------------


def curl(*arguments):
    return subprocess.run(
        ['curl', '--silent', '--show-error', '--noproxy', '*', '--max-time', str(DEADLINE_S), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True)


def curl_gets_a_file():
    result = curl('--cacert', f'{folder}/ca.pem', f'https://localhost:{open_server.port}/small')
    assert result.returncode == 0, result.stderr
    assert result.stdout == (ROOT / 'tests' / 'interop' / 'echo_server.lua').read_text()


def curl_is_told_that_this_is_tls():
    result = curl('--write-out', '%{http_code}', f'http://localhost:{open_server.port}/small')
    assert result.stdout.endswith('400') and 'TLS' in result.stdout, result


def curl_shows_its_certificate():
    address = f'https://localhost:{strict_server.port}/small'
    with_certificate = curl('--cacert', f'{folder}/ca.pem', '--cert', f'{folder}/client.pem', '--key',
                            f'{folder}/client.key', address)
    assert with_certificate.returncode == 0, with_certificate.stderr
    without = curl('--cacert', f'{folder}/ca.pem', address)
    assert without.returncode != 0 and not without.stdout, without


# --- sslscan ------------------------------------------------------------------------------------------------------


def scan_finds_no_weakness():
    report = subprocess.run(
        ['sslscan', '--xml=-', '--no-colour', '--show-certificate', f'127.0.0.1:{open_server.port}'],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10 * DEADLINE_S)
    scan = xml.etree.ElementTree.fromstring(report.stdout).find('ssltest')
    protocols = {f'{item.get("type")}v{item.get("version")}': item.get('enabled') for item in scan.findall('protocol')}
    assert protocols == {'sslv2': '0', 'sslv3': '0', 'tlsv1.0': '0', 'tlsv1.1': '0', 'tlsv1.2': '1', 'tlsv1.3': '1'}, \
        protocols
    ciphers = [(item.get('sslversion'), item.get('cipher'), item.get('strength')) for item in scan.findall('cipher')]
    assert ciphers, report.stdout
    for version, name, strength in ciphers:
        assert strength in ('strong', 'acceptable'), (version, name, strength)
        assert version == 'TLSv1.3' or re.fullmatch(r'ECDHE-\w+-(AES(128|256)-GCM-SHA\d+|CHACHA20-POLY1305)', name), name
    renegotiation = scan.find('renegotiation')
    assert renegotiation.get('supported') == '0' or renegotiation.get('secure') == '1', renegotiation.attrib
    for item in scan.findall('compression'):  # not told when the scanner's OpenSSL has none
        assert item.get('supported') == '0', item.attrib
    for item in scan.findall('fallback'):  # not told when there is nothing to fall back to
        assert item.get('supported') == '1', item.attrib
    for item in scan.findall('heartbleed'):
        assert item.get('vulnerable') == '0', item.attrib
    for group in scan.findall('group'):
        assert int(group.get('bits')) >= 128 and 'ffdhe' not in group.get('name'), group.attrib


if __name__ == '__main__':
    sys.exit(run(Servers(), [
        libwebsockets_counts, libwebsockets_echoes_without_errors, libwebsockets_gets_the_page,
        python_echoes_in_both_versions, python_verifies_names_and_addresses,
        python_refuses_a_server_of_another_authority, python_shows_its_certificate,
        python_is_refused_without_a_certificate, python_is_refused_with_a_certificate_of_another_authority,
        python_has_many_connections, curl_gets_a_file, curl_is_told_that_this_is_tls, curl_shows_its_certificate,
        scan_finds_no_weakness]))
