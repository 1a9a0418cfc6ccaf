# SPDX-License-Identifier: MIT
"""Runs a server and its clients in such a way that what the server process does is the same each time, and counts it.

The clients have the server's core, and precedence there: each answers before the server goes on, so that the server
finds the same input in each of its rounds. The names in Lua's tables collide alike: the time is a fixed one, and all
that the process has on its stack when it starts has the same length, wherever the build is.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from measure import RUN_LIMIT_S, SERVER_CORE, START_LIMIT_S, Failure, Process, certificate, free_port, load_options
from measure import load_program
from programs import BUILT, ROOT, succeeds
from workloads import Workload, describe, describe_size

# Copies by loops: of a string instruction Callgrind counts each byte.
TUNABLES = 'glibc.cpu.x86_rep_movsb_threshold=0x7fffffff:glibc.cpu.x86_rep_stosb_threshold=0x7fffffff'
COUNTED_ALLOCATIONS = 3  # malloc, calloc and realloc; free comes behind them in the file


@dataclass(frozen=True)
class Row:
    """The workload's messages are those of the shorter run; the longer one has twice as many."""
    workload: Workload
    mode: str = 'echo'  # of bench/servers/echo.lua
    offer: str = ''  # of bench/deflate_clients.py

    def describe(self):
        if self.offer:
            return f'echo, {describe_size(self.workload.size)}, compressed, {self.offer}'
        name = describe(self.workload)
        return name.replace('echo', 'echo by receive()') if self.mode == 'receive' else name

    def clients(self, port, messages):
        workload = dataclasses.replace(self.workload, messages=messages)
        if self.offer:
            return [sys.executable, str(ROOT / 'bench' / 'deflate_clients.py'), '--port', port, '--offer', self.offer,
                    '--size', str(workload.size), '--messages', str(messages)]
        return [load_program(), *load_options(workload, port), '--warmup', str(self.workload.messages // 2)]


@dataclass(frozen=True)
class Build:
    folder: pathlib.Path
    lua: str

    @property
    def module(self):
        return self.folder / self.lua / 'websockets.so'


# --- What is counted ----------------------------------------------------------------------------------------------


def library(name):
    """Of bench/NAME.c, to be loaded before others. Built when that is newer."""
    source, made = ROOT / 'bench' / f'{name}.c', BUILT / f'{name}.so'
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        BUILT.mkdir(parents=True, exist_ok=True)
        subprocess.run(['cc', '-O2', '-shared', '-fPIC', '-o', made, source], check=True)
    return made


class Instructions:
    needs = 'valgrind'

    @staticmethod
    def command(folder):
        return ['valgrind', '--tool=callgrind', f'--callgrind-out-file={folder}/counts', '--quiet']

    @staticmethod
    def environment(folder):
        return {'LD_PRELOAD': f'{folder}/time.so'}

    @staticmethod
    def read(folder):
        counts = (folder / 'counts').read_text()
        return {'instructions': int(re.search(r'^totals: (\d+)', counts, re.MULTILINE)[1])}


class Calls:
    """Of the system, and of the allocator."""
    needs = 'strace'

    @staticmethod
    def command(folder):
        loaded = f'{folder}/time.so {folder}/allocations.so'
        return ['strace', '-f', '-c', '-U', 'calls,name', '-o', f'{folder}/counts', '-E', f'LD_PRELOAD={loaded}',
                '-E', f'ALLOCATIONS_FILE={folder}/allocations']

    @staticmethod
    def environment(_):
        return {}

    @staticmethod
    def read(folder):
        total = re.search(r'^ *(\d+) total$', (folder / 'counts').read_text(), re.MULTILINE)
        counts = memoryview((folder / 'allocations').read_bytes()).cast('Q')
        return {'system_calls': int(total[1]), 'allocations': sum(counts[:COUNTED_ALLOCATIONS])}


COUNTERS = [Instructions, Calls]


def require_programs():
    for counter in COUNTERS:
        if not shutil.which(counter.needs):
            sys.exit(f'{counter.needs} is not installed')


# --- Running ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def folder_of(build):
    """Where the server finds all its files, by names that are equally long each time."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        pem, key = certificate()
        for link, file in {'websockets.so': build.module, 'echo.lua': ROOT / 'bench' / 'servers' / 'echo.lua',
                           'server.pem': pem, 'server.key': key, 'time.so': library('fixed_time'),
                           'allocations.so': library('count_allocations')}.items():
            (folder / link).symlink_to(pathlib.Path(file).resolve())
        yield folder


def precedence():
    """Over all that has no such scheduling: the system gives it to few."""
    command = ['chrt', '--fifo', '1']
    if succeeds([*command, 'true']):
        return command
    print('Without precedence for the clients (SCHED_FIFO) the counts differ by some per cent.', file=sys.stderr)
    return []


def server_environment(folder, driver, seed):
    """Nothing else: what there is besides would move the stack."""
    return {'PATH': '/usr/bin:/bin', 'LUA_CPATH': f'{folder}/?.so', 'FIXED_TIME': str(seed),
            'WEBSOCKETS_DRIVER': driver, 'GLIBC_TUNABLES': TUNABLES}


def count(counter, build, row, messages, driver, seed):
    """How many messages there were, or deliveries, and all that is counted from start to end."""
    port = free_port()
    with folder_of(build) as folder:
        certificates = [f'{folder}/server.pem', f'{folder}/server.key'] if row.workload.tls else []
        command = [*counter.command(folder), shutil.which(build.lua), f'{folder}/echo.lua', port, row.mode,
                   *certificates]
        environment = {**server_environment(folder, driver, seed), **counter.environment(folder)}
        with Process(SERVER_CORE, command, environment) as server:
            server.read_line(START_LIMIT_S)
            with Process(SERVER_CORE, [*precedence(), *row.clients(port, messages)], stderr=subprocess.PIPE) as clients:
                clients.read_line(RUN_LIMIT_S)
                clients.begin()
                result = json.loads(clients.read_line(RUN_LIMIT_S))
                os.killpg(server.pid, signal.SIGTERM)
                server.process.wait(RUN_LIMIT_S)
        return {'messages': result['count'], **counter.read(folder)}


def count_each(counter, build, row, driver, seed):
    """For each message: the start and the end are in both runs."""
    messages = row.workload.messages
    shorter, longer = (count(counter, build, row, many, driver, seed) for many in (messages, 2 * messages))
    difference = {name: longer[name] - shorter[name] for name in longer}
    many = difference.pop('messages')
    if many <= 0:
        raise Failure(f'{row.describe()}: the longer run has no more messages')
    return {name: value / many for name, value in difference.items()}
