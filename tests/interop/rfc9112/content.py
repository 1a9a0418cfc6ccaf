# SPDX-License-Identifier: MIT
"""RFC 9112 6, 7 and 11.2: where the content of a request ends, and that nobody can be told two things about it."""

from rfc6455.connection import Connection, split
from rfc9112.exchange import check_not_understood, check_understood, chunked, get, lines, post
from rules import labelled, product, rule

CHUNKED = 'Transfer-Encoding: chunked'
SMUGGLED = b'GET /echo?smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
SEEN = b'POST /echo a '


@rule('6', 'Without Content-Length and Transfer-Encoding there is no content, whatever the method.', labelled([
    'GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']))
def no_content(server, method):
    check_understood(server, lines(f'{method} /echo HTTP/1.1', 'Host: a'), f'{method} /echo a '.encode())


@rule('6', 'Content is octets, whatever they are, and whatever the method.', product(
    [(method, method) for method in ('GET', 'POST', 'DELETE')],
    [('a request', SMUGGLED), ('all octets', bytes(range(256))), ('CR LF', b'\r\n' * 3),
    ('chunks', b'1\r\na\r\n0\r\n\r\n')]))
def any_content(server, method, content):
    data = lines(f'{method} /echo HTTP/1.1', 'Host: a', f'Content-Length: {len(content)}', content=content)
    check_understood(server, data, f'{method} /echo a '.encode() + content)


@rule('6.1', 'Transfer-Encoding is "chunked", compared without case, once.', labelled([
    'chunked', 'Chunked', 'CHUNKED', ' \tchunked\t ']))
def transfer_encoding(server, value):
    check_understood(server, post(f'Transfer-Encoding: {value}', content=b'1\r\nx\r\n0\r\n\r\n'), SEEN + b'x')


@rule('6.1', 'A coding that is not known is refused with 501.', labelled([
    'gzip', 'identity', 'gzip, chunked', 'chunked2', 'xchunked', 'x-chunked', "'chunked'", 'chunk',
    'deflate, chunked',
    'identity, chunked']))
def unknown_coding(server, value):
    check_not_understood(server, post(f'Transfer-Encoding: {value}', content=b'0\r\n\r\n'), 501)


@rule('6.1', 'Any other Transfer-Encoding is refused.', labelled([
    '', ',', 'chunked,', ', chunked', 'chunked, chunked', 'chunked, gzip', 'chunked, identity', 'gzip,, chunked',
    'chunked;a=b', 'chunked; q=1', '"chunked"', 'chun ked', 'chunked chunked', '\x0bchunked', 'chunked\x00',
    'chunked\x0c', '\xa0chunked', 'chunked/1', '[chunked]']))
def malformed_transfer_encoding(server, value):
    check_not_understood(server, post(f'Transfer-Encoding: {value}', content=b'0\r\n\r\n'))


@rule('6.1', 'Transfer-Encoding does not come more than once.', [
    ('the same', ['chunked', 'chunked'], 400), ('unknown last', ['chunked', 'identity'], 400),
    ('unknown first', ['identity', 'chunked'], 501), ('empty first', ['', 'chunked'], 400),
    ('empty last', ['chunked', ''], 400), ('another case', ['chunked', 'CHUNKED'], 400)])
def repeated_transfer_encoding(server, values, status):
    check_not_understood(server, post(*[f'Transfer-Encoding: {value}' for value in values], content=b'0\r\n\r\n'),
        status)


@rule('6.1', 'HTTP/1.0 knows no Transfer-Encoding: it is refused.')
def transfer_encoding_of_http_1_0(server, _):
    check_not_understood(server, lines('POST /echo HTTP/1.0', CHUNKED, content=b'0\r\n\r\n'))


@rule('6.2', 'Content-Length is decimal digits.', [
    ('0', '0', b''), ('1', '1', b'x'), ('zeros in front', '0005', b'hello'), ('many zeros', '0' * 30 + '5', b'hello'),
    ('blanks around', '\t5 ', b'hello')])
def content_length(server, value, content):
    check_understood(server, post(f'Content-Length: {value}', content=content), SEEN + content)


@rule('6.2', 'Any other Content-Length is refused.', labelled([
    '', '+5', '-5', '-0', '5.0', '5e0', '0x5', '5 5', '5,5', '5, 5', '5,', ',5', '5;', '"5"', 'five', '5a', 'a5',
    '5_0', '\x0b5',
    '5\x00', '\xb2', '18446744073709551616', '18446744073709551621', '9' * 40]))
def malformed_content_length(server, value):
    check_not_understood(server, post(f'Content-Length: {value}', content=b'hello'))


@rule('6.2', 'Content-Length does not come more than once.', [
    ('the same', ['5', '5']), ('different ones', ['5', '0']), ('the smaller first', ['0', '5']),
    ('with zeros', ['5', '05']),
    ('one empty', ['5', ''])])
def repeated_content_length(server, values):
    check_not_understood(server, post(*[f'Content-Length: {value}' for value in values], content=b'hello'))


@rule('6.2', 'Content over the limit is refused with 413, before it comes.', [
    ('a byte more', post('Content-Length: 1048577')), ('2^64-1', post('Content-Length: 18446744073709551615')),
    ('a chunk', chunked(b'100001\r\n')), ('chunks together', chunked(b'1\r\nx\r\n100000\r\n')),
    ('the largest chunk', chunked(b'ffffffffffffffff\r\n'))])
def large_content(server, data):
    check_not_understood(server, data, 413)


@rule('6.3', 'Content-Length and Transfer-Encoding exclude each other.', [
    ('the length first', ['Content-Length: 5', CHUNKED]), ('the length last', [CHUNKED, 'Content-Length: 5']),
    ('no length', ['Content-Length: 0', CHUNKED]), ('other cases', ['content-LENGTH: 5',
    'transfer-ENCODING: CHUNKED'])])
def length_and_chunked(server, headers):
    check_not_understood(server, post(*headers, content=b'0\r\n\r\n'))


@rule('6.3', 'A request that ends within its content is no request.', [
    ('Content-Length', post('Content-Length: 5', content=b'hell')), ('a chunk', chunked(b'5\r\nhell')),
    ('chunks without the last', chunked(b'5\r\nhello\r\n')), ('without the last line', chunked(b'0\r\n')),
    ('a head without its end', get()[:-2])])
def cut_off(server, data):
    with Connection(server.port) as connection:
        connection.send(data)
        connection.end()
        connection.expect_end()  # without an answer: the handler was not called


@rule('6.3', 'A request may arrive in any pieces.', labelled([1, 2, 3, 7]))
def pieces(server, piece):
    data = b'\r\n' + get() + post('Content-Length: 5',
        content=b'hello') + chunked(b'5;a="b;c"\r\nhello\r\n0\r\nX: y\r\n\r\n')
    check_understood(server, data, b'GET /echo a ', SEEN + b'hello', SEEN + b'hello', piece=piece)


@rule('7.1', 'Chunks have sizes in hexadecimal digits of either case, with zeros in front, and one of 0 is the last.',
    [
    ('one', b'5\r\nhello\r\n0\r\n\r\n', b'hello'), ('several', b'1\r\nh\r\n4\r\nello\r\n0\r\n\r\n', b'hello'),
    ('zeros', b'00005\r\nhello\r\n000\r\n\r\n', b'hello'), ('lower case', b'a\r\n0123456789\r\n0\r\n\r\n',
    b'0123456789'),
    ('upper case', b'0A\r\n0123456789\r\n0\r\n\r\n', b'0123456789'), ('none', b'0\r\n\r\n', b''),
    ('what looks like the end', b'5\r\n0\r\n\r\n\r\n0\r\n\r\n', b'0\r\n\r\n'),
    ('what looks like a request', b'%x\r\n%s\r\n0\r\n\r\n' % (len(SMUGGLED), SMUGGLED), SMUGGLED)])
def chunks(server, data, content):
    check_understood(server, chunked(data), SEEN + content)


@rule('7.1', 'Content may be in very many chunks.')
def many_chunks(server, _):
    content = bytes(range(256)) * 16
    data = b''.join(b'%x\r\n%s\r\n' % (len(part), part) for part in split(content, 3))
    check_understood(server, chunked(data + b'0\r\n\r\n'), SEEN + content)


@rule('7.1', 'A malformed size, or an end that is not where it should be, is refused.', labelled([
    b'\r\n', b'x\r\n', b'0x5\r\nhello\r\n', b'+5\r\nhello\r\n', b'-5\r\n', b' 5\r\nhello\r\n', b'\t5\r\nhello\r\n',
    b'5 \r\nhello\r\n',
    b'5\t\r\nhello\r\n', b'5_\r\nhello\r\n', b'5.0\r\nhello\r\n', b'5h\r\nhello\r\n', b'5,5\r\nhello\r\n',
    b'5\nhello\r\n', b'5\rhello\r\n',
    b'5\r\nhello\n0\r\n\r\n', b'5\r\nhello\r0\r\n\r\n', b'5\r\nhello0\r\n\r\n', b'5\r\nhello!\r\n0\r\n\r\n',
    b'5\r\nhell\r\n0\r\n\r\n',
    b'5\r\nhello\r\n\r\n0\r\n\r\n', b'5\r\nhello\r\n 0\r\n\r\n', b'0\n\r\n', b'0\r\n\n', b'0\r\n\r\r\n',
    b'0 \r\n\r\n', b'-0\r\n\r\n',
    b'10000000000000000\r\n', b'10000000000000005\r\nhello\r\n', b'\xb2\r\n', b'5\x00\r\nhello\r\n', b'\x00\r\n']))
def malformed_chunks(server, data):
    check_not_understood(server, chunked(data))


@rule('7.1.1', 'Extensions of chunks are passed over.', labelled([
    b'5;a\r\nhello\r\n0\r\n\r\n', b'5;a=b\r\nhello\r\n0;c\r\n\r\n', b'5 ; a = b ; c\r\nhello\r\n0\r\n\r\n',
    b'5;a="b"\r\nhello\r\n0\r\n\r\n', b'5;a="\\";b"\r\nhello\r\n0\r\n\r\n', b'5;0=5\r\nhello\r\n0\r\n\r\n']))
def chunk_extensions(server, data):
    check_understood(server, chunked(data), SEEN + b'hello')


@rule('7.1.1', 'Malformed extensions, and too long ones, are refused.', labelled([
    b'5;\r\nhello\r\n', b'5;=b\r\nhello\r\n', b'5 a\r\nhello\r\n', b'5;a b\r\nhello\r\n', b'5;a="b\r\nhello\r\n',
    b'5;a\nb\r\nhello\r\n',
    b'5;a\rb\r\nhello\r\n', b'5;a="\r"\r\nhello\r\n', b'5;a="\n"\r\nhello\r\n', b'5;a="\x00"\r\nhello\r\n',
    b'5;a\n0\r\n\r\n',
    b'0;a\n\r\n'])
    + [('long', b'5;a=' + b'b' * 10000), ('long ones together', (b'1;a=' + b'b' * 1000 + b'\r\nx\r\n') * 20)])
def malformed_chunk_extensions(server, data):
    check_not_understood(server, chunked(data))


@rule('7.1.2', 'Trailers are passed over: they are no headers.', labelled([
    b'X-Seen: a\r\n', b'X-Seen: a\r\nY:\r\n', b'Host: b\r\n', b'Connection: close\r\n', b'Expect: x\r\n']))
def trailers(server, data):
    check_understood(server, chunked(b'5\r\nhello\r\n0\r\n' + data + b'\r\n'), SEEN + b'hello')


@rule('7.1.2', 'Malformed trailers are refused, and such as would frame the content.', labelled([
    b'X\r\n', b': a\r\n', b'X : a\r\n', b'X: a\r\n b\r\n', b' X: a\r\n', b'X: a\nY: b\r\n', b'X: a\rY: b\r\n',
    b'X: \x00\r\n',
    b'\xe4: a\r\n', b'Content-Length: 5\r\n', b'Transfer-Encoding: chunked\r\n', b'GET /echo HTTP/1.1\r\n'])
    + [('long', b'X: ' + b'a' * 10000)])
def malformed_trailers(server, data):
    check_not_understood(server, chunked(b'5\r\nhello\r\n0\r\n' + data + b'\r\n'))


@rule('11.2', 'A request that another reader could take for two, or for a part of one, is refused.', [
    ('CL.TE', post('Content-Length: 6', CHUNKED, content=b'0\r\n\r\nG'), 400),
    ('TE.CL', post(CHUNKED, 'Content-Length: 3', content=b'1\r\nG\r\n0\r\n\r\n'), 400),
    ('TE.TE', post(CHUNKED, 'Transfer-Encoding: x', content=b'0\r\n\r\n'), 400),
    ('TE.0', post('Transfer-Encoding: identity', content=SMUGGLED), 501),
    ('CL.CL', post('Content-Length: 0', f'Content-Length: {len(SMUGGLED)}', content=SMUGGLED), 400),
    ('a header by LF', post('X: a\nTransfer-Encoding: chunked', content=b'0\r\n\r\n'), 400),
    ('a header by CR', post('X: a\rTransfer-Encoding: chunked', content=b'0\r\n\r\n'), 400),
    ('a header by folding', post('Transfer-Encoding:\r\n chunked', content=b'0\r\n\r\n'), 400),
    ('a header with a blank', post('Transfer-Encoding : chunked', content=b'0\r\n\r\n'), 400),
    ('an underscore', post('Content_Length : 5', 'Content-Length: 0', content=b'hello'), 400),
    ('a chunk by LF', chunked(b'2\n\r\n0\r\n\r\n'), 400), ('a chunk by CR', chunked(b'2\r\r;a\r\n02\r\n0\r\n\r\n'),
    400),
    ('an extension by LF', chunked(b'2;\nxx\r\n0\r\n\r\n'), 400),
    ('a size that overflows', chunked(b'100000000\r\n'), 413),
    ('an upgrade with content', post('Upgrade: websocket', 'Connection: Upgrade', 'Content-Length: 5',
    content=b'hello'), 400),
    ('an upgrade with chunks', post('Upgrade: websocket', 'Connection: Upgrade', CHUNKED, content=b'0\r\n\r\n'),
    400)])
def smuggling(server, data, status):
    check_not_understood(server, data, status)
