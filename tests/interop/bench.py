#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""That bench/ still works: a little of each workload, with our server. It measures nothing.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys

sys.dont_write_bytecode = True

from support import ROOT  # noqa: E402

sys.path.insert(0, str(ROOT / 'bench'))

from counting import COUNTERS, Build, Row, count_each  # noqa: E402
from measure import (  # noqa: E402
    SERVER_CORE, START_LIMIT_S, Process, find_server, free_port, load_program, measure, measure_all)
from table import table  # noqa: E402
from workloads import Workload, describe  # noqa: E402

SERVER = find_server(f'ours-{os.environ.get("LUA", "lua5.4")}')
LATENCY = Workload('latency', 10, rate=500, seconds=1)

PLAIN = [
    Workload('echo', 10, messages=500),
    Workload('echo', 10, size=0, outstanding=8, messages=500),
    Workload('echo', 2, size=300_000, outstanding=2, messages=20),
    Workload('fanout', 10, outstanding=2, messages=500),
    Workload('connect', 5, idle=5, messages=100),
    Workload('idle', 50),
    LATENCY,
    dataclasses.replace(LATENCY, flood=1),
    Workload('storm', 100),
    Workload('echo', 10, messages=10**9, limit=1),
    Workload('connect', 5, messages=10**9, limit=1),
]
COUNTED = [
    Row(Workload('fanout', 10, messages=100), 'publish'),
    Row(Workload('echo', messages=200), 'compressed', 'window kept'),
]
WORKLOADS = PLAIN + [dataclasses.replace(workload, tls=True) for workload in PLAIN]


def try_workload(workload):
    result = measure(SERVER, workload)
    assert result['cpu_us'] > 0 or workload.mode == 'idle', result
    if workload.mode == 'latency':
        check_latency(workload, result)
    else:
        least = 1 if workload.limit else workload.messages or workload.connections
        assert result['count'] >= least, result
    assert not result.get('failed'), result


# A slow machine may be late, but each message is counted, and the curve goes up to the slowest.
def check_latency(workload, result):
    assert result['count'] + result['unanswered'] == workload.rate * workload.seconds, result
    if result['count']:
        latencies = [result[f'{name}_us'] for name in ('p50', 'p90', 'p99', 'p99.9', 'max')]
        assert latencies == sorted(latencies), result
        assert result['curve'] == sorted(result['curve']) and result['curve'][-1][0] == 1, result


def try_table():
    workload = Workload('echo', 2, messages=20)
    lines = list(table([(workload, measure_all(workload, [SERVER], 2))], [SERVER.name]))
    assert len(lines) == 3 and describe(workload) in lines[2] and '–' not in lines[2], lines


# Under Callgrind and under strace the messages come back, too.
def try_counts(row):
    folder = pathlib.Path(os.environ['LUA_CPATH'].partition('?')[0]).parent
    build = Build(folder, SERVER.command[0])
    counts = {}
    for counter in COUNTERS:
        counts |= count_each(counter, build, row, driver='', seed=1)
    assert counts['instructions'] > 100 and counts['system_calls'] > 0, counts


# What everyone gets has another header than what was sent: broadcasts are binary.
def try_wrong_answers():
    port = free_port()
    with Process(SERVER_CORE, [*SERVER.command, port, 'broadcast'], SERVER.environment) as server:
        server.read_line(START_LIMIT_S)
        command = [load_program(), '--port', port, '--connections', '1', '--text']
        client = subprocess.run(command, input='\n', capture_output=True, text=True)
    assert client.returncode == 1 and 'not what was sent' in client.stderr, client


def try_clients():
    build = pathlib.Path(os.environ['LUA_CPATH'].partition('?')[0]).parent
    command = [ROOT / 'bench' / 'clients', '--clients', 'ours', '--build', build, '--lua', SERVER.command[0],
               '--rounds', '2', '--seeds', '1', '--scale', '0.01', '--idle', '50']
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 2 + 2 * 2 + 2 + 1, lines


def try_receiving():
    command = [ROOT / 'bench' / 'receiving', '--lua', SERVER.command[0], '--rounds', '1', '--scale', '0.001', '--idle', '20']
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 2 + 2 + 1, lines


def try_cluster():
    command = [ROOT / 'bench' / 'cluster' / 'run', '--rounds', '1', '--scale', '0.002']
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == (2 + 8) + 1 + (2 + 2) + 1 + 2, lines
    command = [SERVER.command[0], ROOT / 'bench' / 'cluster' / 'faults.lua', '0.1']
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 2 + 6, lines


CHECKS = [(describe(workload), try_workload, workload) for workload in WORKLOADS]
CHECKS += [(f'counts, {row.describe()}', try_counts, row) for row in COUNTED]
CHECKS += [('clients', try_clients), ('receiving', try_receiving), ('a cluster', try_cluster),
           ('the table', try_table), ('wrong answers are noticed', try_wrong_answers)]


def main():
    # What was started ends in an orderly way also when this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = 0
    for label, check, *arguments in CHECKS:
        try:
            check(*arguments)
            print(f'{label} ... ok', flush=True)
        except Exception as error:
            failed += 1
            print(f'{label} ... FAILED\n{type(error).__name__}: {error}', flush=True)
    print(f'{len(CHECKS) - failed} passed, {failed} failed')
    return int(failed > 0)


if __name__ == '__main__':
    sys.exit(main())
