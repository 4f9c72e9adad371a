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

"""
Swing-up learned from nothing, as ``core_swingup.py``, with any of the planners.

Usage: python benchmark/planner_swingup.py [--planner hybrid|ddp|mppi|adjoint|icem|cem]
       [--seeds N] [--first-seed K] [--limit-s S] [planner.horizon=20 ...]
"""

import argparse
import statistics
import sys

from core_swingup import Case, LAYOUT, overridden, Run
import torch

from hlai_control.actor.adjoint import AdjointPlanner
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.icem import IcemPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.protocols import Planner

NAMES = ('hybrid', 'ddp', 'mppi', 'adjoint', 'icem', 'cem')


def made(name: str, case: Case) -> Planner:
    """Make a planner by name."""
    settings = case.planner
    if name == 'hybrid':
        return HybridPlanner(LAYOUT, settings)
    if name == 'ddp':
        return DdpPlanner(LAYOUT, settings.horizon)
    if name == 'adjoint':
        return AdjointPlanner(LAYOUT, settings.horizon)
    return {'mppi': MppiPlanner, 'icem': IcemPlanner, 'cem': CemPlanner}[name](LAYOUT, settings)


def main() -> None:
    """Run the seeds one after the other and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--planner', choices=NAMES, default='hybrid')
    parser.add_argument('--seeds', type=int, default=10)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--limit-s', type=float, default=20.0)
    parser.add_argument('override', nargs='*', help='group.field=value')
    given = parser.parse_args()
    torch.set_num_threads(1)
    case = overridden(Case(), given.override)
    times = []
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        run = Run(case, seed)
        run.planner = made(given.planner, case)
        found = run.run(given.limit_s)
        times.append(given.limit_s if found.solved_at_s is None else found.solved_at_s)
        print(f'seed {seed}: {found.solved_at_s} s; plan {found.plan_ms:.1f} ms per tick',
              flush=True)
    print(f'{given.planner}: median {statistics.median(times):.2f} s, worst {max(times):.2f} s, '
          f'unsolved {sum(value >= given.limit_s for value in times)} of {len(times)}')


if __name__ == '__main__':
    sys.exit(main())
