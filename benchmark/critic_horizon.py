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
Does the critic replace horizon? Each row learns from nothing, in a motion of its own.

long      plans of 16 ticks, no critic
short     plans of 5 ticks, no critic
critic    plans of 5 ticks, the critic's value at the end
both      plans of 16 ticks, the critic's value at the end
default   plans of 16 ticks, a critic taught by TD(lambda) only, as the graph has it

World model, critic and agent are those of the graph's lockstep
(``hlai_control/bench/loop.py``). "Solved" is the start of the first hold of 3 s.
Differences from the first row are paired by seed; their 95 % intervals are
bootstrapped over seeds, a run that is not solved counting as the limit.

Finished runs are kept in the JSON file and not run again; beside it a table
(.md) and the survival curves (.png) are written.

Usage: python benchmark/critic_horizon.py [--seeds N] [--first-seed K] [--limit-s S]
       [--rows long,critic,...] [--out FILE.json]
"""

import argparse
import json
from pathlib import Path
import statistics
import sys

from matplotlib.figure import Figure
import numpy as np
import torch

from hlai_control.bench.body import Body
from hlai_control.bench.loop import steps
from hlai_control.bench.mind import agent_settings, Mind, MindSettings
from hlai_control.cost.task import load_task
from hlai_control.parent.statistics import survival
from hlai_control.robots.manifest import load_robot

TAUGHT = {'schedule.plans': 2, 'schedule.critic_updates': 0}
ALONE = {'schedule.plans': 0, 'schedule.critic_updates': 0}
ROWS = {'long': {'planner.horizon': 16, **ALONE}, 'short': {'planner.horizon': 5, **ALONE},
        'critic': {'planner.horizon': 5, **TAUGHT}, 'both': {'planner.horizon': 16, **TAUGHT},
        'default': {'planner.horizon': 16}}
DRAWS = 10_000


class Never:
    """A function of which no version ever comes: plans then end with a stage cost."""

    version = 0

    def put(self, _artefact) -> None:
        """Forget it."""

    def waits_for(self, _tick) -> str:
        """Wait for nothing."""
        return ''

    def advance(self, _tick) -> None:
        """Have nothing."""


def run(row: str, seed: int, limit_s: float) -> dict:
    """Learn and control until solved, or for so long."""
    manifest = load_robot('cartpole')
    task = load_task('swingup', manifest)
    mind = Mind(manifest, task, seed, MindSettings(agent_settings(ROWS[row])))
    if not mind.schedule.plans and not mind.schedule.critic_updates:
        mind.agent.critics = Never()
    answer, learn, cost = [], [], 0.0
    with Body(manifest, task, seed) as body:
        for step in steps(body, mind, limit_s):
            answer.append(step.answer_s)
            learn.append(step.learn_s)
            cost += step.cost
            if body.solved_at_s is not None:
                break
        return {'solved_at_s': body.solved_at_s, 'cost': cost,
                'answer_ms': 1e3 * statistics.median(answer[20:]),
                'learn_ms': 1e3 * statistics.median(learn[20:])}


def interval(values: np.ndarray, statistic) -> tuple[float, float, float]:
    """Return a statistic of the seeds' values, and its 95 % bootstrap interval."""
    chosen = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.quantile(statistic(values[chosen], axis=1), [0.025, 0.975])
    return float(statistic(values)), float(low), float(high)


def table(results: dict, limit_s: float) -> str:
    """Lay out the rows and their differences from the first."""
    lines = ['| row | solved | median [s] | worst [s] | solved, difference | time, mean difference'
             ' [s] | time, median difference [s] | answer [ms] | learning [ms] |',
             '|---|---|---|---|---|---|---|---|---|']
    base: dict | None = None
    for row in (name for name in ROWS if name in results):
        runs = results[row]
        seeds = sorted(runs, key=int)
        times = np.array([limit_s if runs[k]['solved_at_s'] is None else runs[k]['solved_at_s']
                          for k in seeds])
        solved = np.array([float(runs[k]['solved_at_s'] is not None) for k in seeds])
        told = ['', '', '']
        if base is None:
            base = dict(zip(seeds, zip(times, solved, strict=True), strict=True))
        else:
            # Only seeds that both rows have; '-' where there are none.
            both = [k for k, seed in enumerate(seeds) if seed in base]
            off = np.array([(times[k] - base[seeds[k]][0], solved[k] - base[seeds[k]][1])
                            for k in both])
            told = ['{:+.2f} ({:+.2f} .. {:+.2f})'.format(*found) for found in (
                interval(off[:, 1], np.mean), interval(off[:, 0], np.mean),
                interval(off[:, 0], np.median))] if both else ['-', '-', '-']
        worst = f'{times.max():.2f}' if solved.all() else f'over {limit_s:g}'
        middle = float(np.median(times))
        lines.append(
            f'| {row} | {int(solved.sum())}/{len(solved)} | '
            + (f'{middle:.2f}' if middle < limit_s else f'over {limit_s:g}') + f' | {worst} | '
            + ' | '.join(told) + ''.join(
                f' | {statistics.median(runs[k][part] for k in seeds):.1f}'
                for part in ('answer_ms', 'learn_ms')) + ' |')
    return '\n'.join(lines)


def draw(results: dict, limit_s: float, path: Path) -> None:
    """Draw the fraction of runs that are solved by each time."""
    figure = Figure(figsize=(6.0, 3.6), dpi=100, layout='constrained')
    axes = figure.subplots()
    times = np.linspace(0.0, limit_s, 400)
    for row in (name for name in ROWS if name in results):
        axes.step(times, survival([one['solved_at_s'] for one in results[row].values()],
                                  times.tolist()), where='post', label=row)
    axes.set(xlabel='motion, learning from nothing [s]', ylabel='fraction solved',
             ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={'Software': None})


def main() -> None:
    """Run what is missing, and write the table and the curves."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--limit-s', type=float, default=8.0)
    parser.add_argument('--rows', default=','.join(ROWS))
    parser.add_argument('--out', type=Path, default=Path('build/critic_horizon.json'))
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = {'limit_s': given.limit_s, 'rows': ROWS}
    results: dict = {}
    if given.out.exists():
        kept = json.loads(given.out.read_text())
        if kept['settings'] != settings:
            raise SystemExit(f'{given.out} holds other settings: {kept["settings"]}')
        results = kept['runs']
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for row in given.rows.split(','):
            if str(seed) in results.setdefault(row, {}):
                continue
            results[row][str(seed)] = found = run(row, seed, given.limit_s)
            draft = given.out.with_suffix('.part')
            draft.write_text(json.dumps({'settings': settings, 'runs': results}, indent=1) + '\n')
            draft.replace(given.out)
            print(f'seed {seed} {row}: {found["solved_at_s"]}', flush=True)
    print(table(results, given.limit_s))
    draw(results, given.limit_s, given.out.with_suffix('.png'))


if __name__ == '__main__':
    sys.exit(main())
