# SPDX-License-Identifier: MIT
"""slowhttptest's attacks, all at once: heads and bodies a few bytes at a time, answers that are hardly read."""

import re
import signal
import subprocess
import time

from peers import Attack

LENGTH_S = 100  # it is told to end before
PROBE_S = 60
ATTACKS = {
    'heads': ('/small', '-H', '-i', '1'),
    'bodies': ('/any', '-B', '-i', '1'),
    'readers': ('/file', '-X', '-n', '1', '-z', '1'),
}


class Slow(Attack):
    """Each of the attacks with as many connections. Whether they find that the server is not available is noted."""

    def begin(self):
        self.processes = {}

    def start(self, path, *options):
        command = ['slowhttptest', *options, '-c', str(self.count), '-r', str(self.count), '-l', str(LENGTH_S),
                   '-p', str(PROBE_S), '-u', f'http://127.0.0.1:{self.port}{path}']
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def turn(self):
        if self.processes:
            time.sleep(0.02)
            return 0
        self.processes = {name: self.start(*what) for name, what in ATTACKS.items()}
        return self.count * len(ATTACKS)

    def end(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            report = re.sub(r'\x1b\[[0-9;]*m', '', process.communicate()[0])
            self.answers['unavailable'] += len(re.findall(r'service available:\s+NO', report))
