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
What the policy is worth after so many seconds of motion: alone, and as the planner's seed.

One robot per seed learns from nothing while the planner moves it. At each
checkpoint all that was learned stands still, and each row starts hanging anew
and controls for six seconds, with the same functions and the same noise:

react          one policy call per tick, no planning
plan           plans of 16 ticks, no critic
short critic   plans of 5 ticks, the critic's value at the end
do nothing, random, classical

As a seed: from states along the policy's and the planner's motions, a cold
plan of few refinements against one that begins from the policy's commands; the
energies are compared at equal numbers of refinements, and the time is taken.

Finished seeds are kept in the JSON file and not run again; beside it curves
(.png) are drawn.

Usage: python benchmark/reactive.py [--seeds N] [--first-seed K] [--after 10,20,40]
       [--out FILE.json] [schedule.plans=3 policy.hidden=64 ...]
"""

import argparse
from collections import deque
from dataclasses import dataclass
import json
from pathlib import Path
import statistics
import sys

from matplotlib.figure import Figure
import numpy as np
import torch

from hlai_control.actor.agent import Answer
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.seeded import imagined
from hlai_control.bench.body import Body
from hlai_control.bench.loop import steps
from hlai_control.bench.mind import agent_settings, Mind, MindSettings
from hlai_control.cost.task import load_task
from hlai_control.engine import Engine
from hlai_control.protocols import Problem
from hlai_control.robots.classical import rows
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget, generator

JUDGED_S = 6.0
LEARNED = {'schedule.plans': 3, 'schedule.critic_updates': 0, 'schedule.practice': 50,
           'policy.batch': 128}
REFINEMENTS = (1, 2, 3, 6)
STARTS = 24


@dataclass
class Frozen:
    """Answers with functions that stand still; ``rule`` maps (state, planner's memory)."""

    mind: Mind
    horizon: int
    critic: bool
    react: bool

    def __post_init__(self) -> None:
        """Begin before the first tick."""
        layout, studies = self.mind.layout, self.mind.studies
        problem = Problem(self.mind.model.dynamics, studies.critic._cost,
                          studies.critic.value if self.critic else None,
                          studies.critic._discount)
        self.engine = Engine(layout, problem.dynamics, problem, HybridPlanner(
            layout, PlannerSettings(horizon=self.horizon)))
        self.draw, self.warm = generator(0, 'judged'), None
        self.pending = deque([torch.zeros(layout.action_size)] * layout.delay_ticks)

    def answer(self, _tick, estimate) -> Answer:
        """Choose the command that answers one state."""
        coming = torch.stack(list(self.pending))
        if self.react:
            with torch.no_grad():
                start = self.engine.foresee(estimate, coming).clone()
                return Answer(self.mind.studies.policy.policy.action(start), None, False, '')
        self.warm = self.engine.decide(estimate, coming, self.warm, Budget(3), self.draw)
        return Answer(self.warm.command, self.warm, False, '')

    def sent(self, _tick, command) -> None:
        """Remember what is on its way."""
        self.pending.append(command)
        self.pending.popleft()

    def learn(self, _tick, _transition) -> None:
        """Stand still."""


class Classical:
    """A controller that knows the plant, or nothing at all."""

    def __init__(self, controller) -> None:
        """Keep it."""
        self.controller = controller

    def answer(self, _tick, estimate) -> Answer:
        """Choose the command that answers one state."""
        return Answer(torch.from_numpy(np.asarray(self.controller.act(
            estimate.mean.double().numpy()))).float(), None, False, '')

    def sent(self, _tick, _command) -> None:
        """Forget it."""

    def learn(self, _tick, _transition) -> None:
        """Stand still."""


def judged(manifest, task, seed: int, player) -> dict:
    """Let a robot hang and then be controlled; return its mean cost and when it was solved."""
    costs, spent = [], []
    with Body(manifest, task, seed + 1_000_000) as body:
        for step in steps(body, player, JUDGED_S):
            costs.append(step.cost)
            spent.append(step.answer_s)
        return {'cost': statistics.fmean(costs), 'solved_at_s': body.solved_at_s,
                'ms': 1e3 * statistics.median(spent)}


def seeding(mind: Mind, seed: int) -> list[dict]:
    """Compare cold plans with plans that begin from the policy, at equal refinements."""
    layout, draw = mind.layout, generator(seed, 'seeding')
    problem = Problem(mind.model.dynamics, mind.studies.critic._cost, None,
                      mind.studies.critic._discount)
    planner = HybridPlanner(layout, PlannerSettings())
    states = mind.studies._diverse.sample(STARTS, draw).state
    found = []
    for start in states:
        with torch.no_grad():
            proposed = imagined(start.clone(), problem, 16,
                                lambda _t, s: mind.studies.policy.policy.action(s))
        # Planners move a previous plan on by one tick: so it begins one tick before.
        warm = type(proposed)(
            torch.cat([proposed.actions[:1], proposed.actions]),
            torch.cat([proposed.states[:1], proposed.states]), proposed.energy, 0.0, 0, 0)
        one = {'policy': proposed.energy,
               'best': planner.plan(start, problem, None, Budget(30), draw).energy}
        for count in REFINEMENTS:
            one[f'cold {count}'] = planner.plan(start, problem, None, Budget(count), draw).energy
            one[f'seeded {count}'] = planner.plan(start, problem, warm, Budget(count),
                                                  draw).energy
        found.append(one)
    return found


def one_seed(seed: int, after: list[float], rooms: dict) -> dict:
    """Learn, and judge at each checkpoint."""
    manifest = load_robot('cartpole')
    task = load_task('swingup', manifest)
    mind = Mind(manifest, task, seed, MindSettings(agent_settings(rooms)))
    found: dict = {'solved_at_s': None, 'after': {}}
    for name, make in rows('cartpole', 'swingup'):
        found[name] = judged(manifest, task, seed, Classical(make(manifest, seed)))
    left, spent = list(after), []
    with Body(manifest, task, seed) as body:
        for step in steps(body, mind, after[-1]):
            spent.append(step.learn_s)
            if left and body.time_s >= left[0] - 1e-9:
                here = found['after'][f'{left.pop(0):g}'] = {
                    name: judged(manifest, task, seed, Frozen(mind, *kind))
                    for name, kind in (('react', (1, False, True)), ('plan', (16, False, False)),
                                       ('short critic', (5, True, False)))}
                here['seeding'] = seeding(mind, seed)
        found['solved_at_s'], found['learn_ms'] = body.solved_at_s, 1e3 * statistics.median(spent)
    return found


def line(name: str, runs: list[dict]) -> str:
    """Lay out one row."""
    times = [one['solved_at_s'] for one in runs]
    solved = [value for value in times if value is not None]
    return (f'| {name} | {len(solved)}/{len(times)} | '
            + (f'{statistics.median(solved):.2f} | {max(solved):.2f}' if solved else '- | -')
            + f' | {statistics.fmean(one["cost"] for one in runs):.3f} | '
            f'{statistics.median(one["ms"] for one in runs):.2f} |')


def table(results: dict[str, dict]) -> str:
    """Lay out all rows."""
    lines = ['| row | solved in 6 s | median of these [s] | worst of these [s] | mean cost | '
             'answer [ms] |', '|---|---|---|---|---|---|']
    every = list(results.values())
    for name in ('do nothing', 'random', 'classical'):
        lines.append(line(name, [one[name] for one in every]))
    for moment in every[0]['after']:
        for name in ('plan', 'short critic', 'react'):
            lines.append(line(f'{name}, after {moment} s',
                              [one['after'][moment][name] for one in every]))
    lines += ['', '| begun from, after | ' + ' | '.join(
        f'{count} refinements' for count in REFINEMENTS) + ' |', '|---' * (
            1 + len(REFINEMENTS)) + '|']
    for moment in every[0]['after']:
        plans = [plan for one in every for plan in one['after'][moment]['seeding']]
        for kind in ('cold', 'seeded'):
            share = [statistics.median(plan[f'{kind} {count}'] / max(plan['best'], 1e-6) - 1.0
                                       for plan in plans) for count in REFINEMENTS]
            lines.append(f'| {kind}, {moment} s | '
                         + ' | '.join(f'{100 * value:+.2f} %' for value in share) + ' |')
    return '\n'.join(lines)


def draw(results: dict[str, dict], path: Path) -> None:
    """Draw what fraction is solved, and the mean cost, over the motion learned from."""
    figure = Figure(figsize=(8.0, 3.4), dpi=100, layout='constrained')
    left, right = figure.subplots(1, 2)
    every = list(results.values())
    moments = list(every[0]['after'])
    for name in ('plan', 'short critic', 'react'):
        runs = [[one['after'][moment][name] for one in every] for moment in moments]
        at = [float(moment) for moment in moments]
        left.plot(at, [statistics.fmean(one['solved_at_s'] is not None for one in alike)
                       for alike in runs], marker='o', label=name)
        right.plot(at, [statistics.fmean(one['cost'] for one in alike) for alike in runs],
                   marker='o', label=name)
    for name, style in (('classical', '--'), ('do nothing', ':')):
        right.axhline(statistics.fmean(one[name]['cost'] for one in every), linestyle=style,
                      color='grey', label=name)
    left.set(xlabel='motion learned from [s]', ylabel='solved within 6 s', ylim=(-0.02, 1.02))
    right.set(xlabel='motion learned from [s]', ylabel='mean cost over 6 s', ylim=(0.0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize='small')
    figure.savefig(path, metadata={'Software': None})


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--after', default='10,20,40')
    parser.add_argument('--out', type=Path, default=Path('build/reactive.json'))
    parser.add_argument('override', nargs='*', help='group.field=value')
    given = parser.parse_args()
    torch.set_num_threads(1)
    rooms: dict = dict(LEARNED)
    for assignment in given.override:
        name, _, text = assignment.partition('=')
        rooms[name] = float(text) if '.' in text or 'e' in text else int(text)
    settings = {'after': given.after, 'rooms': rooms}
    results: dict[str, dict] = {}
    if given.out.exists():
        kept = json.loads(given.out.read_text())
        if kept['settings'] != settings:
            raise SystemExit(f'{given.out} holds other settings: {kept["settings"]}')
        results = kept['seeds']
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        if str(seed) in results:
            continue
        results[str(seed)] = found = one_seed(
            seed, [float(text) for text in given.after.split(',')], rooms)
        draft = given.out.with_suffix('.part')
        draft.write_text(json.dumps({'settings': settings, 'seeds': results}, indent=1) + '\n')
        draft.replace(given.out)
        print(f'seed {seed}: solved {found["solved_at_s"]}, learning {found["learn_ms"]:.0f} ms; '
              + '; '.join(f'{moment} s: ' + ', '.join(
                  f'{name} {one["cost"]:.2f} ({one["solved_at_s"]})'
                  for name, one in rows_of.items() if name != 'seeding')
                  for moment, rows_of in found['after'].items()), flush=True)
    print(table(results))
    draw(results, given.out.with_suffix('.png'))


if __name__ == '__main__':
    sys.exit(main())
