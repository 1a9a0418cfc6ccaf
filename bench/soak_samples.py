# SPDX-License-Identifier: MIT
"""What a server process has, time after time, in a CSV file."""

import csv
import os
import pathlib
import re
import time

from measure import cpu_us
from soak_verdict import total

MOST_SAMPLES = 400
COUNTS = ['open_connections', 'connections', 'messages_received', 'messages_sent', 'received_bytes', 'sent_bytes',
          'http_requests', 'subscriptions', 'queued_bytes']
NAMES = ['seconds', 'rss_kb', 'pss_kb', 'private_kb', 'lua_kb', 'descriptors', 'cpu_s', 'waiting_s', 'load', *COUNTS]


def memory_kb(pid):
    text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    sizes = {name: int(size) for name, size in re.findall(r'^(\w+): +(\d+) kB', text, re.MULTILINE)}
    return {'rss_kb': sizes['Rss'], 'pss_kb': sizes['Pss'],
            'private_kb': sizes['Private_Dirty'] + sizes['Private_Clean']}


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def waiting_s(pid):
    """For how long it could have run, if there had been a core for it."""
    file = pathlib.Path(f'/proc/{pid}/schedstat')
    return round(int(file.read_text().split()[1]) / 1e9, 2) if file.exists() else 0


class Samples:
    def __init__(self, path, pid, seconds):
        self.pid, self.interval_s = pid, max(1, seconds / MOST_SAMPLES) - 0.5
        self.rows = []
        self.begin = self.sampled = time.monotonic()
        self.file = path.open('w', newline='')
        self.writer = csv.DictWriter(self.file, NAMES)
        self.writer.writeheader()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def seconds(self):
        return time.monotonic() - self.begin

    def add(self, line):
        """What the server says; not every line becomes a sample."""
        if time.monotonic() - self.sampled < self.interval_s:
            return
        self.sampled = time.monotonic()
        row = {'seconds': round(self.seconds(), 1), **memory_kb(self.pid), 'lua_kb': round(line['lua_kb']),
               'descriptors': descriptors(self.pid), 'cpu_s': round(cpu_us(self.pid) / 1e6, 2),
               'waiting_s': waiting_s(self.pid),
               'load': os.getloadavg()[0], **{name: total(line['contexts'], name) for name in COUNTS}}
        self.rows.append(row)
        self.writer.writerow(row)
        self.file.flush()
