# SPDX-License-Identifier: MIT
"""Messages to compress: the same ones on every machine."""

import json
import random

WORDS = '''the be to of and a in that have it for not on with he as you do at this but his by from they we say her she or
will an my one all would there their what so up out if about who get which go me when make can like time no just him know
take people into year your good some could them see other than then now look only come its over think also back after use
two how our work first well way even new want because any these give day most us deploy server build release review merge
branch test failed passed latency please thanks lunch meeting tomorrow'''.split()


def chat(count):
    """What a chat room says: 100 to 500 bytes each."""
    source = random.Random(1)
    users = [(f'{source.randrange(16**8):08x}', f'{source.choice(WORDS)}_{source.choice(WORDS)}') for _ in range(50)]
    messages = []
    for number in range(count):
        identity, name = source.choice(users)
        words = source.choices(WORDS, k=source.choice((3, 6, 10, 18, 40)))
        messages.append(json.dumps({
            'type': 'message', 'id': 1_700_000_000_000 + number * 137, 'room': f'room-{source.randrange(8)}',
            'user': {'id': identity, 'name': name}, 'text': ' '.join(words).capitalize() + source.choice('.!?'),
            'mentions': [source.choice(users)[1]] if source.random() < 0.2 else []}))
    return messages


def telemetry(count):
    """What some machines measure, all of them in one message: 1 to 2 KB each."""
    source = random.Random(2)
    values = [[source.gauss(50, 20) for _ in range(4)] for _ in range(12)]
    messages = []
    for number in range(count):
        samples = []
        for device, state in enumerate(values):
            state[:] = [value + source.gauss(0, 0.5) for value in state]
            samples.append({'device': f'sensor-{device:02}', 'ok': source.random() < 0.99,
                            **dict(zip(('temperature', 'pressure', 'voltage', 'load'),
                                       (round(value, 2) for value in state)))})
        messages.append(json.dumps({'time': 1_700_000_000 + number, 'site': 'north', 'samples': samples}))
    return messages


CORPORA = {'chat': chat, 'telemetry': telemetry}
