# SPDX-License-Identifier: MIT
"""Plots as SVG, drawn by gnuplot: lines of points, a colour and a point type for each server, the same in all plots.
With linear axes, from 0 on, lines without points."""

import math
import shutil
import subprocess
from dataclasses import dataclass

# Of Okabe and Ito: told apart by the colour-blind, too.
OWN_COLOURS = {'epoll': '#000000', 'ours': '#0072B2'}
COLOURS = ['#D55E00', '#009E73', '#E69F00', '#CC79A7', '#56B4E9', '#777777']
POINT_TYPES = [7, 5, 9, 11, 13, 6, 4, 8, 10, 12]


@dataclass
class Plot:
    file: str
    title: str
    x_label: str
    y_label: str
    lines: dict = None  # server name -> [(x, y)…]
    x_tics: dict = None  # value -> label; None: at round numbers
    is_linear: bool = False  # both axes; else both are logarithmic


class Styles:
    """By the order of the servers. When the colours are used up, they come again with broken lines."""

    def __init__(self, names, has_points=True):
        self.has_points = has_points
        others = [name for name in names if name not in OWN_COLOURS]
        self.styles = {name: self.style(OWN_COLOURS[name], names.index(name), False) for name in names
                       if name in OWN_COLOURS}
        for number, name in enumerate(others):
            self.styles[name] = self.style(
                COLOURS[number % len(COLOURS)], names.index(name), number >= len(COLOURS))

    def style(self, colour, number, is_broken):
        points = f' pt {POINT_TYPES[number % len(POINT_TYPES)]} ps 0.8' if self.has_points else ''
        return f'lc rgb "{colour}" lw 2 dt {2 if is_broken else 1}{points}'

    def __getitem__(self, name):
        return self.styles[name]


def require_gnuplot():
    if not shutil.which('gnuplot'):
        raise SystemExit('gnuplot is not installed: apt-get install gnuplot-nox')


def data(lines):
    for number, points in enumerate(lines.values()):
        yield f'$line{number} << END'
        yield from (f'{x:.9g} {y:.6g}' for x, y in points)
        yield 'END'


def round_numbers(low, high):
    """1, 2, 5, 10… as far as they go in between; only the powers of ten where these are many."""
    digits = (1, 2, 5) if high / low < 200 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [digit * 10.0**power for power in powers for digit in digits]
    return {value: f'{value:,.12g}'.replace(',', ' ') for value in values if low <= value <= high}


def axis(name, values, tics=None):
    """Logarithmic, a little wider than the values, and wide enough that a small difference looks small."""
    low, high = min(values) / 1.15, max(values) * 1.15
    if high / low < 10:
        low, high = (low * high / 10) ** 0.5, (low * high * 10) ** 0.5
    tics = tics or round_numbers(low, high)
    labels = ', '.join(f'"{label}" {value:g}' for value, label in tics.items()).replace('%', '%%')  # they are formats
    return [f'set logscale {name}', f'set {name}range [{low:g}:{high:g}]', f'set {name}tics ({labels})']


def axes(plot):
    if plot.is_linear:
        return ['set xrange [0:*]', 'set yrange [0:*]']
    return [*axis('x', [x for points in plot.lines.values() for x, _ in points], plot.x_tics),
            *axis('y', [y for points in plot.lines.values() for _, y in points])]


def script(plot, path, styles):
    kind = 'lines' if plot.is_linear else 'linespoints'
    curves = [f'$line{number} with {kind} title "{name}" noenhanced {styles[name]}'
              for number, name in enumerate(plot.lines)]
    return '\n'.join([
        'set terminal svg size 900,500 font "sans-serif,15" background "#ffffff" noenhanced',
        f'set output "{path}"',
        f'set title "{plot.title}"',
        f'set xlabel "{plot.x_label}"',
        f'set ylabel "{plot.y_label}"',
        'set grid lc rgb "#dddddd"',
        'set border 3 lc rgb "#444444"',
        'set tics nomirror',
        'set key outside right top reverse Left samplen 2',
        *axes(plot),
        *data(plot.lines),
        f'plot {", ".join(curves)}',
        ''])


def draw(plot, folder, styles):
    """The plot has at least one line."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(['gnuplot'], input=script(plot, folder / plot.file, styles), text=True, check=True)
