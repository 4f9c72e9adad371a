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

What the world model node publishes is what is judged (``world_model/forecasts.py``):
ten times per second the world model of 25 ticks ago, with the scales of then,
predicts 1, 5, 10 and 25 steps ahead under the commands that followed. Each run
is swing-up from nothing and then balancing. Nothing is left out: predictions
by the first version, of a model that knows little, count.

A share is over the coordinates; figures pool all predictions of all seeds,
with a bootstrap over blocks of 2.5 s. Finished seeds are kept in a JSON file and not
run again.

Usage: python benchmark/interval_coverage.py [--seeds N] [--first-seed K] [--seconds S]
       [--out DIR]
"""

import argparse
import json
from pathlib import Path
import sys

from life import Life, Pupil
import numpy as np
import torch

from hlai_control.cost.task import load_task
from hlai_control.parent.machine import facts
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import WorldModelSettings
from hlai_control.world_model.forecasts import Forecasts, HORIZONS

BLOCK = 25  # predictions that a block of the bootstrap keeps together


class Foreseeing(Pupil):
    """A mind whose every version goes to the forecasts, too."""

    forecasts: Forecasts

    def _publish(self, tick: int) -> None:
        super()._publish(tick)
        self.forecasts.put(self.model.dynamics.export())


def covered(seed: int, seconds: float) -> list[list[float]]:
    """Run one seed; return per prediction the share of covered coordinates at each horizon."""
    manifest = load_robot('cartpole')
    life = Life(manifest, load_task('swingup', manifest), seed, kind=Foreseeing)
    forecasts = life.mind.forecasts = Forecasts(manifest.layout, WorldModelSettings(), seed)
    shares = []
    for lived in (life.advance() for _ in range(round(seconds / manifest.period_s))):
        judged = None if lived.transition is None else forecasts.observe(lived.transition)
        if judged is not None:
            shares.append(judged.hit.float().mean(dim=1).tolist())
    return shares


def bootstrap(runs: list[np.ndarray], samples: int = 2000) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % quantiles of the pooled mean, blocks of ticks redrawn."""
    blocks = [run[at:at + BLOCK] for run in runs for at in range(0, len(run), BLOCK)]
    sums = np.array([block.sum() for block in blocks])
    counts = np.array([len(block) for block in blocks])
    chosen = np.random.default_rng(0).integers(len(blocks), size=(samples, len(blocks)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    return tuple(np.quantile(means, [0.025, 0.975]).tolist())


def page(runs: list[np.ndarray], about: dict) -> str:
    """Write the report."""
    lines = ['# Coverage of 90 % intervals', '',
             f'`{about["command"]}`, {about["date"]}, {about["machine"]["processor"]}. Cart-pole '
             f'learned from nothing, {len(runs)} seeds from {about["first_seed"]}, '
             f'{sum(map(len, runs))} predictions. What is measured stands at the head of '
             '`benchmark/interval_coverage.py`.', '',
             '| steps ahead | covered | 95 % interval (block bootstrap) | overlaps 88 to 92 % |',
             '|---|---|---|---|']
    for at, horizon in enumerate(HORIZONS):
        ahead = [run[:, at] for run in runs]
        low, high = bootstrap(ahead)
        met = 'yes' if low <= 0.92 and high >= 0.88 else '**no**'
        lines.append(f'| {horizon} | {100 * np.concatenate(ahead).mean():.1f} % | '
                     f'{100 * low:.1f} to {100 * high:.1f} % | {met} |')
    return '\n'.join([*lines, ''])


def main() -> None:
    """Run what is missing, and write the coverage of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[1])
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--seconds', type=float, default=20.0)
    parser.add_argument('--out', type=Path, default=Path('build'))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    kept = given.out / 'interval_coverage.json'
    done = json.loads(kept.read_text())['runs'] if kept.exists() else {}
    about = {'command': ' '.join(['python', *sys.argv]), 'first_seed': given.first_seed,
             **facts()}
    keys = [f'{seed} {given.seconds:g} s'
            for seed in range(given.first_seed, given.first_seed + given.seeds)]
    for key in keys:
        if key not in done:
            done[key] = covered(int(key.split()[0]), given.seconds)
            kept.write_text(json.dumps({**about, 'runs': done}) + '\n')
        print(f'seed {key}:', *(f'{share:.3f}' for share in np.mean(done[key], axis=0)),
              flush=True)
    written = page([np.array(done[key]) for key in keys], about)
    (given.out / 'interval_coverage.md').write_text(written)
    print(written)


if __name__ == '__main__':
    sys.exit(main())
