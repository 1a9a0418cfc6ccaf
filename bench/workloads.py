# SPDX-License-Identifier: MIT
"""What servers are given to do, and what is told of it."""

import dataclasses
import resource
from dataclasses import dataclass

KIB, MIB = 2**10, 2**20
LIMIT_S = 10  # of a round: slow servers get fewer messages


@dataclass(frozen=True)
class Workload:
    """The fields are options of bench/load."""
    mode: str
    connections: int = 100
    size: int = 20
    outstanding: int = 1
    messages: int = 0
    idle: int = 0
    rate: int = 0
    seconds: int = 0
    flood: int = 0
    limit: int = 0
    tls: bool = False

    def scaled(self, factor):
        return dataclasses.replace(
            self, messages=int(self.messages * factor), seconds=max(int(self.seconds * factor), 1))


@dataclass(frozen=True)
class Metric:
    unit: str
    name: str  # in the result of a round
    compared: bool = True  # with raw epoll


METRICS = {
    'echo': [Metric('µs/message', 'cpu_us')],
    'fanout': [Metric('µs/receiver', 'cpu_us')],
    'connect': [Metric('µs/connection', 'cpu_us')],
    'idle': [Metric('bytes/connection', 'memory_bytes', compared=False)],
    'latency': [Metric('µs, median', 'p50_us'), Metric('µs, 99th percentile', 'p99_us'),
                Metric('µs, 99.9th percentile', 'p99.9_us', compared=False),
                Metric('µs, maximum', 'max_us', compared=False),
                Metric('messages/s', 'reached_rate', compared=False)],
    'storm': [Metric('µs/connection', 'cpu_us'), Metric('s until the last is in', 'last_s', compared=False),
              Metric('connections that did not get in', 'failed', compared=False)],
}


def most_connections():
    """That a process can have, and some descriptors besides."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200


def echo(size=20, connections=100, outstanding=1):
    """As many messages as take some seconds."""
    messages = min(200_000 if outstanding == 1 else 2_000_000, 2000 * MIB // size, 50_000 if size > 4 * KIB else 2**60)
    return Workload('echo', connections, size, outstanding, max(messages, 10 * connections), limit=LIMIT_S)


def describe_size(size):
    return f'{size // MIB} MiB' if size >= MIB else f'{size // KIB} KiB' if size >= KIB else f'{size} B'


def describe(workload):
    size = describe_size(workload.size)
    text = {
        'echo': f'echo, {size} × {workload.connections} × {workload.outstanding}',
        'fanout': f'one to {workload.connections}, {size}, {workload.outstanding} at a time',
        'connect': f'connect and close, {workload.connections} at a time',
        'idle': f'idle, {workload.connections}',
        'latency': f'latency, {size} × {workload.connections}, {workload.rate}/s',
        'storm': f'{workload.connections} connect at once',
    }[workload.mode]
    text += f', {workload.idle} idle' if workload.idle else ''
    text += f', {workload.flood} × 1 MiB besides' if workload.flood else ''
    return text + (', TLS' if workload.tls else '')


FIRST = [echo()]

TABLE = [
    *FIRST,
    echo(outstanding=64),
    echo(16 * KIB),
    echo(16 * KIB, outstanding=64),
    echo(MIB),
    Workload('fanout', 1000, messages=500_000, limit=LIMIT_S),
    Workload('connect', messages=10_000, limit=LIMIT_S),
    Workload('idle', 1000),
    Workload('storm', min(10_000, most_connections())),
    dataclasses.replace(echo(), tls=True),
    Workload('connect', messages=2_000, limit=LIMIT_S, tls=True),
]

COUNTS = [count for count in (1, 10, 100, 1000, 10_000, 18_000) if count <= most_connections()]
BY_CONNECTIONS = [echo(connections=count) for count in COUNTS]
BY_SIZE = [echo(size) for size in (20, 256, 2 * KIB, 16 * KIB, 128 * KIB, MIB)]
CONNECT_BY_IDLE = [Workload('connect', 10, idle=count - 10, messages=10_000, limit=LIMIT_S) for count in COUNTS[1:]]
IDLE = [Workload('idle', count) for count in COUNTS[1:]]
FAIRNESS = Workload('latency', rate=1000, seconds=10, flood=4)


def fixed_rate(rate):
    return Workload('latency', rate=rate, seconds=5)
