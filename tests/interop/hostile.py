#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The attacks of bench/hostile, a little of each: what must hold however fast the machine is. No client that behaves
well is dropped, each of their messages is answered, memory stays within the bound, the attackers are answered as
docs/limits.md says, and when they have left the server serves as before.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import os
import resource
import signal
import sys

sys.dont_write_bytecode = True

from support import ROOT  # noqa: E402

sys.path.insert(0, str(ROOT / 'bench'))

from cases import CASES  # noqa: E402
from measure import find_server  # noqa: E402
from siege import besiege_shortly  # noqa: E402

MUST_NOT_COME = ('unavailable', 'unreachable', 'readers lost', 'wrong broadcasts', 'broadcasts missing')


def check(case, result):
    assert result['unanswered'] == 0, result
    assert result['actions'] > 0, result
    bound = result['before_bytes'] + case.short.bound
    assert result['peak_bytes'] <= bound, (bound, result)
    assert not any(result['answers'].get(name) for name in MUST_NOT_COME), result
    if case.name == 'never-reading':
        assert result['answers'].get('1013', 0) == case.short.count, result


def main():
    # What was started ends in an orderly way also when this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    server = find_server(f'ours-{os.environ.get("LUA", "lua5.4")}')
    failed = 0
    for case in CASES:
        try:
            check(case, besiege_shortly(case, server))
            print(f'{case.name} ... ok', flush=True)
        except Exception as error:
            failed += 1
            print(f'{case.name} ... FAILED\n{type(error).__name__}: {error}', flush=True)
    print(f'{len(CASES) - failed} passed, {failed} failed')
    return int(failed > 0)


if __name__ == '__main__':
    sys.exit(main())
