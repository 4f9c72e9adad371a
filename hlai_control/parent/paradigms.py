# Copyright 2026 hlai_control contributors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""``hlai eval paradigms``: checks what is asked for, then compares in a process of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
import sys

from hlai_control.errors import UsageError
from hlai_control.paradigms.rows import Row, rows_named, SAC, System, systems_named
from hlai_control.parent.arguments import number, split, whole
from hlai_control.parent.watched import watched

KEYS = ('robots', 'rows', 'seeds', 'first_seed', 'budget_s', 'json')
# What the row of model-free learning needs: the distribution, and the modules to be found.
PEERS = ('stable-baselines3', 'gymnasium')
MODULES = ('stable_baselines3', 'gymnasium', 'cloudpickle')
MODULE = 'hlai_control.paradigms'
MOST_SEEDS = 100_000


@dataclass(frozen=True)
class ParadigmSettings:
    """
    What ``hlai eval paradigms`` was asked for.

    :param systems: robots with their tasks.
    :param seeds: first_seed, first_seed + 1, and so on.
    :param budget_s: motion seconds of every run at most; 0: as each row states.
    :param json: results file; None: print only.
    """

    systems: tuple[System, ...]
    rows: tuple[Row, ...]
    seeds: range
    budget_s: float
    json: Path | None

    def budget(self, system: System, row: Row) -> float:
        """Return the motion seconds of a run at most."""
        return self.budget_s or system.budget(row)


def read_arguments(arguments: Sequence[str]) -> ParadigmSettings:
    """
    Read the arguments of ``hlai eval paradigms``.

    :raises UsageError: naming what is wrong and what is valid.
    """
    own, rooms = split(arguments, KEYS)
    if rooms:
        raise UsageError(f'{", ".join(rooms)}: each row has its own settings '
                         f'(docs/paradigms.md); valid: {", ".join(KEYS)}')
    path = Path(own['json']) if own.get('json') else None
    if path is not None and (not path.parent.is_dir() or path.is_dir()):
        raise UsageError(f'json:={path} cannot be written; valid: a file in a folder that exists')
    first = whole(own, 'first_seed', 0, 0, 2 ** 31 - MOST_SEEDS)
    return ParadigmSettings(
        systems=systems_named(own.get('robots', '')), rows=rows_named(own.get('rows', '')),
        seeds=range(first, first + whole(own, 'seeds', 20, 1, MOST_SEEDS)),
        budget_s=number(own, 'budget_s', 0.0, 1.0), json=path)


def paradigms(arguments: Sequence[str]) -> int:
    """
    Run ``hlai eval paradigms``.

    :returns: the process's exit status; 130 after Ctrl-C.
    :raises UsageError: if the arguments are wrong, or what SAC needs is not installed.
    """
    settings = read_arguments(arguments)
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing and any(row.kind == SAC for row in settings.rows):
        others = ','.join(row.name for row in settings.rows if row.kind != SAC)
        raise UsageError(f'not installed: {", ".join(missing)}. Libraries to compare with are '
                         'installed only for benchmarks: make bench-setup, or\n  '
                         f'{sys.executable} -m pip install --no-deps '
                         '-r benchmark/requirements.txt\n'
                         + (f'or leave SAC out: rows:={others}' if others else ''))
    return watched([sys.executable, '-m', MODULE, *arguments])
