# SPDX-License-Identifier: MIT
"""The figures of docs/performance.md: a table, and plots in docs/plots/."""

import os
import pathlib
import platform
import re
from dataclasses import dataclass, replace

from measure import median
from plots import Plot, Styles, draw, require_gnuplot
from table import table
from workloads import (
    BY_CONNECTIONS, BY_SIZE, CONNECT_BY_IDLE, FAIRNESS, FIRST, IDLE, TABLE, describe, describe_size, fixed_rate)

BEGIN = '<!-- figures: bench/run --report writes what follows -->'
END = '<!-- figures: up to here -->'
RATE_OF_CAPACITY = 0.7
KEPT_RATE = 0.95
CURVE_POINTS = 40
SIZE_TICS = {workload.size: describe_size(workload.size) for workload in BY_SIZE}
PERCENTILE_TICS = {10**nines: f'{100 * (1 - 10**-nines):.6g} %' for nines in range(1, 7)} | {2: '50 %'}


def machine():
    text = pathlib.Path('/proc/cpuinfo').read_text()
    model = re.search(r'^model name\s*: (.*)$', text, re.MULTILINE)
    return f'{model[1] if model else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}'


# --- Lines of plots -----------------------------------------------------------------------------------------------


def series(workloads, measure, metric, x):
    """For each server, the points of these workloads."""
    lines = {}
    for workload in workloads:
        for name, results in measure(workload).items():
            y = median(results, metric)
            if y is not None and y > 0:
                lines.setdefault(name, []).append((x(workload), y))
    return lines


def keeps_up(results):
    return bool(results) and median(results, 'reached_rate') > KEPT_RATE * results[0]['rate']


def typical(results):
    """The round in the middle, by its 99th percentile."""
    return sorted(results, key=lambda result: result['p99_us'])[(len(results) - 1) // 2]


def curve(result):
    """x is 1/(1-p): each power of ten one nine more. Some of the points, evenly apart."""
    points, next_x = [], 1
    for part, us in result['curve']:
        x = min(1 / (1 - part) if part < 1 else float('inf'), result['count'])
        if x >= next_x:
            points.append((x, us))
            next_x = x * result['count'] ** (1 / CURVE_POINTS)
    return points


# --- Sections -----------------------------------------------------------------------------------------------------


@dataclass
class Section:
    heading: str
    text: str
    plot: Plot


def section_of(heading, text, workloads, metric, x, plot):
    """Of what one metric is for workloads that differ in x. The plot comes without its lines."""
    return lambda measure: Section(heading, text, replace(plot, lines=series(workloads, measure, metric, x)))


connections_section = section_of(
    'By the number of connections',
    'What a message costs when there are more connections, all of them busy.',
    BY_CONNECTIONS, 'cpu_us', lambda workload: workload.connections,
    Plot('cpu-by-connections.svg', 'Echo of 20 B, one message under way on each connection', 'connections',
         'CPU time (µs/message)'))

connect_section = section_of(
    'Connecting',
    'What a connection that comes and goes costs when there are others that are open and silent.',
    CONNECT_BY_IDLE, 'cpu_us', lambda workload: workload.idle + workload.connections,
    Plot('connect-by-connections.svg', 'Opening and closing handshake, 10 at a time', 'connections open',
         'CPU time (µs/connection)'))

size_section = section_of(
    'By size',
    'What a message costs when it is larger.',
    BY_SIZE, 'cpu_us', lambda workload: workload.size,
    Plot('cpu-by-size.svg', 'Echo on 100 connections, one message under way on each', 'message size',
         'CPU time (µs/message)', x_tics=SIZE_TICS))

memory_section = section_of(
    'Memory',
    'What an idle connection takes after one message. With few of them it is mostly what the process takes once.',
    IDLE, 'memory_bytes', lambda workload: workload.connections,
    Plot('memory-by-connections.svg', 'Private memory of the server process', 'idle connections',
         'memory (bytes/connection)'))


def latency_section(measure):
    found = measure(FIRST[0])
    reference = 'epoll' if found.get('epoll') else next(name for name, results in found.items() if results)
    rate = max(int(RATE_OF_CAPACITY * median(found[reference], 'per_second')) // 1000 * 1000, 1000)
    text = (f'Latency at a fixed rate, {RATE_OF_CAPACITY * 100:.0f} % of what {reference} echoed with one message '
            'under way on each connection.')
    return curves_section('Latency', text, 'latency.svg', fixed_rate(rate), measure)


def fairness_section(measure):
    text = f'Latency of small messages while {FAIRNESS.flood} connections more have 1 MiB echoed all the time.'
    return curves_section('Fairness', text, 'latency-with-flood.svg', FAIRNESS, measure)


def curves_section(heading, text, file, workload, measure):
    """The plot of a latency workload, and a table of the same."""
    found = measure(workload)
    lines = {name: curve(typical(results)) for name, results in found.items() if keeps_up(results)}
    missing = [name for name in found if name not in lines]
    if missing:
        text += f' Not in the plot, for they did not reach {KEPT_RATE * 100:.0f} % of the rate: {", ".join(missing)}.'
    rows = '\n'.join(table([(workload, found)], list(found)))
    title = describe(workload)
    return Section(heading, f'{text}\n\n{rows}',
                   Plot(file, title[0].upper() + title[1:], 'percentile', 'latency (µs)', lines, PERCENTILE_TICS))


SECTIONS = [connections_section, connect_section, size_section, memory_section, latency_section, fairness_section]


# --- The document -------------------------------------------------------------------------------------------------


def replace_figures(file, figures, begin=BEGIN, end=END):
    """Between the two marks; a file without them gets them at its end."""
    text = file.read_text() if file.exists() else ''
    if begin not in text:
        text += f'{begin}\n{end}\n'
    before, _, rest = text.partition(begin)
    file.write_text(f'{before}{begin}\n\n{figures}\n\n{rest[rest.index(end):]}')


def write_report(folder, servers, rounds, measure):
    require_gnuplot()
    folder.mkdir(parents=True, exist_ok=True)
    names = [server.name for server in servers]
    styles = Styles(names)
    rows = [(workload, measure(workload)) for workload in TABLE]
    parts = [f'`bench/run --report --servers {",".join(names)} --rounds {rounds}`',
             f'Medians, in brackets the ratio to raw epoll. The machine: {machine()}.',
             '\n'.join(table(rows, names))]
    for make_section in SECTIONS:
        section = make_section(measure)
        plot = section.plot
        parts += [f'### {section.heading}', section.text]
        if plot.lines:
            draw(plot, folder / 'plots', styles)
            parts.append(f'![{plot.title}: {plot.y_label}](plots/{plot.file})')
    replace_figures(folder / 'performance.md', '\n\n'.join(parts))
