# SPDX-License-Identifier: MIT
"""Servers for client_*.py that do as a function says: what no real one does."""

import base64
import contextlib
import hashlib
import select
import socket
import struct
import threading

from support import DEADLINE_S

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode, payload=b'', fin=True, reserved=0, mask=None):
    size = len(payload)
    length, extended = (size, b'') if size < 126 else \
        (126, struct.pack('>H', size)) if size < 65536 else (127, struct.pack('>Q', size))
    if mask:
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([fin << 7 | reserved << 4 | opcode, bool(mask) << 7 | length]) + extended + (mask or b'') + payload


def close_frame(code, reason=''):
    return frame(CLOSE, struct.pack('>H', code) + reason.encode() if code != 1005 else b'')


class Connection:
    """What a client has opened."""

    def __init__(self, sock):
        self.sock, self.buffer, self.head = sock, bytearray(), None
        sock.settimeout(DEADLINE_S)

    def send(self, *parts):
        self.sock.sendall(b''.join(part.encode() if isinstance(part, str) else part for part in parts))

    def receive(self):
        data = self.sock.recv(262144)
        self.buffer += data
        return data

    def read(self, size):
        while len(self.buffer) < size:
            if not self.receive():
                raise EOFError(f'the client ended the connection after {bytes(self.buffer)!r}')
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def read_head(self):
        """A request's."""
        while (end := self.buffer.find(b'\r\n\r\n')) < 0:
            if not self.receive():
                raise EOFError(f'the client ended the connection after {bytes(self.buffer)!r}')
        self.head = self.read(end + 4).decode()
        return self.head

    def headers(self):
        lines = self.head.split('\r\n')[1:-2]
        return {name.lower(): value.strip() for name, value in (line.split(':', 1) for line in lines)}

    def accept_key(self):
        key = self.headers()['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
        return base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()

    def switching(self, *lines, **replaced):
        """The 101; `replaced`: other values, or None for no such line."""
        own = {'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec_WebSocket_Accept': self.accept_key(), **replaced}
        fields = [f'{name.replace("_", "-")}: {value}' for name, value in own.items() if value is not None]
        return '\r\n'.join(['HTTP/1.1 101 Switching Protocols', *fields, *lines, '', ''])

    def open(self):
        self.read_head()
        self.send(self.switching())

    def read_frame(self):
        """Its opcode and payload. A client masks, and sends nothing else that is not as it should be."""
        first, second = self.read(2)
        assert not first & 0x70 and second & 0x80, (first, second)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(self.read(2 if size == 126 else 8), 'big')
        mask = int.from_bytes(self.read(4) * (size // 4 + 1), 'big')
        payload = self.read(size)
        return first & 0x0F, (int.from_bytes(payload + bytes(4 + size // 4 * 4 - size), 'big') ^ mask).to_bytes(
            4 + size // 4 * 4, 'big')[:size]

    def read_close(self):
        """The code of the Close frame, whatever comes before it; and its reason."""
        opcode = None
        while opcode != CLOSE:
            opcode, payload = self.read_frame()
        return (int.from_bytes(payload[:2], 'big') if payload else 1005), payload[2:].decode()

    def wind_up(self):
        """Answers the Close frame, if one comes, and ends the connection."""
        with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
            self.send(close_frame(self.read_close()[0]))

    def has_input(self):
        return bool(self.buffer or select.select([self.sock], [], [], 0)[0])

    def wait_end(self):
        """Until the client has ended the connection; returns what it has sent before."""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while self.receive():
                pass
        return bytes(self.buffer)

    def send_for_ever(self, data):
        """Until the client ends the connection."""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while True:
                self.send(data)


class RawServer:
    """Serves each connection by a function, in a thread: the first one by the first, …, all others by the last. `heads`:
    the requests, by connection; None where none was read."""

    def __init__(self, *scripts, tls=None):
        self.scripts, self.tls = scripts, tls
        self.heads, self.errors, self.threads = [], [], []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.url = f'wss://localhost:{self.port}/' if tls else f'ws://127.0.0.1:{self.port}/'

    def __enter__(self):
        self.accepting = threading.Thread(target=self.accept)
        self.accepting.start()
        return self

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            index = len(self.threads)
            self.heads.append(None)
            self.threads.append(threading.Thread(target=self.serve, args=[index, sock]))
            self.threads[-1].start()

    def serve(self, index, sock):
        try:
            sock.settimeout(DEADLINE_S)
            with sock if not self.tls else self.tls.wrap_socket(sock, server_side=True) as inner:
                connection = Connection(inner)
                try:
                    self.scripts[min(index, len(self.scripts) - 1)](connection)
                finally:
                    self.heads[index] = connection.head
        except Exception as error:  # raised by __exit__
            self.errors.append(error)

    def __exit__(self, kind, raised, _):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.accepting.join()
        for thread in self.threads:
            thread.join()
        if raised:
            for error in self.errors:
                raised.add_note(f'The server: {error!r}')
        elif self.errors:
            raise self.errors[0]


class Signal(RawServer):
    """Opens websockets from when it is given on: so the client learns what another server has seen."""

    def __init__(self):
        self.given = threading.Event()
        self.give = self.given.set
        super().__init__(self.answer)

    def answer(self, connection):
        connection.read_head()
        assert self.given.wait(DEADLINE_S), 'the signal is not given'
        connection.send(connection.switching())
        connection.wind_up()

    def __exit__(self, *arguments):
        self.give()
        super().__exit__(*arguments)
