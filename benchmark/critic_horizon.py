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
Does the critic replace horizon, and the policy planning? Paired, on what one motion has taught.

For each seed the robot first moves and learns from nothing for some seconds, with the
long horizon and the critic; world model, critic and policy learn as they do in the graph's
lockstep. Then all that was learned stands still, and each row starts hanging anew and
controls for six seconds, with the same functions and the same noise:

long        planning over T, no critic
short       planning over T / 3, no critic
critic      planning over T / 3, the critic's value at the end
seeded      as long, but plans may begin from the policy's commands
reactive    one policy call per tick, no planning
do nothing, random and, where there is one, a classical controller

Usage: python benchmark/critic_horizon.py [--system cartpole|pendulum] [--seeds N]
       [--first-seed K] [--learn-s S] [--out FILE] [critic.members=1 policy.hidden=32 ...]

What is in FILE already is not run again.
"""

import argparse
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
import json
from pathlib import Path
import statistics
import sys
import time

import numpy as np
import torch

from hlai_control.actor.explore import Explorer
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.seeded import imagined, SeededPlanner
from hlai_control.cost.function import TaskCost
from hlai_control.cost.solved import HoldTimer
from hlai_control.cost.task import load_task
from hlai_control.critic.studies import Studies
from hlai_control.engine import Engine
from hlai_control.perception.kalman import KalmanEstimator
from hlai_control.protocols import Problem
from hlai_control.robots.classical import rows
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.simulator import Simulator
from hlai_control.settings import (
    CriticSettings,
    PerceptionSettings,
    PlannerSettings,
    PolicySettings,
    ScheduleSettings,
    WorldModelSettings,
)
from hlai_control.types import Budget, generator, Transition
from hlai_control.world_model.learner import WorldModelLearner

SYSTEMS = {'cartpole': ('swingup', 16), 'pendulum': ('pendulum_swingup', 30)}
JUDGED_S = 6.0


@dataclass(frozen=True)
class Case:
    """What an override on the command line may change."""

    world_model: WorldModelSettings = WorldModelSettings()
    critic: CriticSettings = CriticSettings()
    policy: PolicySettings = PolicySettings()
    planner: PlannerSettings = PlannerSettings()
    schedule: ScheduleSettings = ScheduleSettings()


class Pupil:
    """One seed's robot, and what it learns."""

    def __init__(self, system: str, case: Case, seed: int) -> None:
        """Know nothing."""
        task, self.horizon = SYSTEMS[system]
        self.system, self.case, self.seed = system, case, seed
        self.manifest = load_robot(system)
        self.layout = self.manifest.layout
        self.task = load_task(task, self.manifest)
        self.cost = TaskCost(self.layout, self.task.cost)
        self.model = WorldModelLearner(self.layout, case.world_model,
                                       generator(seed, 'world_model'))
        self.studies = Studies(
            self.layout, self.cost, self.cost.discount, (case.critic, case.policy, case.schedule),
            seed, self.hybrid(self.horizon), case.planner.iterations)
        self.critic, self.policy = self.studies.critic, self.studies.policy

    def problem(self, critic: bool) -> Problem:
        """Say what plans minimise."""
        return Problem(self.model.dynamics, self.cost, self.critic.value if critic else None,
                       self.cost.discount)

    def hybrid(self, horizon: int) -> HybridPlanner:
        """Make a planner."""
        return HybridPlanner(self.layout, replace(self.case.planner, horizon=horizon))

    def study(self, seconds: float) -> None:
        """Move and learn from nothing."""
        explorer = Explorer(self.layout, self.case.planner)
        planner, schedule = self.hybrid(self.horizon), self.case.schedule
        draw, warm, tick = generator(self.seed, 'actor'), None, 0

        def act(estimate, pending):
            nonlocal warm, tick
            chosen = explorer if tick < schedule.explore_ticks else planner
            engine = Engine(self.layout, self.model.dynamics, self.problem(True), chosen)
            tick += 1
            warm = engine.decide(estimate, pending, warm, Budget(self.case.planner.iterations),
                                 draw)
            return warm.actions[0]

        motion(self, self.seed, seconds, act, self.learn)

    def learn(self, transition: Transition) -> None:
        """Make the updates of one transition."""
        self.model.add(transition)
        for _ in range(self.case.schedule.updates):
            self.model.update()
        self.studies.add(transition)
        if self.critic.replay.total < self.case.schedule.explore_ticks:
            return
        for _ in range(self.case.schedule.critic_updates):
            self.studies.update(self.model.dynamics)
        self.studies.study(self.model.dynamics)


def motion(pupil: Pupil, seed: int, seconds: float, act: Callable,
           learn: Callable[[Transition], None] | None = None) -> dict[str, float | None]:
    """Let a robot hang and then move; return its mean true cost and when it was solved."""
    layout, period = pupil.layout, pupil.layout.period_s
    simulator = Simulator(pupil.manifest, seed)
    estimator = KalmanEstimator(layout, PerceptionSettings())
    pending = deque([torch.zeros(layout.action_size)] * layout.delay_ticks)
    timer, total, last, effect, spent = HoldTimer(pupil.task.solved), 0.0, None, None, []
    ticks = round(seconds / period)
    for tick in range(ticks):
        sensed = simulator.measure()
        true = np.concatenate([sensed.true_position, sensed.true_velocity])
        timer.update(tick * period, dict(zip(layout.states, true.tolist(), strict=True)))
        estimator.predict()
        estimate = estimator.correct(torch.from_numpy(
            np.concatenate([sensed.position, sensed.velocity])).float())
        if learn is not None and last is not None:
            learn(Transition(last.mean, effect, estimate.mean))
        begin = time.perf_counter()
        command = act(estimate, torch.stack(list(pending)))
        spent.append(time.perf_counter() - begin)
        pending.append(command)
        effect, last = pending.popleft(), estimate
        total += float(pupil.cost.stage(torch.from_numpy(true).float(), effect))
        simulator.step(command.numpy())
    simulator.close()
    return {'cost': total / ticks, 'solved_at_s': timer.solved_at_s,
            'ms': 1e3 * statistics.median(spent)}


def rows_of(pupil: Pupil) -> dict[str, Callable]:
    """Name the rows; each makes its own answer to (estimate, pending)."""
    third = max(2, round(pupil.horizon / 3))
    seeded = SeededPlanner(pupil.layout, pupil.hybrid(pupil.horizon), pupil.policy.policy)
    made = {name: _planned(pupil, planner, critic) for name, planner, critic in (
        ('long', pupil.hybrid(pupil.horizon), False), ('short', pupil.hybrid(third), False),
        ('critic', pupil.hybrid(third), True), ('seeded', seeded, False))}
    made['reactive'] = _reactive(pupil)
    for name, make in rows(pupil.system, pupil.task.cost.task):
        made[name] = _classical(make(pupil.manifest, pupil.seed))
    return made


def _planned(pupil: Pupil, planner, critic: bool) -> Callable:
    engine = Engine(pupil.layout, pupil.model.dynamics, pupil.problem(critic), planner)
    draw, warm = generator(pupil.seed, 'judged'), None

    def act(estimate, pending):
        nonlocal warm
        warm = engine.decide(estimate, pending, warm, Budget(pupil.case.planner.iterations), draw)
        return warm.actions[0]
    return act


def _reactive(pupil: Pupil) -> Callable:
    engine = Engine(pupil.layout, pupil.model.dynamics, pupil.problem(True), pupil.hybrid(1))

    def act(estimate, pending):
        with torch.inference_mode():
            return pupil.policy.policy.action(engine.foresee(estimate, pending)).clone()
    return act


def _classical(controller) -> Callable:
    return lambda estimate, _pending: torch.from_numpy(
        np.asarray(controller.act(estimate.mean.double().numpy()))).float()


def call_us(pupil: Pupil) -> dict[str, float]:
    """Time one policy call and one plan from the same state, interleaved [us]."""
    start, warm = torch.zeros(pupil.layout.state_size), None
    planner, problem = pupil.hybrid(pupil.horizon), pupil.problem(False)
    draw, taken = generator(0, 'timing'), {'policy': [], 'plan': [], 'proposal': []}
    for _ in range(60):
        begin = time.perf_counter()
        with torch.inference_mode():
            pupil.policy.policy.action(start)
        middle = time.perf_counter()
        warm = planner.plan(start, problem, warm, Budget(pupil.case.planner.iterations), draw)
        end = time.perf_counter()
        imagined(start, problem, pupil.horizon, lambda _t, s: pupil.policy.policy.action(s))
        taken['policy'].append(middle - begin)
        taken['plan'].append(end - middle)
        taken['proposal'].append(time.perf_counter() - end)
    return {name: 1e6 * statistics.median(values) for name, values in taken.items()}


def judged(system: str, case: Case, seed: int, learn_s: float) -> dict:
    """Make one seed's results."""
    pupil = Pupil(system, case, seed)
    pupil.study(learn_s)
    found: dict = {'trust': float(pupil.critic.value.trust), 'us': call_us(pupil)}
    for name, act in rows_of(pupil).items():
        found[name] = motion(pupil, seed + 1_000_000, JUDGED_S, act)
    return found


def overridden(case: Case, assignments: list[str]) -> Case:
    """Apply ``group.field=value`` arguments."""
    for assignment in assignments:
        path, _, text = assignment.partition('=')
        group, _, name = path.partition('.')
        part = getattr(case, group)
        case = replace(case, **{group: replace(part, **{
            name: type(getattr(part, name))(float(text))})})
    return case


def shown(results: dict[str, dict]) -> str:
    """Lay the rows out, and the paired differences from the long horizon."""
    names = [name for name in next(iter(results.values())) if name not in ('trust', 'us')]
    lines = [f'{len(results)} seeds; row: mean cost (paired difference from long, its standard '
             'error), solved, median time to it, ms per decision']
    for name in names:
        costs = np.array([one[name]['cost'] for one in results.values()])
        off = costs - np.array([one['long']['cost'] for one in results.values()])
        times = [one[name]['solved_at_s'] for one in results.values()]
        solved = [value for value in times if value is not None]
        error = off.std(ddof=1) / len(off) ** 0.5 if len(off) > 1 else float('nan')
        lines.append(f'{name:10} {costs.mean():.4f} ({off.mean():+.4f} +- {error:.4f}), '
                     f'{len(solved)}/{len(times)}, '
                     + (f'{statistics.median(solved):.2f} s' if solved else 'never') +
                     f', {statistics.median(one[name]["ms"] for one in results.values()):.2f} ms')
    ratio = statistics.median(one['us']['plan'] / one['us']['policy'] for one in results.values())
    calls = statistics.median(one['us']['policy'] for one in results.values())
    lines.append(f'one policy call: {calls:.0f} us, one plan: {ratio:.0f} times as long')
    return '\n'.join(lines)


def main() -> None:
    """Run the seeds that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--system', choices=tuple(SYSTEMS), default='cartpole')
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--learn-s', type=float, default=15.0)
    parser.add_argument('--out', type=Path)
    parser.add_argument('override', nargs='*', help='group.field=value')
    given = parser.parse_args()
    torch.set_num_threads(1)
    case = overridden(Case(), given.override)
    settings = {'system': given.system, 'learn_s': given.learn_s, 'override': given.override}
    results: dict[str, dict] = {}
    if given.out is not None and given.out.exists():
        kept = json.loads(given.out.read_text())
        if kept['settings'] != settings:
            raise SystemExit(f'{given.out} holds other settings: {kept["settings"]}')
        results = kept['seeds']
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        if str(seed) in results:
            continue
        results[str(seed)] = judged(given.system, case, seed, given.learn_s)
        if given.out is not None:
            draft = given.out.with_suffix('.part')
            draft.write_text(json.dumps({'settings': settings, 'seeds': results}, indent=1))
            draft.replace(given.out)
        print(f'seed {seed}: ' + ', '.join(
            f'{name} {one["cost"]:.3f}' for name, one in results[str(seed)].items()
            if isinstance(one, dict) and 'cost' in one)
            + f'; trust {results[str(seed)]["trust"]:.2f}', flush=True)
    print(shown(results))


if __name__ == '__main__':
    sys.exit(main())
