# SPDX-License-Identifier: MIT
"""Attacks a server on 127.0.0.1.

Prints 'ready' when all is prepared. A line on its input makes it begin, a further one, or the end of the input, makes
it end and print what became of it: a JSON object. With --idle it runs only when nothing else wants its core.
"""

import argparse
import json
import os
import resource
import sys
import threading

sys.dont_write_bytecode = True

from connects import Aborts, Crowd, HalfOpen  # noqa: E402
from floods import (  # noqa: E402
    Bombs, Chunks, Fragments, Garbage, LargeBombs, Pings, Pongs, SmallBombs, TooManyFragments)
from readers import NeverReading  # noqa: E402
from slow import Slow  # noqa: E402
from small_records import SmallRecords  # noqa: E402
from tls_handshakes import Handshakes  # noqa: E402

ATTACKS = {attack.__name__: attack for attack in (
    Slow, HalfOpen, Handshakes, SmallRecords, Pings, Pongs, Fragments, TooManyFragments, Chunks, Bombs, LargeBombs,
    SmallBombs, NeverReading, Aborts, Garbage, Crowd)}


def parse_arguments():
    parser = argparse.ArgumentParser(prog='attacks', description=__doc__)
    parser.add_argument('name', choices=ATTACKS)
    parser.add_argument('--port', type=int, required=True)
    parser.add_argument('--count', type=int, default=10, help='connections')
    parser.add_argument('--idle', action='store_true')
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if arguments.idle:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    attack = ATTACKS[arguments.name](arguments.port, arguments.count)
    attack.begin()
    print('ready', flush=True)
    sys.stdin.readline()
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
    actions = 0
    while not over.is_set():
        actions += attack.turn()
    attack.end()
    print(json.dumps({'actions': int(actions), 'answers': attack.answers}), flush=True)


if __name__ == '__main__':
    main()
