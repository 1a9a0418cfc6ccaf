# SPDX-License-Identifier: MIT
"""The list of rules: each is a sentence, the RFC and the section that it is from, and a check with a table of cases."""

import itertools
import re

RULES = []


class Rule:
    def __init__(self, section, text, check, cases):
        self.rfc = re.match(r'rfc(\d+)\.', check.__module__)[1]  # that of its folder
        self.section = section
        self.text = text
        self.check = check
        self.cases = cases
        self.name = check.__name__.replace('_', ' ')


def rule(section, text, cases=((None,),)):
    """Makes a check of the function below. Each case is a label and the arguments that follow the servers."""
    def register(check):
        RULES.append(Rule(section, text, check, list(cases)))
        return check

    return register


def labelled(values):
    """A table of one column, the values themselves being the labels."""
    return [(str(value), value) for value in values]


def product(*tables):
    """Each case of one table with each of the others."""
    for cases in itertools.product(*tables):
        yield (', '.join(case[0] for case in cases), *[value for case in cases for value in case[1:]])


def table(rfc):
    """The rules of an RFC as their table in docs/conformance.md, by section."""
    def place(entry):
        return [int(number) for number in entry.section.split('.')]

    lines = ['| section | rule | test |', '|---|---|---|']
    for entry in sorted((entry for entry in RULES if entry.rfc == rfc), key=place):
        lines.append(f'| {entry.section} | {entry.text} | {entry.name} |')
    return '\n'.join(lines) + '\n'
