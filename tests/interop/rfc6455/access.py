# SPDX-License-Identifier: MIT
"""RFC 6455 4.2.2 and 10.2: right handshakes that a server refuses nevertheless."""

from rfc6455.opening import check_accepted, check_refused, make_key, request
from rules import labelled, rule


@rule('10.2', 'A server that is told which origins it serves takes those, and clients that are no browsers.', [
    ('none', None), ('the one', 'https://example.org'), ('in upper case', 'HTTPS://EXAMPLE.ORG'),
    ('below another', 'http://a.example.net:8080'), ('far below', 'http://a.b.example.net:8080')])
def allowed_origin(server, value):
    key = make_key()
    check_accepted(server.guarded, request({'Origin': value}, key=key), key)


@rule('10.2', 'Every other origin is refused with 403.', [
    (str(value), value) for value in [
        'null', '', 'http://example.org', 'https://example.org:444', 'https://example.org.evil.example',
        'https://evilexample.org',
        'https://example.org/', 'https://example.org@evil.example', 'https://evil.example/https://example.org',
        'https://example.org, https://evil.example', 'http://example.net:8080', 'http://a.example.net',
        'http://evil/.example.net:8080', 'http://a@evil.example.net.evil:8080',
        ['https://example.org', 'https://example.org'],
        ['https://example.org', 'https://evil.example']]])
def other_origin(server, value):
    check_refused(server.guarded, request({'Origin': value}), 403)


@rule('4.2.2', 'A right handshake may be refused by any status; the answer has nothing of a handshake.', labelled([
    '401, { ["WWW-Authenticate"] = "Bearer" }', '403', '302, { Location = "/elsewhere" }', '200',
    '404, nil, "There is nothing."',
    '503, { ["Retry-After"] = 1 }']))
def refused_by_application(server, answer):
    response = check_refused(server.guarded, request(further=(f'X-Reject: {answer}',)), int(answer[:3]))
    assert not any(name.startswith('sec-websocket-') or name == 'upgrade' for name in response.headers), response
