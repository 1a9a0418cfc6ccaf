# SPDX-License-Identifier: MIT
"""Results as a Markdown table."""

from measure import median
from workloads import METRICS, describe


def number(value):
    return f'{value:.0f}' if value >= 1000 else f'{value:.3g}'


def cell(value, limit):
    if value is None:
        return '–'
    return f'{number(value)} ({value / limit:.2f})' if limit else number(value)


def row(workload, metric, results):
    values = {name: median(found, metric.name) for name, found in results.items()}
    limit = values.get('epoll') if metric.compared else None
    cells = [cell(value, limit if name != 'epoll' else None) for name, value in values.items()]
    return f'| {describe(workload)} | {metric.unit} | {" | ".join(cells)} |'


def table(rows, names):
    """The rows: pairs of a workload and the results of the servers with these names."""
    yield f'| workload | unit | {" | ".join(names)} |'
    yield f'|---|---|{"---|" * len(names)}'
    for workload, results in rows:
        for metric in METRICS[workload.mode]:
            yield row(workload, metric, results)
