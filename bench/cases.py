# SPDX-License-Identifier: MIT
"""The attacks that bench/hostile measures: who attacks, what the server is set to, how it has to answer."""

import dataclasses
import resource
from dataclasses import dataclass, field

KIB, MIB = 2**10, 2**20

# Of a server that anybody may talk to.
MAX_MESSAGE, MAX_BACKPRESSURE, MAX_HEADER, MAX_BODY = 64 * KIB, MIB, 8 * KIB, MIB
GUARDS = {'max_message_size': MAX_MESSAGE, 'max_backpressure': MAX_BACKPRESSURE}

# What each connection takes whatever it does, and one that is in its TLS handshake.
CONNECTION, TLS_CONNECTION = 2 * KIB, 64 * KIB
# What the server takes once: the buffer that all receive into, the decompressor with what comes out of it, and what Lua
# has not collected yet.
SHARED = 8 * MIB


def closed(code):
    return f'closed_total{{code="{code}"}}'


def refused(reason):
    return f'refused_total{{reason="{reason}"}}'


@dataclass(frozen=True)
class Case:
    name: str
    attack: str  # in bench/attacks/
    count: int  # connections
    action: str  # what is counted
    holds: int  # bytes that the limits allow each of the attackers to make the server hold
    expected: str  # what the server has counted when it has answered as it has to; '': there is nothing to answer
    each: bool = False  # so, as often as there are attackers; else once is enough
    options: dict = field(default_factory=dict)
    shared: int = SHARED
    tls: bool = False
    descriptors: int = 0  # that the server may have; 0: any number
    few: int = 0  # connections in a short run; 0: as many as in a long one

    @property
    def bound(self):
        """How many bytes more the server may have under attack."""
        connections = min(self.count, self.descriptors) if self.descriptors else self.count
        return connections * self.holds + self.shared

    @property
    def least_answers(self):
        return self.count if self.each else 1 if self.expected else 0

    @property
    def short(self):
        return dataclasses.replace(self, count=self.few or self.count)

    @property
    def server_options(self):
        return {**GUARDS, **self.options}


def most_connections(wanted):
    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 500)


# A head is gathered in a buffer that grows by doubling.
SAYS_HALF = CONNECTION + 2 * MAX_HEADER
SENDS = CONNECTION + MAX_MESSAGE + MAX_BACKPRESSURE

CASES = [
    Case('slowloris', 'Slow', 1000, 'connection', SAYS_HALF, refused('timeout'), each=True, few=100,
         options={'handshake_timeout': 2, 'body_timeout': 2, 'send_timeout': 2}),
    Case('half-open', 'HalfOpen', most_connections(10_000), 'connection', SAYS_HALF, refused('timeout'), each=True, few=1000,
         options={'handshake_timeout': 3}),
    Case('tls', 'Handshakes', 50, 'handshake', TLS_CONNECTION, refused('tls'), tls=True, few=20),
    Case('tls-small-records', 'SmallRecords', 10, 'record', TLS_CONNECTION + SENDS, '', tls=True, few=4),
    Case('pings', 'Pings', 10, 'ping', SENDS, ''),
    Case('pongs', 'Pongs', 10, 'ping', SENDS + MAX_BACKPRESSURE, closed(1013)),
    Case('fragments', 'Fragments', 10, 'fragment', SENDS, ''),
    Case('too-many-fragments', 'TooManyFragments', 10, 'message', SENDS, closed(1008)),
    Case('chunks', 'Chunks', 10, 'chunk', CONNECTION + 2 * MAX_BODY, refused('too_large')),
    Case('small-bombs', 'SmallBombs', 10, 'message', SENDS, ''),
    Case('bombs', 'Bombs', 10, 'message', SENDS, closed(1009)),
    Case('large-bombs', 'LargeBombs', 10, 'message', CONNECTION + 16 * MIB // 16, closed(1009), shared=48 * MIB,
         options={'max_message_size': 16 * MIB}),
    Case('never-reading', 'NeverReading', 50, 'broadcast', CONNECTION + MAX_BACKPRESSURE, closed(1013), each=True, few=10),
    Case('aborts', 'Aborts', 50, 'connection', SAYS_HALF, ''),
    Case('garbage', 'Garbage', 20, 'KiB', SENDS, closed(1002)),
    Case('descriptors', 'Crowd', 500, 'connection', CONNECTION, refused('descriptors'), descriptors=250),
]
