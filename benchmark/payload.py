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
A payload of half the pole's mass in mid-run: how soon performance is back.

Each seed learns cart-pole swing-up from nothing for 20 s; then the payload is put on
while the pole is balanced, and 5 s later the robot is put back to hanging, as after a
fall. Three futures of the same past: learning goes on, alarms let it doubt what it
knew (the default); it goes on without doubt; and it is frozen, nothing is learned any
more.

*Back* while balancing: the first moment after the change from which on the task's
criterion (pole within 0.2 rad, cart within 0.5 m) holds to the end of the 5 s, and the true
stage cost, averaged over the second that begins there, is within the 95 % quantile of such
averages in the last 5 s before the change. *Back* after the restart: the start of the
3 s hold. The survival curve is the share of seeds that are not back yet. Frozen learning is
the baseline; a robot that does nothing never swings up.

Usage: python benchmark/payload.py [--seeds N] [--first-seed K] [--share 0.5] [--out DIR]
"""

import argparse
import json
from pathlib import Path
import statistics
import sys

from life import branched, Life, Lived
import matplotlib
from matplotlib.figure import Figure
import numpy as np
from numpy.typing import NDArray
import torch

from hlai_control.bench.mind import MindSettings
from hlai_control.cost.solved import at_goal, HoldTimer
from hlai_control.cost.task import load_task, TaskSpec
from hlai_control.parent.machine import facts
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import SurpriseSettings

PERIOD_S, BEFORE_TICKS, BALANCE_TICKS, LIMIT_S, POLE_KG = 0.05, 400, 100, 20.0, 0.5
SECOND = 20
# Learning, weight of what was known before an alarm.
FUTURES = {'learns, doubts': (True, SurpriseSettings().old), 'learns, without doubt': (True, 1.0),
           'frozen': (False, 1.0)}
MOMENTS = ('balancing', 'swing-up')


def averages(costs: list[float]) -> NDArray[np.float64]:
    """Average over the second that begins at each tick, as long as there is a whole one."""
    return np.convolve(costs, np.full(SECOND, 1.0 / SECOND), 'valid')


def balance_back(lived: list[Lived], task: TaskSpec, names: tuple[str, ...], bound: float
                 ) -> float | None:
    """Return when it was back for good, seconds after the change; None: it was not."""
    away = [tick for tick, one in enumerate(lived) if not at_goal(
        task.solved, dict(zip(names, one.true.tolist(), strict=True)))]
    since = away[-1] + 1 if away else 0
    calm = np.flatnonzero(averages([one.cost for one in lived])[since:] <= bound)
    return (since + int(calm[0])) * PERIOD_S if len(calm) else None


def swing_back(life: Life, task: TaskSpec) -> float | None:
    """Swing up; return the start of the hold, None if there was none."""
    timer = HoldTimer(task.solved)
    for tick in range(round(LIMIT_S / PERIOD_S)):
        true = dict(zip(life.mind.layout.states, life.advance().true.tolist(), strict=True))
        if timer.update(tick * PERIOD_S, true):
            return timer.solved_at_s
    return None


def run(seed: int, payload_kg: float) -> dict[str, dict[str, float | None]]:
    """Live one seed's past and its futures."""
    manifest = load_robot('cartpole')
    task = load_task('swingup', manifest)
    found: dict[str, dict[str, float | None]] = {}
    life = Life(manifest, task, seed, MindSettings())
    before = averages([one.cost for one in life.live(BEFORE_TICKS)])
    bound = float(np.quantile(before[-5 * SECOND:], 0.95))
    for name, (learning, old) in FUTURES.items():
        def future(learning: bool = learning, old: float = old) -> dict[str, float | None]:
            life.mind.learning = learning
            life.mind.watch.old = old
            life.body.simulator.payload_kg = payload_kg
            lived = life.live(BALANCE_TICKS)
            life.restart()
            return {'balancing': balance_back(lived, task, manifest.layout.states, bound),
                    'swing-up': swing_back(life, task), 'alarms': life.mind.watch.alarms}
        found[name] = branched(future)
    return found


def page(runs: list[dict], about: dict) -> str:
    """Write the report."""
    lines = [f'# Payload +{100 * about["share"]:g} % of the pole in mid-run', '',
             f'`{about["command"]}`, {about["date"]}, {about["machine"]["processor"]}. '
             f'{len(runs)} seeds from {about["first_seed"]}. What is measured stands at the head '
             'of `benchmark/payload.py`.', '',
             '| future | moment | back within 10 s | median | worst |', '|---|---|---|---|---|']
    for name in FUTURES:
        for moment in MOMENTS:
            times = [one[name][moment] for one in runs]
            never = [LIMIT_S if time is None else time for time in times]
            soon = sum(time is not None and time <= 10.0 for time in times)
            worst = f'{max(never):.2f} s' if None not in times else (
                f'not back in {sum(time is None for time in times)}')
            lines.append(f'| {name} | {moment} | {soon} of {len(runs)} | '
                         f'{statistics.median(never):.2f} s | {worst} |')
    return '\n'.join([*lines, '', f'![Survival]({about["name"]}.png)', ''])


def plot(runs: list[dict], path: Path) -> None:
    """Draw the share of seeds that are not back yet."""
    matplotlib.use('Agg')
    figure = Figure(figsize=(8.0, 3.2), dpi=90, layout='constrained')
    for panel, moment in zip(figure.subplots(1, 2, sharey=True), MOMENTS, strict=True):
        for name in FUTURES:
            times = sorted(one[name][moment] for one in runs if one[name][moment] is not None)
            left = [1.0 - rank / len(runs) for rank in range(len(times) + 1)]
            panel.step([0.0, *times, LIMIT_S], [*left, left[-1]], where='post', label=name)
        panel.axvline(10.0, color='grey', linewidth=0.8)
        panel.set(title=moment, xlabel='seconds of motion', ylim=(0.0, 1.03))
        panel.grid(alpha=0.3)
    figure.axes[0].set_ylabel('not back yet')
    figure.axes[1].legend(fontsize='small')
    figure.savefig(path, metadata={'Software': None})


def main() -> None:
    """Run what is missing, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[1])
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--share', type=float, default=0.5)
    parser.add_argument('--out', type=Path, default=Path('build'))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    name = f'payload_{100 * given.share:g}'
    kept = given.out / f'{name}.json'
    done = json.loads(kept.read_text())['runs'] if kept.exists() else {}
    about = {'command': ' '.join(['python', *sys.argv]), 'first_seed': given.first_seed,
             'share': given.share, 'name': name, **facts()}
    wanted = [str(seed) for seed in range(given.first_seed, given.first_seed + given.seeds)]
    for seed in wanted:
        if seed not in done:
            done[seed] = run(int(seed), given.share * POLE_KG)
            kept.write_text(json.dumps({**about, 'runs': done}, indent=1) + '\n')
        print(f'seed {seed}: {done[seed]}', flush=True)
    runs = [done[seed] for seed in wanted]
    (given.out / f'{name}.md').write_text(page(runs, about))
    plot(runs, given.out / f'{name}.png')
    print(page(runs, about))


if __name__ == '__main__':
    sys.exit(main())
