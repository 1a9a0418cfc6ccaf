#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our server against RFC 6455, 7692 and 9112, rule by rule, as one raw client sees it.

Usage: conformance.py [--table | WORD...]

--table prints the tables of the rules that are in docs/conformance.md. WORD: only the cases whose line has one of the words. The interpreter is in the environment
variable LUA, the module is found by LUA_CPATH.
"""

import contextlib
import pathlib
import re
import signal
import sys
import traceback

sys.dont_write_bytecode = True

from rfc6455 import handshake, access, framing, messages, utf8, closing, load  # noqa: E402, F401, I001
from rfc7692 import negotiation, compressed  # noqa: E402, F401, I001
from rfc9112 import request_line, fields, content, connections, responses  # noqa: E402, F401, I001
from rfc6455 import afterwards  # noqa: E402, F401, I001
from rules import RULES, table  # noqa: E402
from support import DEADLINE_S, ROOT, Server  # noqa: E402

DOCUMENT = ROOT / 'docs' / 'conformance.md'
RFCS = ('6455', '7692', '9112')
PATIENT = [f'{name}_timeout={2 * DEADLINE_S:.0f}' for name in ('handshake', 'close')]
# The server of most rules, and those that some need beside it.
SERVERS = {
    None: PATIENT,
    'small': [*PATIENT, 'max_message_size=1000'],
    'impatient': [PATIENT[0], 'close_timeout=0.5'],
    'guarded': [*PATIENT, 'origins={ "https://example.org", "http://*.example.net:8080" }', 'asks=true'],
    'compressing': [*PATIENT, 'compression={ min_size = 1 }'],
    'remembering': [*PATIENT, 'compression={ min_size = 1, context_takeover = true, memory = "256KB" }'],
    'narrow': [*PATIENT, 'compression={ min_size = 1, context_takeover = true, memory = "8KB", '
               'client_max_window_bits = 11 }'],
}


def start(*options):
    server = Server('tests/interop/conformance_server.lua', '', *options)
    if not server.first_line:
        raise RuntimeError('the server does not start')
    server.port = int(server.first_line)
    return server


def documented():
    for rfc in RFCS:
        folder = pathlib.Path(__file__).parent / f'rfc{rfc}'
        for path in folder.glob('*.py'):
            assert path.stem == '__init__' or f'rfc{rfc}.{path.stem}' in sys.modules, f'{path} is not among the tests'
        assert table(rfc) in DOCUMENT.read_text(), f'{DOCUMENT} has another table of RFC {rfc} than --table prints'


def others_documented():
    """The tests elsewhere that the document names as `FILE` "NAME" are there."""
    named = re.findall(r'`((?:spec|tests)/[^` ]+)`((?:,? "[^"]+")*)', DOCUMENT.read_text())
    assert named
    for path, names in named:
        assert (ROOT / path).exists(), f'there is no {path}'
        for name in re.findall('"([^"]+)"', names):
            assert name in (ROOT / path).read_text(), f'{path} has no "{name}"'


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
    yield 'documentation: the tables of the rules', [documented]
    yield 'documentation: the tests elsewhere', [others_documented]
    for entry in RULES:
        for label, *arguments in entry.cases:
            line = f'{entry.rfc} {entry.section} {entry.name}' + (f': {label}' if label is not None else '')
            yield line.encode('unicode_escape').decode(), [entry.check, server, *(arguments or [None])]


def main(words):
    # What was started ends in an orderly way also when this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    passed = failed = 0
    with contextlib.ExitStack() as stack:
        servers = []
        for options in SERVERS.values():
            servers.append(start(*options))
            stack.callback(servers[-1].stop)
        server, *server.others = servers
        for name, other in zip(list(SERVERS)[1:], server.others):
            setattr(server, name, other)
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
        for rfc in RFCS:
            print(f'RFC {rfc}\n\n{table(rfc)}')
    else:
        sys.exit(main(sys.argv[1:]))
