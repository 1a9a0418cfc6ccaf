#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Clients that have compressed messages (RFC 7692) echoed. As a program it takes its part like bench/load: 'ready', a line
on its input to begin, the result, a line to end."""

import argparse
import contextlib
import json
import socket
import struct
import sys
import zlib

sys.dont_write_bytecode = True

from corpora import CORPORA  # noqa: E402
from measure import Failure  # noqa: E402

OFFERS = {'each by itself': 'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
          'window kept': 'permessage-deflate'}
TAIL = b'\x00\x00\xff\xff'
CONNECTIONS, BATCH = 10, 20


def frame_of(payload):
    length = struct.pack('>BBH', 0xC1, 0x80 | 126, len(payload)) if len(payload) > 125 else \
        struct.pack('>BB', 0xC1, 0x80 | len(payload))
    return length + bytes(4) + payload  # a mask of zeros


def batches_of(messages, keeps_window):
    """What one client sends: compressed, in batches."""
    compressor, frames = None, []
    for message in messages:
        if compressor is None or not keeps_window:
            compressor = zlib.compressobj(6, wbits=-15)
        compressed = compressor.compress(message.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
        frames.append(frame_of(compressed.removesuffix(TAIL)))
    return [b''.join(frames[start:start + BATCH]) for start in range(0, len(frames), BATCH)]


class Client:
    def __init__(self, port, offer):
        self.socket = socket.create_connection(('127.0.0.1', int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            f'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
            f'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
            f'Sec-WebSocket-Protocol: bench\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n'.encode())
        head, _, self.data = self.socket.recv(4096).partition(b'\r\n\r\n')
        if b'permessage-deflate' not in head:
            raise Failure(f'does not compress: {head.decode()}')
        self.payload_bytes = 0

    def receive(self, messages):
        """Takes so many messages, which may be fragmented."""
        data, at = self.data, 0
        while messages > 0:
            length, header = (data[at + 1], 2) if len(data) >= at + 2 else (0, 2)
            if length == 126:
                length, header = (struct.unpack_from('>H', data, at + 2)[0], 4) if len(data) >= at + 4 else (0, 4)
            if len(data) < at + header + length:
                more = self.socket.recv(1 << 18)
                if not more:
                    raise Failure('closed the connection')
                data, at = data[at:] + more, 0
                continue
            messages -= data[at] >> 7
            self.payload_bytes += length
            at += header + length
        self.data = data[at:]


@contextlib.contextmanager
def open_clients(port, offer):
    with contextlib.ExitStack() as stack:
        clients = [Client(port, offer) for _ in range(CONNECTIONS)]
        for client in clients:
            stack.enter_context(client.socket)
        yield clients


def exchange(clients, batches):
    """All batches with each client: a batch is under way at a time."""
    for batch in batches:
        for client in clients:
            client.socket.sendall(batch)
        for client in clients:
            client.receive(BATCH)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--port', required=True)
    parser.add_argument('--offer', choices=list(OFFERS), default='each by itself')
    parser.add_argument('--size', type=int, default=1024, help='the messages are cut to so many bytes')
    parser.add_argument('--messages', type=int, default=10_000, help='of all clients, about')
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    batch_count = arguments.messages // (CONNECTIONS * BATCH) + 1
    messages = [message[:arguments.size] for message in CORPORA['telemetry'](batch_count * BATCH)]
    warm, *batches = batches_of(messages, arguments.offer == 'window kept')
    with open_clients(arguments.port, OFFERS[arguments.offer]) as clients:
        exchange(clients, [warm])
        print('ready', flush=True)
        sys.stdin.readline()
        exchange(clients, batches)
        print(json.dumps({'count': len(batches) * BATCH * CONNECTIONS}), flush=True)
        sys.stdin.readline()


if __name__ == '__main__':
    main()
