# SPDX-License-Identifier: MIT
"""What a cluster over Redis costs: CPU time of a publish at the machine that sends it and at Redis, a message's way from
machine to machine next to that by bare hiredis, deliveries in a second, memory: Markdown tables.

Starts a redis-server of its own, on a port and a unix socket. Usage: bench/cluster/run [--rounds N] [--scale X]
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from measure import RUN_LIMIT_S, START_LIMIT_S, Failure, Process, cpu_us, find_server, free_port, private_bytes  # noqa: E402
from programs import BUILT, FLAGS, Missing  # noqa: E402

OURS = find_server('ours')


class Redis(Process):
    def __init__(self, folder):
        if not shutil.which('redis-server'):
            raise Missing('redis-server')
        self.port, self.path = free_port(), f'{folder}/socket'
        super().__init__(None, ['redis-server', '--port', self.port, '--bind', '127.0.0.1', '--unixsocket', self.path,
                                '--save', '', '--dir', folder, '--loglevel', 'warning',
                                '--client-output-buffer-limit', 'pubsub', '0', '0', '0'], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_LIMIT_S
        while self.ask('PING') != 'PONG':
            if time.monotonic() > deadline:
                raise Failure('redis-server does not answer')
            time.sleep(0.02)

    def ask(self, *words):
        return subprocess.run(['redis-cli', '-p', self.port, *words], capture_output=True, text=True).stdout.strip()

    def used_bytes(self):
        return int(self.ask('INFO', 'memory').partition('used_memory:')[2].split()[0])

    def urls(self):
        return {'TCP': f'redis://127.0.0.1:{self.port}', 'unix socket': f'redis+unix:{self.path}'}


def node(redis, *words, url=None):
    command = ['lua5.4', str(HERE / 'node.lua'), url or redis.urls()['TCP'], *(str(word) for word in words)]
    return Process(None, command, OURS.environment)


def bare_program():
    source, program = HERE / 'bare.cpp', BUILT / 'cluster_bare'
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        BUILT.mkdir(parents=True, exist_ok=True)
        subprocess.run(['g++', '-std=c++20', *FLAGS, '-o', program, source, '-lhiredis'], check=True)
    return str(program)


def ready(process):
    line = process.read_line(START_LIMIT_S).split()
    assert line[0] == 'ready', line
    return line[1:]


def finish(process):
    line = process.read_line(RUN_LIMIT_S).split()
    assert line[0] == 'done', line
    return [float(word) for word in line[1:]]


# --- What is measured ---------------------------------------------------------------------------------------------


def publish(redis, topic, hearers, batch, count):
    """CPU time of a publish, in µs: here and at Redis."""
    with contextlib.ExitStack() as stack:
        for _ in range(hearers):
            ready(stack.enter_context(node(redis, 'hear', topic)))
        with node(redis, 'publish', topic, count, batch, 100, 100) as publisher:
            ready(publisher)
            before = cpu_us(publisher.pid), cpu_us(redis.pid)
            publisher.begin()
            finish(publisher)
            return [(after - was) / count for after, was in zip((cpu_us(publisher.pid), cpu_us(redis.pid)), before)]


def way(redis, kind, count, seconds, is_ours_first):
    """Median and 99th percentile, in µs: ours, and bare."""
    place = {'TCP': ['127.0.0.1', redis.port], 'unix socket': [redis.path, '0']}[kind]
    url = redis.urls()[kind]
    pairs = [(node(redis, 'hear_times', count, url=url), node(redis, 'send_times', count, seconds, url=url)),
             (Process(None, [bare_program(), *place, 'hear', str(count)]),
              Process(None, [bare_program(), *place, 'send', str(count), str(seconds)]))]
    results = []
    for hearer, sender in pairs if is_ours_first else reversed(pairs):
        with hearer, sender:
            ready(hearer)
            hearer.begin()
            ready(sender)
            sender.begin()
            results.append(finish(hearer))
    return results if is_ours_first else results[::-1]


def deliver(redis, connections, count):
    """Deliveries in a second, by two machines; CPU time of one at the machines, in µs."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        servers = [enter(node(redis, 'serve', 'all', connections, number)) for number in (count, 0)]
        clients = [enter(node(redis, 'clients', *ready(server), connections, count)) for server in servers]
        for one in clients + servers:
            ready(one)
        for one in clients + servers[1:]:
            one.begin()
        before = sum(cpu_us(server.pid) for server in servers)
        begun = time.monotonic()
        servers[0].begin()
        for one in clients:
            finish(one)
        seconds = time.monotonic() - begun
        used = sum(cpu_us(server.pid) for server in servers) - before
        deliveries = 2 * connections * count
        return deliveries / seconds, used / deliveries


def topics(redis, count):
    """Bytes of a topic that has a subscriber: at the machine, at Redis."""
    redis.ask('FLUSHALL')
    with node(redis, 'topics', count) as one:
        ready(one)
        before = private_bytes(one.pid), redis.used_bytes()
        one.begin()
        finish(one)
        return [(after - was) / count for after, was in zip((private_bytes(one.pid), redis.used_bytes()), before)]


def entries(redis, count):
    """Bytes of a message of 100 in a history, at Redis."""
    redis.ask('FLUSHALL')
    before = redis.used_bytes()
    with node(redis, 'publish', 'h/1', count, 64, 100, 1_000_000) as publisher:
        ready(publisher)
        publisher.begin()
        finish(publisher)
        return (redis.used_bytes() - before) / count


# --- The tables ---------------------------------------------------------------------------------------------------


def medians(rounds, measure, *arguments):
    results = [measure(*arguments) for _ in range(rounds)]
    return [statistics.median(values) for values in zip(*results)]


def print_publishes(redis, rounds, count):
    print('| published, 100 B | machines that hear it | µs of CPU here | at Redis |\n|---|---|---|---|')
    for topic, name in (('news', ''), ('h/1', ', history')):
        for batch in (1, 64):
            for hearers in (1, 16):
                here, there = medians(rounds, publish, redis, topic, hearers, batch, count)
                how = 'one by one' if batch == 1 else f'{batch} in a round'
                print(f'| {how}{name} | {hearers} | {here:.3g} | {there:.3g} |', flush=True)


def print_ways(redis, rounds, count):
    print('\n| by | median, µs | bare hiredis | ratio | 99th percentile, µs | bare hiredis | ratio |\n|---|---|---|---|---|---|---|')
    for kind in redis.urls():
        results = [way(redis, kind, count, 0.005, i % 2 == 0) for i in range(rounds)]
        row = []
        for i in range(2):
            ours, bare = ([result[whose][i] for result in results] for whose in range(2))
            ratio = statistics.median(one / other for one, other in zip(ours, bare))
            row += [f'{statistics.median(ours):.0f}', f'{statistics.median(bare):.0f}', f'{ratio:.2f}']
        print(f'| {kind} | {" | ".join(row)} |', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--scale', type=float, default=1)
    arguments = parser.parse_args()
    rounds, scale = arguments.rounds, arguments.scale
    with tempfile.TemporaryDirectory() as folder, Redis(folder) as redis:
        print_publishes(redis, rounds, int(50_000 * scale))
        print_ways(redis, rounds, int(1000 * scale))
        connections = min(2000, max(10, int(2000 * scale)))
        per_second, here = medians(rounds, deliver, redis, connections, 200)
        print(f'\nTwo machines, {connections} clients each: {per_second:.3g} deliveries in a second, of '
              f'{here:.3g} µs of CPU at the machines.')
        here, there = topics(redis, int(100_000 * scale))
        print(f'A topic that has a subscriber: {here:.0f} bytes at its machine, {there:.0f} at Redis. '
              f'A message of 100 bytes in a history: {entries(redis, int(100_000 * scale)):.0f} bytes at Redis.')


main()
