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

"""``hlai bench planner``: checks what is asked for, then runs the benchmark in a process."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
import sys

from hlai_control.bench.systems import chosen
from hlai_control.errors import UsageError
from hlai_control.parent.arguments import choice, split, whole
from hlai_control.parent.watched import watched

KEYS = ('json', 'starts', 'seed', 'ticks', 'systems', 'peers')
# What is compared with: distributions, and the modules that must be found.
PEERS = ('pytorch-mppi', 'torchrl', 'stable-worldmodel')
MODULES = ('pytorch_mppi', 'torchrl', 'tensordict', 'stable_worldmodel', 'gymnasium', 'loguru')
MODULE = 'hlai_control.bench.planner'


@dataclass(frozen=True)
class BenchSettings:
    """
    What ``hlai bench planner`` was asked for.

    :param json: results file; None: print only.
    :param starts: starts of each system.
    :param seed: of the starts, and of the motion that the world models learn from.
    :param ticks: length of each closed loop, at most.
    :param systems: names joined by commas; empty: all.
    :param peers: whether other packages' planners take part.
    """

    json: Path | None
    starts: int
    seed: int
    ticks: int
    systems: str
    peers: bool

    def identity(self) -> dict[str, object]:
        """Return what systems must share to stand in one file."""
        return {'starts': self.starts, 'seed': self.seed, 'ticks': self.ticks, 'peers': self.peers}


def read_arguments(arguments: Sequence[str]) -> BenchSettings:
    """
    Read the arguments of ``hlai bench planner``.

    :raises HlaiError: naming what is wrong and what is valid.
    """
    own, rooms = split(arguments, KEYS)
    if rooms:
        raise UsageError(f'{", ".join(rooms)}: competitors have their own settings; valid: '
                         + ', '.join(KEYS))
    path = Path(own['json']) if own.get('json') else None
    if path is not None and (not path.parent.is_dir() or path.is_dir()):
        raise UsageError(f'json:={path} cannot be written; valid: a file in a folder that exists')
    systems = own.get('systems', '')
    chosen(systems)
    return BenchSettings(json=path, starts=whole(own, 'starts', 20, 1, 1000),
                         seed=whole(own, 'seed', 2026, 0, 20_000),
                         ticks=whole(own, 'ticks', 25, 1, 1000), systems=systems,
                         peers=choice(own, 'peers', 'yes', ('yes', 'no')) == 'yes')


def bench(arguments: Sequence[str]) -> int:
    """
    Run ``hlai bench planner``.

    :returns: the process's exit status; 130 after Ctrl-C.
    :raises UsageError: if the arguments are wrong, or a peer is not installed.
    """
    if not arguments or arguments[0] != 'planner':
        raise UsageError('hlai bench needs to know what; valid: hlai bench planner [key:=value]')
    settings = read_arguments(arguments[1:])
    missing = [name for name in MODULES if find_spec(name) is None]
    if settings.peers and missing:
        raise UsageError(f'not installed: {", ".join(missing)}. Planners of other packages are '
                         'installed only for benchmarks: make bench-setup, or\n  '
                         f'{sys.executable} -m pip install --no-deps '
                         '-r benchmark/requirements.txt\nor leave them out: peers:=no')
    return watched([sys.executable, '-m', MODULE, *arguments[1:]])
