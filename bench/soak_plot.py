# SPDX-License-Identifier: MIT
"""Draws the memory of servers over the time."""

import csv

from plots import Plot, Styles, draw, require_gnuplot


def points(path):
    with open(path, newline='') as file:
        return [(float(row['seconds']) / 60, int(row['rss_kb']) / 1024) for row in csv.DictReader(file)]


def draw_samples(svg, title, files):
    """The files by the names of their lines."""
    require_gnuplot()
    lines = {name: points(path) for name, path in files.items()}
    plot = Plot(svg.name, title, 'minutes', 'resident memory (MiB)', lines, is_linear=True)
    draw(plot, svg.parent, Styles(list(files), has_points=False))
