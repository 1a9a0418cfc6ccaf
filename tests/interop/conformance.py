#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our server against RFC 6455, rule by rule, as one raw client sees it. docs/conformance.md has the table of the rules.

Usage: conformance.py [--table | WORD...]

--table prints that table. WORD: only the cases whose line has one of the words. The interpreter is in the environment
variable LUA, the module is found by LUA_CPATH.
"""

import contextlib
import signal
import sys
import traceback

sys.dont_write_bytecode = True

from rfc6455 import handshake, framing, messages, utf8, closing, load  # noqa: E402, F401, I001
from rfc6455.opening import open_websocket  # noqa: E402
from rfc6455.rules import RULES, rule, table  # noqa: E402
from support import DEADLINE_S, ROOT, Server  # noqa: E402

DOCUMENT = ROOT / 'docs' / 'conformance.md'


def start(*options):
    server = Server('tests/interop/conformance_server.lua', '', *options)
    if not server.first_line:
        raise RuntimeError('the server does not start')
    server.port = int(server.first_line)
    return server


@rule('7.1.7', 'After all this the server is there, and none of it was an error in it.')
def still_there(server, _):
    for one in (server, server.small, server.impatient):
        with open_websocket(one, 'command') as connection:
            connection.command('errors')
            connection.expect(1, b'0')
            connection.close()


def documented():
    assert table() in DOCUMENT.read_text(), f'{DOCUMENT} has another table than --table prints'


def run(label, check, *arguments):
    try:
        check(*arguments)
        print(f'{label} ... ok', flush=True)
        return True
    except Exception:
        print(f'{label} ... FAILED\n{traceback.format_exc()}', flush=True)
        return False


def all_cases(server):
    """Each as its line and what is to be called."""
    yield 'documentation: the table of the rules', [documented]
    for entry in RULES:
        for label, *arguments in entry.cases:
            line = f'{entry.section} {entry.name}' + (f': {label}' if label is not None else '')
            yield line.encode('unicode_escape').decode(), [entry.check, server, *(arguments or [None])]


def main(words):
    # What was started ends in an orderly way also when this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    patience = [f'{name}_timeout={2 * DEADLINE_S:.0f}' for name in ('handshake', 'close')]
    passed = failed = 0
    with contextlib.ExitStack() as stack:
        servers = []
        for options in (patience, [*patience, 'max_message_size=1000'], [patience[0], 'close_timeout=0.5']):
            servers.append(start(*options))
            stack.callback(servers[-1].stop)
        server, server.small, server.impatient = servers
        for line, call in all_cases(server):
            if words and not any(word in line for word in words):
                continue
            if run(line, *call):
                passed += 1
            else:
                failed += 1
            if not all(one.is_running() for one in servers):
                print(f'A server ended; their states: {[one.process.poll() for one in servers]}')
                failed += 1
                break
    print(f'{passed} passed, {failed} failed')
    return int(failed > 0)


if __name__ == '__main__':
    if sys.argv[1:] == ['--table']:
        print(table(), end='')
    else:
        sys.exit(main(sys.argv[1:]))
