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
How near a robot that has never moved comes to goal after goal, from nothing.

A Panda's hand to poses, without and with a ball in the way (60 s of motion, a new goal
every 10 s); a Husky to places among five posts (120 s, 30 s). In lockstep, exploring and
learning included; the first goal is the task's own, others are drawn with the seed, the
same for all rows. *Error*: true distance from the goal when its time is up, the mean of the
last 0.1 s, of the point between the finger tips or of the base. *There after*: time from
when a goal begins to count until the distance is below 1 cm, or 20 cm, for good. *Contact*: a
control period at whose end the robot touches an obstacle.

The classical rows know the kinematics: resolved rates that come no faster to the ball than the
distance left allows, and a vector field round the posts.

Usage: python benchmark/reaching.py [--seeds N] [--first-seed K] [--task NAME] [--out DIR]
"""

import argparse
from dataclasses import dataclass
import json
from pathlib import Path
import statistics
import sys

import matplotlib
from matplotlib.figure import Figure
import numpy as np
import torch

from hlai_control.bench.body import Body
from hlai_control.bench.loop import Player, steps
from hlai_control.bench.mind import agent_settings, Mind, MindSettings
from hlai_control.cost.task import load_task, TaskSpec
from hlai_control.cost.visits import Visits
from hlai_control.paradigms.playing import Fixed
from hlai_control.parent.machine import facts
from hlai_control.parent.statistics import wilson
from hlai_control.robots.classical import Aimed, rows
from hlai_control.robots.manifest import load_robot, RobotManifest

LAST_S = 0.1
OWN = 'hlai'


@dataclass(frozen=True)
class Case:
    """
    What is asked.

    :param axes: coordinates whose distance from the goal counts.
    :param length_s: of a run.
    :param near_m: distance that is near enough.
    """

    robot: str
    axes: tuple[str, ...]
    length_s: float
    near_m: float


_HAND = ('hand.x', 'hand.y', 'hand.z')
CASES = {'panda_reach': Case('panda', _HAND, 60.0, 0.01),
         'panda_past': Case('panda', _HAND, 60.0, 0.01),
         'husky_drive': Case('husky', ('base.x', 'base.y'), 120.0, 0.2)}


@dataclass(frozen=True)
class Visit:
    """
    What became of one goal.

    :param error_m: distance when its time was up.
    :param there_s: when it was near for good, None: never.
    :param contacts: control periods that ended in contact.
    """

    error_m: float
    there_s: float | None
    contacts: int


class Told(Fixed):
    """A controller that learns nothing but its goal."""

    def __init__(self, name: str, manifest: RobotManifest, task: TaskSpec, seed: int) -> None:
        """Make it and tell it the first goal."""
        self._made = dict(rows(manifest.name, task.name))[name](manifest, seed)
        super().__init__(self._made)
        self.aim(0, task)

    def aim(self, _tick: int, task: TaskSpec) -> None:
        """Take the next goal."""
        if isinstance(self._made, Aimed):
            self._made.aim(task)


def player(name: str, manifest: RobotManifest, task: TaskSpec, seed: int) -> Mind | Told:
    """Make one row's player."""
    if name == OWN:
        return Mind(manifest, task, seed, MindSettings(agent=agent_settings(task.rooms({}))))
    return Told(name, manifest, task, seed)


def run(name: str, manifest: RobotManifest, task: TaskSpec, seed: int) -> list[Visit]:
    """Live one seed of one row."""
    case = CASES[task.name]
    visits, found = Visits(manifest, task, seed), list[Visit]()
    mover = player(name, manifest, task, seed)
    distances, contacts = list[float](), 0
    kept: Player = mover
    with Body(manifest, task, seed) as body:
        for step in steps(body, kept, case.length_s):
            sensed, tick = body.simulator.measure(), step.tick + 1
            named = body.named.of(np.concatenate([sensed.true_position, sensed.true_velocity]))
            goal = {item.coordinate: item.value for item in body.task.goal}
            distances.append(float(np.linalg.norm([named[at] - goal[at] for at in case.axes])))
            contacts += bool(body.simulator.touched)
            if (ahead := visits.begun(tick)) is not None:
                found.append(account(distances, contacts, case, manifest.period_s))
                distances, contacts = [], 0
                mover.aim(tick, ahead)
                body.aim(ahead)
    return found


def account(distances: list[float], contacts: int, case: Case, period_s: float) -> Visit:
    """Say what became of a goal."""
    last = max(1, round(LAST_S / period_s))
    away = [at for at, distance in enumerate(distances) if distance >= case.near_m]
    since = away[-1] + 1 if away else 0
    return Visit(statistics.fmean(distances[-last:]),
                 round((since + 1) * period_s, 6) if since < len(distances) else None, contacts)


def page(results: dict) -> str:
    """Write the report."""
    about, case = results['about'], CASES[results['about']['task']]
    lines = [f'# {about["task"]}: goal after goal, from nothing', '',
             f'`{about["command"]}`, {about["date"]}, {about["machine"]["processor"]}, '
             f'{about["machine"]["cores"]} cores. Seeds from {about["first_seed"]}. What is '
             'measured stands at the head of `benchmark/reaching.py`.', '',
             f'| row | seeds | error after {case.length_s:g} s, median | worst | '
             f'within {100.0 * case.near_m:g} cm, all goals | 95 % | '
             'there after, median of later goals | without contact | 95 % |',
             '|---|---|---|---|---|---|---|---|---|']
    for name, seeds in results['rows'].items():
        runs = [[Visit(**one) for one in each] for each in seeds.values()]
        if not runs:
            continue
        final = [each[-1].error_m * 100.0 for each in runs]
        every = [one for each in runs for one in each]
        near, clear = (sum(one.error_m < case.near_m for one in every),
                       sum(not any(one.contacts for one in each) for each in runs))
        times = [one.there_s for each in runs for one in each[1:] if one.there_s is not None]
        (low, high), (least, most) = wilson(near, len(every)), wilson(clear, len(runs))
        lines.append(
            f'| {name} | {len(runs)} | {statistics.median(final):.2f} cm | {max(final):.2f} cm | '
            f'{near} of {len(every)} | {low:.0%} to {high:.0%} | '
            + (f'{statistics.median(times):.2f} s' if times else '-')
            + f' | {clear} of {len(runs)} | {least:.0%} to {most:.0%} |')
    return '\n'.join([*lines, '', f'![Errors](reaching_{about["task"]}.png)', ''])


def plot(results: dict, path: Path) -> None:
    """Draw the errors of each goal."""
    matplotlib.use('Agg')
    figure = Figure(figsize=(7.0, 3.2), dpi=90, layout='constrained')
    panel = figure.subplots()
    for shift, (name, seeds) in enumerate(results['rows'].items()):
        runs = np.array([[one['error_m'] * 100.0 for one in each] for each in seeds.values()])
        if len(runs):
            at = np.arange(1, runs.shape[1] + 1) + 0.12 * (shift - 1.5)
            panel.errorbar(at, np.median(runs, 0), np.abs(np.quantile(runs, (0.0, 1.0), axis=0)
                                                          - np.median(runs, 0)),
                           fmt='o', capsize=2, label=name)
    panel.axhline(100.0 * CASES[results['about']['task']].near_m, color='grey', linewidth=0.8)
    panel.set(yscale='log', xlabel='goal', ylabel='error when its time is up [cm]')
    panel.grid(alpha=0.3)
    panel.legend(fontsize='small')
    figure.savefig(path, metadata={'Software': None})


def main() -> None:
    """Run what is missing, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[1])
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first-seed', type=int, default=2000)
    parser.add_argument('--task', default='panda_reach', choices=tuple(CASES))
    parser.add_argument('--rows', default='', help='joined by commas; empty: all')
    parser.add_argument('--out', type=Path, default=Path('build'))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    manifest = load_robot(CASES[given.task].robot)
    task = load_task(given.task, manifest)
    kept = given.out / f'reaching_{given.task}.json'
    names = [OWN, *dict(rows(manifest.name, task.name))]
    results = json.loads(kept.read_text()) if kept.exists() else {'rows': {}}
    results['rows'] = {name: results['rows'].get(name, {}) for name in names}
    results['about'] = {'command': ' '.join(['python', *sys.argv]), 'task': given.task,
                        'first_seed': given.first_seed, **facts()}
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for name in given.rows.split(',') if given.rows else names:
            if str(seed) in results['rows'][name]:
                continue
            found = run(name, manifest, task, seed)
            results['rows'][name][str(seed)] = [vars(one) for one in found]
            kept.write_text(json.dumps(results, indent=1) + '\n')
            print(f'seed {seed} {name}: ' + ', '.join(
                f'{100.0 * one.error_m:.2f} cm' for one in found), flush=True)
    (given.out / f'reaching_{given.task}.md').write_text(page(results))
    plot(results, given.out / f'reaching_{given.task}.png')
    print(page(results))


if __name__ == '__main__':
    sys.exit(main())
