# SPDX-License-Identifier: MIT
"""Neovim without a screen, for cookbook.py and examples.py."""

import contextlib
import os
import re
import subprocess

from support import DEADLINE_S, ROOT


class Neovim:
    def __init__(self, process, control):
        self.process = process
        self.control = control

    def send_keys(self, keys):
        # It says that it failed when they have ended the other one.
        self.command('--remote-send', keys, check=False)

    def evaluate(self, expression):
        return self.command('--remote-expr', expression, check=True)

    def command(self, option, text, check):
        # Neovim 0.7 writes the value to stderr.
        return subprocess.run(['nvim', '--server', self.control, option, text], check=check, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=DEADLINE_S).stdout.strip()


@contextlib.contextmanager
def neovim(folder, *arguments):
    """Has to end, at `:qa!`, without having told of an error."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(('XDG_', 'NVIM'))},
        'LUA_CPATH': f'{ROOT}/build/luajit/?.so;;', 'HOME': str(folder)}
    log, control = folder / 'nvim.log', folder / 'nvim.sock'
    with open(log, 'w', encoding='utf-8') as output:
        process = subprocess.Popen(
            ['nvim', '--headless', '--clean', '-n', '--listen', control, *arguments],
            env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    editor = Neovim(process, control)
    try:
        yield editor
        assert process.poll() is None, log.read_text()
        editor.send_keys('<Esc>:qa!<CR>')
        assert process.wait(DEADLINE_S) == 0, (process.returncode, log.read_text())
        assert not re.search(r'\bE\d+:|[Ee]rror', log.read_text()), log.read_text()
    finally:
        process.kill()
        process.wait()
