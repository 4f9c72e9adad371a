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
How soon a world model is learned: our learner beside mbrl's and torchrl's ensembles.

Usage: python benchmark/model_throughput.py [--seeds N] [--first-seed K] [--rows N ...]
       [--seconds S] [--folder DIR] [--report]

Needs ``pip install --no-deps -r benchmark/requirements.txt``. All train on the
same transitions in one process with one thread, in turn: whoever has had the
least processor time goes next. Time spent measuring does not count; making
the learner and scaling its data does. ``--report`` only writes the tables anew.
"""

import argparse
from collections.abc import Callable
from itertools import count
import json
from math import log, pi
from pathlib import Path
import time
from typing import Any

from model_learners import ANGLE, Contestant, contestants
from model_motion import recorded
from model_report import report
import torch

from hlai_control.files import write_atomic
from hlai_control.parent.machine import machine, versions
from hlai_control.types import Batch

HELD_OUT = 2000
FIRST_LOOK_S, LOOKS = 0.01, 1.25  # looks at the held-out data: the first, and each one's ratio
NAME = 'model_throughput'


class Runner:
    """
    One learner and what it has used so far.

    :param make: makes it.
    :param held_out: what its likelihood is measured on.
    """

    def __init__(self, make: Callable[[], Contestant], held_out: Batch) -> None:
        """Make it."""
        self._held_out, self._next_s = held_out, FIRST_LOOK_S
        self.points, self.rows, self.updates_s = list[dict[str, float]](), 0, 0.0
        begin = time.process_time()
        self._learner = make()
        self.used_s = time.process_time() - begin
        self._look()

    def go_on(self) -> None:
        """Train for a moment, and look if it is time."""
        begin = time.process_time()
        self.rows += self._learner.train()
        spent = time.process_time() - begin
        self.used_s += spent
        self.updates_s += spent
        if self.used_s >= self._next_s:
            self._look()

    def _look(self) -> None:
        begin = time.process_time()
        self._learner.hand_out()
        self.used_s += time.process_time() - begin
        self.points.append({'seconds': self.used_s, 'rows': self.rows,
                            'nll': likelihood(self._learner, self._held_out)})
        while self._next_s <= self.used_s:
            self._next_s *= LOOKS


@torch.no_grad()
def likelihood(learner: Contestant, held_out: Batch) -> float:
    """
    Return the negative log likelihood of the next state, in nats per transition.

    The members are an equal mixture of Gaussians with diagonal covariances, in SI units.
    """
    mean, std = learner.predict(held_out.state, held_out.action)
    error = held_out.next_state - mean
    error[..., ANGLE] = torch.remainder(error[..., ANGLE] + pi, 2.0 * pi) - pi
    each = -(0.5 * (error / std).square() + std.log() + 0.5 * log(2.0 * pi)).sum(dim=-1)
    return float((log(len(each)) - torch.logsumexp(each.double(), dim=0)).mean())


def raced(rows: int, seed: int, limit_s: float) -> dict[str, Any]:
    """Train all on one data set, and return what each reached when."""
    manifest, data = recorded(rows, seed)
    _, held_out = recorded(HELD_OUT, 1_000_000 + seed)
    runners = {name: Runner(make, held_out)
               for name, make in contestants(manifest.layout, data, seed).items()}
    for _ in count():
        name = min(runners, key=lambda one: runners[one].used_s)
        if runners[name].used_s >= limit_s:
            break
        runners[name].go_on()
    return {name: {'points': runner.points, 'rows_per_s': runner.rows / runner.updates_s}
            for name, runner in runners.items()}


def main() -> None:
    """Race on each data set, keep what is done, and write the report."""
    parser = argparse.ArgumentParser(description='how soon a world model is learned')
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--rows', type=int, nargs='+', default=[1000])
    parser.add_argument('--seconds', type=float, default=10.0)
    parser.add_argument('--folder', type=Path, default=Path('docs/results'))
    parser.add_argument('--report', action='store_true')
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = given.folder / f'{NAME}.json'
    if not given.report:
        found: dict[str, Any] = {
            'first_seed': given.first_seed, 'seeds': given.seeds, 'seconds': given.seconds,
            'held_out': HELD_OUT, 'machine': machine(),
            'versions': versions(('mbrl', 'torchrl', 'tensordict')), 'races': []}
        for rows in given.rows:
            for seed in range(given.first_seed, given.first_seed + given.seeds):
                found['races'].append({'rows': rows, 'seed': seed, 'learners': raced(
                    rows, seed, given.seconds)})
                print(f'{rows} transitions, seed {seed}: done', flush=True)
                write_atomic(path, (json.dumps(found) + '\n').encode())
    report(json.loads(path.read_text()), given.folder / NAME)


if __name__ == '__main__':
    main()
