#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""bench/soak for a few seconds: all that comes back is right, both sides count the same, and nothing is left over. It
says nothing about speed, or about memory over time.

The interpreter is in the environment variable LUA, the module is found by LUA_CPATH.
"""

import os
import subprocess
import sys
import tempfile

from support import ROOT

SECONDS = 6

if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(subprocess.run([
            ROOT / 'bench' / 'soak', '--lua', os.environ.get('LUA', 'lua5.4'), '--seconds', str(SECONDS),
            '--connections', '20', '--folder', folder]).returncode)
