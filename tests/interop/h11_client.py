# SPDX-License-Identifier: MIT
"""An HTTP client whose reading is done by h11, for http_h11.py."""

import collections
import datetime

import h11

from rfc6455.connection import Connection

HOST = ('Host', '127.0.0.1')

Answer = collections.namedtuple('Answer', 'status headers body interim')


def combined(fields):
    """Only Connection may come in several lines here."""
    headers = {}
    for name, value in fields:
        assert name not in headers or name == b'connection', f'a header comes twice: {fields}'
        headers[name] = headers[name] + b', ' + value if name in headers else value
    return headers


class Client:
    """One connection. h11 is told what is asked, and reads all that is answered."""

    def __init__(self, port):
        self.connection = Connection(port)
        self.parser = h11.Connection(h11.CLIENT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.__exit__()

    def send(self, data):
        self.connection.send(data)

    def ask(self, method='GET', target='/', headers=(HOST,), content=b'', data=None):
        """Sends a request, or `data` in its place, and returns the answer."""
        sent = self.parser.send(h11.Request(method=method, target=target, headers=list(headers)))
        if content:
            sent += self.parser.send(h11.Data(content))
        sent += self.parser.send(h11.EndOfMessage())
        self.send(sent if data is None else data)
        return self.read_answer()

    def next_event(self):
        while (event := self.parser.next_event()) is h11.NEED_DATA:
            connection = self.connection
            if not connection.at_end():
                self.parser.receive_data(connection.read(len(connection.received) - connection.position))
            else:
                self.parser.receive_data(b'')
        return event

    def read_answer(self):
        interim, body = [], b''
        while not isinstance(event := self.next_event(), h11.Response):
            assert isinstance(event, h11.InformationalResponse), event
            interim.append(event.status_code)
            if event.status_code == 101:
                return Answer(101, combined(event.headers), b'', interim)
        while not isinstance(part := self.next_event(), h11.EndOfMessage):
            body += part.data
        assert not part.headers, 'there are trailers'
        answer = Answer(event.status_code, combined(event.headers), body, interim)
        assert event.http_version == b'1.1' and event.reason, event
        return answer

    def next_cycle(self):
        """The connection is kept, in the server's opinion too."""
        self.parser.start_next_cycle()

    def expect_end(self):
        """The answer said so, and nothing follows it."""
        assert self.parser.their_state in (h11.MUST_CLOSE, h11.CLOSED), self.parser.states
        assert self.parser.trailing_data[0] == b'', self.parser.trailing_data
        self.connection.expect_end()


def check(answer, status, body=None):
    """What RFC 9110 asks of every answer. Without a body given: there is one, for a person to read."""
    assert answer.status == status, answer
    headers = answer.headers
    date = datetime.datetime.strptime(headers[b'date'].decode(), '%a, %d %b %Y %H:%M:%S GMT')
    assert abs(date - datetime.datetime.utcnow()) < datetime.timedelta(hours=1), date  # 6.6.1
    assert b'content-length' in headers and b'transfer-encoding' not in headers, headers
    assert b'content-type' in headers, headers
    if body is None:
        assert answer.body.strip(), answer
        assert int(headers[b'content-length']) == len(answer.body), answer
    else:
        assert answer.body == body, f'{len(answer.body)} bytes, not {len(body)}'
    assert status != 405 or b'allow' in headers, headers  # 15.5.6
    if status == 426:
        # 15.5.22, 7.8
        assert (headers[b'upgrade'], headers[b'connection']) == (b'websocket', b'close, Upgrade'), headers
