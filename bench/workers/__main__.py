# SPDX-License-Identifier: MIT
"""What a message costs with workers, in CPU time of all of them, and how connections are spread: Markdown tables.

All workers on one core, the client on another: what their number costs by itself. Then all of them on all cores, where
they are in each other's way, and in the client's, as far as there are not enough of them. The numbers of workers take
turns, each round with new processes; the medians of all rounds count. Usage: bench/workers/run [--rounds N] [--scale X]; how long a publish takes
is bench/workers/latency.cpp's.
"""

import argparse
import dataclasses
import os
import pathlib
import statistics
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from measure import (  # noqa: E402
    RUN_LIMIT_S, START_LIMIT_S, Failure, Process, find_server, free_port, load_program, measure, with_children)
from workloads import Workload  # noqa: E402

COUNTS = (1, 2, 4, 8)
CONNECTIONS, RECEIVERS = 800, 10_000


def with_workers(server, count):
    return dataclasses.replace(server, environment={**server.environment, 'WORKERS': str(count)})


def medians(servers, workload, mode, rounds):
    """By the name of the server: CPU time of a message on one core and on all, messages in a second on all."""
    results = {name: [] for name in servers}
    for _ in range(rounds):
        for name, server in servers.items():
            pinned = measure(server, workload, mode)
            free = measure(server, workload, mode, (None, None))
            results[name].append((pinned['cpu_us'], free['cpu_us'], free['per_second']))
    return {name: [statistics.median(values) for values in zip(*of_name)] for name, of_name in results.items()}


def print_rows(title, values):
    first = next(iter(values.values()))
    for name, (pinned_us, free_us, per_second) in values.items():
        print(f'| {title} | {name} | {pinned_us:.3g} | {pinned_us / first[0]:.2f} | {free_us:.3g} | '
              f'{per_second / 1000:.0f} 000 |', flush=True)


def connections_of(pid):
    descriptors = pathlib.Path(f'/proc/{pid}/fd').iterdir()
    return sum(os.readlink(entry).startswith('socket:') for entry in descriptors)


def spread(server, workers):
    """Connections of each worker, of 10 000."""
    port = free_port()
    load = [load_program(), '--port', port, '--mode', 'idle', '--connections', str(RECEIVERS), '--messages', '0']
    with Process(None, [*server.command, port, 'echo'], with_workers(server, workers).environment) as process:
        process.read_line(START_LIMIT_S)
        pids = list(with_children(process.pid))[1:]
        before = [connections_of(pid) for pid in pids]
        with Process(None, load) as client:
            client.read_line(RUN_LIMIT_S)
            return [connections_of(pid) - others for pid, others in zip(pids, before)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--scale', type=float, default=1)
    arguments = parser.parse_args()
    ours = find_server('ours')

    counts = spread(ours, 4)
    print(f'{RECEIVERS} connections on 4 workers: {counts}, most / mean {max(counts) / statistics.mean(counts):.3f}\n')

    print('| | workers | µs of CPU, one core | to the first | µs of CPU, all cores | in a second |\n|---|---|---|---|---|---|')
    for outstanding, messages in ((1, 400_000), (64, 4_000_000)):
        workload = Workload('echo', CONNECTIONS, 20, outstanding, int(messages * arguments.scale))
        servers = {'none': ours, **{str(count): with_workers(ours, count) for count in COUNTS}}
        print_rows(f'echo, 20 B × {CONNECTIONS} × {outstanding}, a message',
                  medians(servers, workload, 'echo', arguments.rounds))
    servers = {'none': ours, '4': with_workers(ours, 4)}
    try:
        servers['uWebSockets'] = find_server('uwebsockets')
    except Failure as reason:
        print(f'uwebsockets: {reason}', file=sys.stderr)
    workload = Workload('fanout', RECEIVERS, 20, 1, int(RECEIVERS * 200 * arguments.scale))
    results = {}
    for name, server in servers.items():
        mode = 'broadcast' if name == 'uWebSockets' else 'publish'
        results.update(medians({name: server}, workload, mode, arguments.rounds))
    print_rows(f'publish to {RECEIVERS}, 20 B, a receiver', results)


main()
