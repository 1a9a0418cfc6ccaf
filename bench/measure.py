# SPDX-License-Identifier: MIT
"""Runs a server and the load for it, each on a core of its own, and tells what the server process took."""

import dataclasses
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from programs import BUILT, FLAGS, ROOT, server_command
from workloads import KIB, METRICS, describe

SERVER_CORE, CLIENT_CORE = 0, 1
START_LIMIT_S, RUN_LIMIT_S = 60, 600
SETTLE_S = 0.05  # until the server sleeps: what it has used since the last tick counts only then
DEFAULT_LUA = 'lua5.4'


class Failure(Exception):
    """A server, or the load, did not do what it should."""


@dataclass(frozen=True)
class Server:
    name: str
    command: list
    environment: dict

    @property
    def has_tls(self):
        return is_ours(self.name)


# --- Programs -----------------------------------------------------------------------------------------------------


def is_ours(name):
    return name.partition('-')[0] == 'ours'


def find_server(name):
    """ours-luajit is ours on luajit, ours is ours on the default Lua. Failure: it cannot be run here."""
    lua = name.partition('-')[2] if is_ours(name) else ''
    lua = lua or DEFAULT_LUA
    environment = {**os.environ}
    if is_ours(name):
        if not shutil.which(lua):
            raise Failure(f'{lua} is not installed')
        if 'LUA_CPATH' not in environment and not (ROOT / 'build' / lua / 'websockets.so').exists():
            raise Failure(f'build/{lua}/websockets.so is missing; script/build makes it')
        environment.setdefault('LUA_CPATH', f'{ROOT}/build/{lua}/?.so;;')
    try:
        return Server(name, server_command('ours' if is_ours(name) else name, lua), environment)
    except SystemExit as reason:
        raise Failure(reason) from None
    except (subprocess.CalledProcessError, OSError) as reason:
        raise Failure(f'it cannot be built: {reason}') from None


def load_program():
    """Built when one of its files is newer."""
    program = BUILT / 'load'
    files = list((ROOT / 'bench' / 'load').iterdir())
    if not program.exists() or program.stat().st_mtime < max(file.stat().st_mtime for file in files):
        BUILT.mkdir(parents=True, exist_ok=True)
        sources = [file for file in files if file.suffix == '.cpp']
        made = program.with_suffix(f'.{os.getpid()}')  # others may be about to run it, or to build it
        subprocess.run(['g++', '-std=c++20', *FLAGS, '-o', made, *sources, '-lssl', '-lcrypto'], check=True)
        made.replace(program)
    return str(program)


def certificate():
    """The files of a certificate and its key."""
    folder = BUILT / 'certificates'
    if not (folder / 'server.key').exists():
        subprocess.run([ROOT / 'script' / 'demo-certificate', folder], check=True, stdout=subprocess.DEVNULL)
    return [str(folder / 'server.pem'), str(folder / 'server.key')]


# --- Processes ----------------------------------------------------------------------------------------------------


def free_port():
    # Below the ports that the system gives to clients: to none of the connections that follow.
    while True:
        port = random.randrange(10240, 32240)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(('127.0.0.1', port))
                return str(port)
            except OSError:
                pass


class Process:
    """In a process group of its own: what it has started ends with it, and it with the thread that has started it."""

    def __init__(self, core, command, environment=None, stderr=None):
        self.name = pathlib.Path(command[0]).name
        pinned = ['taskset', '-c', str(core)] if core in os.sched_getaffinity(0) else []
        self.process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', *pinned, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
            env=environment, process_group=0)
        self.pid = self.process.pid  # setpriv and taskset become the program

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.communicate()

    def read_line(self, limit_s):
        if not select.select([self.process.stdout], [], [], limit_s)[0]:
            raise Failure(f'{self.name} says nothing for {limit_s} s')
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f'{self.name} ended with status {self.process.wait()}')
        return line

    def begin(self):
        self.process.stdin.write('\n')
        self.process.stdin.flush()


def with_children(pid):
    yield pid
    for file in pathlib.Path(f'/proc/{pid}/task').glob('*/children'):
        for child in file.read_text().split():
            yield from with_children(int(child))


def thread_cpu_us(folder):
    """User and system time. schedstat counts nanoseconds, stat only ticks of 10 ms."""
    if (folder / 'schedstat').exists():
        return int((folder / 'schedstat').read_text().split()[0]) / 1e3
    fields = (folder / 'stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK') * 1e6


def cpu_us(pid):
    """Of a process and all that it has started."""
    return sum(thread_cpu_us(folder)
               for one in with_children(pid) for folder in pathlib.Path(f'/proc/{one}/task').iterdir())


def private_bytes(pid):
    """Memory that it, and what it has started, has written to."""
    rollups = (pathlib.Path(f'/proc/{one}/smaps_rollup').read_text() for one in with_children(pid))
    return sum(int(re.search(r'Private_Dirty: +(\d+) kB', text)[1]) * KIB for text in rollups)


# --- Measuring ----------------------------------------------------------------------------------------------------


def load_options(workload, port):
    options = ['--port', port, '--warmup', str((workload.messages or workload.rate) // 10)]
    for name, value in dataclasses.asdict(workload).items():
        if name == 'tls':
            options += ['--tls'] if value else []
        elif value or name in ('messages', 'size'):
            options += [f'--{name}', str(value)]
    return options


def measure(server, workload, mode=None, cores=(SERVER_CORE, CLIENT_CORE)):
    """What bench/load tells, and of the server: CPU time for each message, memory for each connection. The cores are the
    server's and the client's; None: any."""
    port = free_port()
    mode = mode or ('broadcast' if workload.mode == 'fanout' else 'echo')
    command = [*server.command, port, mode, *(certificate() if workload.tls else [])]
    with Process(cores[0], command, server.environment) as process:
        process.read_line(START_LIMIT_S)
        bytes_before = private_bytes(process.pid)
        with Process(cores[1], [load_program(), *load_options(workload, port)]) as client:
            client.read_line(RUN_LIMIT_S)
            time.sleep(SETTLE_S)
            before_us = cpu_us(process.pid)
            client.begin()
            result = json.loads(client.read_line(RUN_LIMIT_S))
            time.sleep(SETTLE_S)
            result['cpu_us'] = (cpu_us(process.pid) - before_us) / max(result['count'], 1)
            result['per_second'] = result['count'] / result['seconds']
            result['memory_bytes'] = (private_bytes(process.pid) - bytes_before) / workload.connections
            for name, value in result.pop('latency_us', {}).items():
                result[f'{name}_us'] = value
            return result


def tell(workload, result):
    return ', '.join(f'{result[metric.name]:.4g} {metric.unit}' for metric in METRICS[workload.mode])


def measure_all(workload, servers, rounds):
    """The results of each server: in turn, and each order the reverse of the one before, A B C C B A."""
    results = {server.name: [] for server in servers}
    failed = set()
    for number in range(rounds):
        for server in servers[::-1 if number % 2 else 1]:
            if server.name in failed or (workload.tls and not server.has_tls):
                continue
            try:
                results[server.name].append(measure(server, workload))
                told = tell(workload, results[server.name][-1])
            except (Failure, OSError) as reason:
                failed.add(server.name)
                told = f'failed: {reason}'
            print(f'{describe(workload)}: {server.name}: {told}', file=sys.stderr, flush=True)
    return {name: [] if name in failed else found for name, found in results.items()}


def median(results, name):
    """None: there is no result."""
    values = [result[name] for result in results if name in result]
    return statistics.median(values) if values else None
