# SPDX-License-Identifier: MIT
"""What must be equal at the end of a soak: what the server counted, and what its clients did."""

import collections
import statistics

EXACT = ['echo', 'topics', 'broadcast']  # all that their clients send arrives
PROTOCOLS = [*EXACT, 'rude', 'vanish']
WARM_UP = 0.2  # of the time
MOST_GROWTH = 0.03


def total(contexts, path):
    """Of all contexts: total(contexts, 'refused.tls')."""
    result = 0
    for value in contexts.values():
        for name in path.split('.'):
            value = value[name]
        result += value
    return result


class Verdict:
    """What was checked, and what of it is wrong."""

    def __init__(self):
        self.checked = 0
        self.wrong = []

    def require(self, condition, what):
        self.checked += 1
        if not condition:
            self.wrong.append(what)

    def equal(self, what, ours, theirs):
        self.require(ours == theirs, f'{what}: {ours:,} of the server, {theirs:,} of the clients')

    def between(self, what, least, value, most):
        self.require(least <= value <= most, f'{what}: {value:,}, not from {least:,} to {most:,}')


def compare(verdict, last, clients):
    """The last line of the server's before its end, and the counts of all clients."""
    contexts = last['contexts']
    server = collections.Counter(last['counts'])
    clients = collections.Counter(clients)
    for name in PROTOCOLS:
        verdict.equal(f'{name}.closed, once for each', server[f'{name}.closed'], server[f'{name}.opened'])
        verdict.equal(f'{name}.opened, by stats()', total(contexts, f'protocols.{name}.opened'),
                      server[f'{name}.opened'])
    for name in [*EXACT, 'rude']:
        verdict.equal(f'{name}.opened', server[f'{name}.opened'], clients[f'{name}.opened'])
    for name in EXACT:
        verdict.equal(f'{name}.received', server[f'{name}.received'], clients[f'{name}.sent'])
        verdict.require(server[f'{name}.received'] > 0, f'{name}: there were no messages')
    verdict.equal('echo.sent', server['echo.sent'], clients['echo.received'])
    verdict.between('rude.received', clients['rude.received'], server['rude.received'], clients['rude.sent'])
    verdict.between('rude.sent', clients['rude.received'], server['rude.sent'], server['rude.received'])
    verdict.between('vanish.opened', 0, server['vanish.opened'], clients['left.behind_request'])
    for name in ('published', 'broadcasts', 'answers', 'received_in_full'):
        verdict.equal(name, server[name], clients[name])
    verdict.between('deliveries', clients['received_in_full'], clients['deliveries'], server['deliveries'])
    compare_endings(verdict, server, clients, contexts)
    verdict.equal('messages_received, by stats()', total(contexts, 'messages_received'),
                  sum(server[f'{name}.received'] for name in PROTOCOLS))
    verdict.equal('messages_sent, by stats()', total(contexts, 'messages_sent'),
                  sum(server[f'{name}.sent'] for name in PROTOCOLS) + server['answers'] + server['deliveries'])
    for name in ('open_connections', 'topics', 'subscriptions', 'queued_bytes', 'queue_full'):
        verdict.equal(f'{name} at the end', total(contexts, name), 0)


def compare_endings(verdict, server, clients, contexts):
    server['closed.1006'] -= server['vanish.closed']
    for name in sorted(set(server) | set(clients)):
        if name.startswith('closed.'):
            verdict.equal(name, server[name], clients[name])
    for name in ('upgrade', 'subprotocol', 'bad_request', 'timeout'):
        verdict.equal(f'refused.{name}', total(contexts, f'refused.{name}'), clients[f'refused.{name}'])
    verdict.between('http_requests', clients['http_requests'], total(contexts, 'http_requests'),
                    clients['http_requests'] + clients['left.requests'])
    verdict.between('deferred answers', clients['deferred.answered'], server['deferred.answered'],
                    clients['deferred.answered'] + clients['left.requests'])


def growth(samples, name):
    """By the medians of the last and the middle third of what comes after warming up: 0.01 is 1 %. Nothing: too few."""
    values = [float(sample[name]) for sample in samples[int(len(samples) * WARM_UP):]]
    third = len(values) // 3
    if third < 3:
        return None
    middle, last = statistics.median(values[third:-third]), statistics.median(values[-third:])
    return last / middle - 1
