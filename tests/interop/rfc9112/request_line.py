# SPDX-License-Identifier: MIT
"""RFC 9112 2 and 3: where a request begins, its lines, its method, its target, its version, and its Host."""

from rfc6455.connection import Connection
from rfc6455.opening import read_response
from rfc9112.exchange import NEXT, check_not_understood, check_understood, expect_seen, get, lines
from rules import labelled, rule

LONG = 'x' * 10000


def with_line(line):
    return lines(line, 'Host: a')


@rule('2.2', 'Empty lines in front of a request are passed over, a few of them.', labelled([1, 2, 8]))
def empty_lines(server, count):
    check_understood(server, b'\r\n' * count + get(), b'GET /echo a ')


@rule('2.2', 'What stands in front of a request else is refused.', [
    ('nine empty lines', b'\r\n' * 9), ('LF', b'\n'), ('CR', b'\r'), ('CR CR LF', b'\r\r\n'), ('a blank', b' '),
    ('a blank line', b' \r\n'), ('NUL', b'\0'), ('octets above 127', b'\xef\xbb\xbf')])
def leading_octets(server, data):
    check_not_understood(server, data + get())


@rule('2.2', 'A line does not end with LF alone.', [
    ('the request line', b'GET /echo HTTP/1.1\nHost: a\r\n\r\n'),
    ('a header', b'GET /echo HTTP/1.1\r\nHost: a\nX: b\r\n\r\n'),
    ('the last header', b'GET /echo HTTP/1.1\r\nHost: a\n\r\n'),
    ('the empty line', b'GET /echo HTTP/1.1\r\nHost: a\r\n\n'), ('all of them', get().replace(b'\r\n', b'\n')),
    ('a request within a header', b'GET /echo HTTP/1.1\r\nHost: a\r\nX: a\n\nGET /echo HTTP/1.1\r\n\r\n')])
def bare_lf(server, data):
    check_not_understood(server, data)


@rule('2.2', 'A CR without LF is refused, wherever it stands.', [
    ('in the target', b'GET /echo\rx HTTP/1.1\r\nHost: a\r\n\r\n'),
    ('as a blank', b'GET\r/echo HTTP/1.1\r\nHost: a\r\n\r\n'),
    ('behind the version', b'GET /echo HTTP/1.1\r\r\nHost: a\r\n\r\n'), ('in a name', get('X\r: a')),
    ('in front of a name', get('\rX: a')), ('in a value', get('X: a\rb')), ('at the end of a value', get('X: a\r')),
    ('as a line end', get('X: a\rTransfer-Encoding: chunked')), ('all line ends', get().replace(b'\r\n', b'\r'))])
def bare_cr(server, data):
    check_not_understood(server, data)


@rule('2.2', 'No white space stands between the request line and the first header.', [
    ('a blank', b' Host: a'), ('a tab', b'\tHost: a'), ('a line of blanks', b'  \r\nHost: a')])
def blank_before_headers(server, data):
    check_not_understood(server, b'GET /echo HTTP/1.1\r\n' + data + b'\r\n\r\n')


@rule('2.3', 'HTTP/1.0 and HTTP/1.1 are understood, and answered by HTTP/1.1.')
def versions(server, _):
    with Connection(server.port) as connection:
        connection.send(get() + lines('GET /echo HTTP/1.0', 'Host: old'))
        expect_seen(connection, b'GET /echo a ', b'GET /echo old ')
        connection.expect_end()


@rule('2.3', 'Later minor versions are taken for HTTP/1.1 (RFC 9110 2.5).', labelled(['HTTP/1.2', 'HTTP/1.9']))
def later_versions(server, version):
    check_understood(server, with_line(f'GET /echo {version}'), b'GET /echo a ')


@rule('2.3', 'Other versions are refused with 505.', labelled(['HTTP/0.9', 'HTTP/2.0', 'HTTP/2.1', 'HTTP/3.0']))
def other_versions(server, version):
    check_not_understood(server, with_line(f'GET /echo {version}'), 505)


@rule('2.3', 'What is no version is refused.', labelled([
    'http/1.1', 'HTTP/1', 'HTTP/1.', 'HTTP/1.10', 'HTTP/11', 'HTTP/1.1.1', 'HTTP /1.1', 'HTTP/a.b', 'HTTPS/1.1',
    'FTP/1.1', 'HTTP1.1', 'HTTP/-1.1']))
def malformed_version(server, version):
    check_not_understood(server, with_line(f'GET /echo {version}'))


@rule('3', 'A request line is a method, a target and a version with one blank between each two.', labelled([
    'GET /echo', 'GET', 'GET  /echo HTTP/1.1', 'GET /echo  HTTP/1.1', 'GET /echo HTTP/1.1 ', 'GET\t/echo HTTP/1.1',
    'GET /echo\tHTTP/1.1', 'GET /echo x HTTP/1.1', 'GET /echo\x0bHTTP/1.1', 'GET  HTTP/1.1', 'GET /echo HTTP/1.1 x']))
def malformed_line(server, line):
    check_not_understood(server, with_line(line))


@rule('3', 'Too long a target is refused with 414, as soon as it is.', [
    ('whole', with_line(f'GET /{LONG} HTTP/1.1')), ('without an end', b'GET /' + LONG.encode())])
def long_target(server, data):
    check_not_understood(server, data, 414)


@rule('3', 'Too long a method is refused with 501.')
def long_method(server, _):
    check_not_understood(server, with_line(f'{LONG} / HTTP/1.1'), 501)


@rule('3.1', 'A method is any token, compared with case.', labelled([
    'get', 'Get', 'PATCH', 'M-SEARCH', "a!#$%&'*+-.^_`|~9"]))
def methods(server, method):
    check_understood(server, with_line(f'{method} /echo HTTP/1.1'), f'{method} /echo a '.encode())


@rule('3.1', 'A method that is no token is refused.', labelled(['G(T', 'G:T', 'G"T', 'G\x00T', 'G\xcbT', '{}']))
def malformed_method(server, method):
    check_not_understood(server, with_line(f'{method} /echo HTTP/1.1'))


@rule('3.2', 'A target has no control characters, and no fragment.', labelled([
    '/echo\x00', '/echo\x01', '/echo\x1b[2J', '/echo\x7f', '/echo#', '/echo#part', '/#/echo', 'http://a/echo#part']))
def malformed_target(server, target):
    check_not_understood(server, get(target=target))


@rule('3.2', 'A request of HTTP/1.1 has one Host, of HTTP/1.0 at most one.', [
    ('none', lines('GET /echo HTTP/1.1')), ('two', lines('GET /echo HTTP/1.1', 'Host: a', 'Host: a')),
    ('two different', lines('GET /echo HTTP/1.1', 'Host: a', 'Host: b')),
    ('two, one empty', lines('GET /echo HTTP/1.1', 'Host:', 'Host: a')),
    ('another case', lines('GET /echo HTTP/1.1', 'Host: a', 'hOST: b')),
    ('two, HTTP/1.0', lines('GET /echo HTTP/1.0', 'Host: a', 'Host: b')),
    ('none, beside an absolute target', lines('GET http://a/echo HTTP/1.1'))])
def one_host(server, data):
    check_not_understood(server, data)


@rule('3.2', 'Whatever is no host and port is refused.', labelled([
    'a b', 'a,b', 'a, b', 'a/b', '/', 'a?b', 'a#b', 'a@b', 'user:word@a', 'http://a', 'a\\b', '"a"', '<a>', 'a:b',
    'a:1:2',
    'a:-1', '::1', '[::1', '::1]', '[::1]a', '[]', '[::1/]', 'a%', 'a%2', 'a%zz', '\xe4', 'a\tb']))
def malformed_host(server, value):
    check_not_understood(server, lines('GET /echo HTTP/1.1', f'Host: {value}'))


@rule('3.2', 'Every host is taken, also an empty one.', labelled([
    '', 'a', 'EXAMPLE.org', 'example.org:8080', 'a:', '127.0.0.1', '[::1]', '[::1]:80', '[v1.a:b]', 'a-b_c~d.',
    "a%20b!$&'"]))
def hosts(server, value):
    check_understood(server, lines('GET /echo HTTP/1.1', f'Host: {value}'), f'GET /echo {value} '.encode())


@rule('3.2.1', 'A path and a query are a target, whatever they consist of.', labelled([
    '/echo?', '/echo?a=b&c', '/echo/../x', '//echo', '/echo%00%2f', '/echo|{}"<>^`\\', '/echo\xe4',
    '/echo?http://b/']))
def origin_form(server, target):
    check_understood(server, get(target=target), f'GET {target} a '.encode('latin-1'))


@rule('3.2.1', 'What has no slash in front is no target.', labelled(['echo', '?echo', 'echo/', '.', '../echo',
    '%2Fecho']))
def relative_target(server, target):
    check_not_understood(server, get(target=target))


@rule('3.2.2', 'An absolute target is taken, and its host instead of the header Host.', [
    (target, target, host) for target, host in [
        ('http://b/echo', 'b'), ('HTTP://b:8080/echo?c', 'b:8080'), ('https://[::1]/echo', '[::1]'),
        ('http://b/echo@c', 'b'), ('ws://b/echo', 'b'), ('WSS://b:8080/echo', 'b:8080')]])
def absolute_form(server, target, host):
    check_understood(server, get(target=target), f'GET {target} {host} '.encode())


@rule('3.2.2', 'An absolute target has the scheme http, https, ws or wss, a host, and no user.', labelled([
    'http:///echo', 'http://', 'http://:80/echo', 'http:/echo', 'http:echo', 'http//a/echo', '://a/echo',
    'ftp://a/echo',
    'file:///echo', 'ws:///echo', 'http://user@a/echo', 'http://user:word@a/echo', 'http://a,b/echo',
    'http://[a/echo',
    'http://a:b/echo', 'http://a\\echo']))
def malformed_absolute_form(server, target):
    check_not_understood(server, get(target=target))


@rule('3.2.3', 'Nothing but CONNECT has a host and a port as its target; CONNECT is refused with 501.', [
    ('CONNECT', 'CONNECT a:443', 501), ('CONNECT to a path', 'CONNECT /echo', 501), ('GET', 'GET a:443', 400),
    ('POST', 'POST a:443', 400), ('OPTIONS', 'OPTIONS a:443', 400)])
def authority_form(server, line, status):
    check_not_understood(server, with_line(f'{line} HTTP/1.1'), status)


@rule('3.2.4', 'Nothing but OPTIONS has "*" as its target.', [('GET', 'GET *'), ('POST', 'POST *'), ('**',
    'OPTIONS **')])
def asterisk_of_others(server, line):
    check_not_understood(server, with_line(f'{line} HTTP/1.1'))


@rule('3.2.4', 'OPTIONS * is understood.')
def asterisk_form(server, _):
    with Connection(server.port) as connection:
        connection.send(with_line('OPTIONS * HTTP/1.1') + NEXT)
        assert read_response(connection).status == 404  # of the handler: there is nothing
        assert read_response(connection).status == 200
