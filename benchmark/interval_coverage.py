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
Coverage of 90 % predictive intervals while a cart-pole is learned, without ROS.

Every tick the world model as it then is, with the interval scales as they then
are, predicts 1, 5, 10 and 25 steps ahead under the commands that follow; what
is measured later says whether the intervals covered it. Nothing is left out:
predictions made within the first second, by a model that knows little, count.

Finished seeds are kept in a JSON file and not run again.

Usage: python benchmark/interval_coverage.py [--seeds N] [--first-seed K] [--seconds S]
       [--rate R] [--out FILE]
"""

import argparse
from collections import deque
import json
from pathlib import Path
import sys

import numpy as np
import torch

from hlai_control.bench.body import Body
from hlai_control.bench.loop import steps
from hlai_control.bench.mind import Mind
from hlai_control.cost.task import load_task
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import WorldModelSettings
from hlai_control.types import generator
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.intervals import forecast, Intervals

HORIZONS = (1, 5, 10, 25)
DRAWS = 16
BLOCK = 50  # ticks that a block of the bootstrap keeps together


def covered(seed: int, seconds: float, rate: float) -> list[list[float]]:
    """Run one seed; return per prediction the share of covered coordinates at each horizon."""
    manifest = load_robot('cartpole')
    layout, task = manifest.layout, load_task('swingup', manifest)
    mind, intervals = Mind(manifest, task, seed), Intervals(layout, HORIZONS, rate=rate)
    random, scratch = generator(seed, 'coverage'), EnsembleDynamics(
        layout, WorldModelSettings(), generator(0, 'scratch'))
    known: deque = deque(maxlen=HORIZONS[-1])
    effects: deque = deque(maxlen=HORIZONS[-1])
    states: deque = deque(maxlen=HORIZONS[-1] + 1)
    shares = []
    with Body(manifest, task, seed) as body:
        for step in steps(body, mind, seconds):
            if step.transition is not None:
                effects.append(step.transition.action)
            states.append(step.estimate.mean)
            if len(states) > HORIZONS[-1]:
                weights, scale = known[0]
                scratch.load(weights)
                ahead = forecast(scratch, states[0], torch.stack(list(effects)), HORIZONS, DRAWS,
                                 random)
                hit = intervals.covers(ahead, scale,
                                       torch.stack([states[ahead_by] for ahead_by in HORIZONS]))
                intervals.learn(hit)
                shares.append(hit.float().mean(dim=1).tolist())
            known.append((mind.model.dynamics.export(), intervals.scale))
    return shares


def bootstrap(runs: list[np.ndarray], samples: int = 2000) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % quantiles of the pooled mean, blocks of ticks redrawn."""
    blocks = [run[at:at + BLOCK] for run in runs for at in range(0, len(run), BLOCK)]
    sums = np.array([block.sum() for block in blocks])
    counts = np.array([len(block) for block in blocks])
    chosen = np.random.default_rng(0).integers(len(blocks), size=(samples, len(blocks)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    return tuple(np.quantile(means, [0.025, 0.975]).tolist())


def main() -> None:
    """Run what is missing, and print the coverage of all."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--seconds', type=float, default=20.0)
    parser.add_argument('--rate', type=float, default=0.1)
    parser.add_argument('--out', type=Path, default=Path('build/interval_coverage.json'))
    given = parser.parse_args()
    torch.set_num_threads(1)
    done = json.loads(given.out.read_text()) if given.out.exists() else {}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    wanted = range(given.first_seed, given.first_seed + given.seeds)
    keys = [f'{seed} {given.seconds} {given.rate}' for seed in wanted]
    for seed, key in zip(wanted, keys, strict=True):
        if key not in done:
            done[key] = covered(seed, given.seconds, given.rate)
            part = given.out.with_suffix('.part')
            part.write_text(json.dumps(done))
            part.replace(given.out)
        print(f'seed {seed}:', *(f'{share:.3f}' for share in np.mean(done[key], axis=0)),
              flush=True)
    for at, horizon in enumerate(HORIZONS):
        runs = [np.array(done[key])[:, at] for key in keys]
        low, high = bootstrap(runs)
        met = 'within' if low <= 0.92 and high >= 0.88 else 'MISSED'
        print(f'{horizon} steps: {np.concatenate(runs).mean():.3f} [{low:.3f}, {high:.3f}], {met}')


if __name__ == '__main__':
    sys.exit(main())
