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
Swing-up learned from nothing by the core alone: no ROS, the plant written out here.

The plant is PILCO's cart-pole (Deisenroth 2010, appendix C) with a rail that
has hard ends; the loop has the semantics of the lockstep graph: one tick of
action delay, U updates per transition, a version published every P ticks and
used D ticks later. Time counts from the first tick on, random ticks included.

Usage: python benchmark/core_swingup.py [--seeds N] [--first-seed K] [--limit-s S]
       [planner.kind=hybrid schedule.critic_updates=0 ...]
"""

import argparse
from collections import deque
from dataclasses import dataclass, replace
from math import cos, pi, sin
import statistics
import sys
import time

import torch

from hlai_control.actor.explore import Explorer
from hlai_control.actor.planners import make_planner, PlanningSettings
from hlai_control.cost.function import TaskCost
from hlai_control.cost.solved import HoldTimer, SolvedSpec, Within
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.critic.learner import CriticLearner
from hlai_control.critic.value import ValueNetwork
from hlai_control.engine import Engine
from hlai_control.layout import Layout
from hlai_control.perception.kalman import KalmanEstimator
from hlai_control.protocols import Problem
from hlai_control.settings import (
    CriticSettings,
    PerceptionSettings,
    PlannerSettings,
    ScheduleSettings,
    WorldModelSettings,
)
from hlai_control.types import Budget, generator, Transition
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.learner import WorldModelLearner

LAYOUT = Layout(
    robot='cartpole', positions=('cart.x', 'pole.angle'), actions=('cart.force',),
    period_s=0.05, delay_ticks=1, angle=(False, True), invariant=(True, False),
    mirror_positions=(-1.0, -1.0), mirror_actions=(-1.0,), action_low=(-10.0,),
    action_high=(10.0,), noise_std=(0.01,) * 4)

COST = CostSpec(task='swingup', discount=0.98, terms=(
    TermSpec('upright', 'angle', 'pole.angle', 1.0, goal=pi),
    TermSpec('centre', 'quadratic', 'cart.x', 0.5),
    TermSpec('swing', 'quadratic', 'pole.angle/rate', 0.005),
    TermSpec('travel', 'quadratic', 'cart.x/rate', 0.02),
    TermSpec('effort', 'quadratic', 'cart.force', 0.0005),
    TermSpec('rail', 'barrier', 'cart.x', 100.0, limit=1.6)))

SOLVED = SolvedSpec(
    within=(Within('pole.angle', 0.2, pi, True), Within('cart.x', 0.5, 0.0, False)), hold_s=3.0)


class Plant:
    """The true cart-pole: [x, angle, x rate, angle rate], angle 0 hanging."""

    substeps = 20

    def __init__(self) -> None:
        """Hang at rest in the middle."""
        self.state = [0.0, 0.0, 0.0, 0.0]

    @staticmethod
    def rates(state: list[float], force: float) -> list[float]:
        """Equations of motion; M = m = 0.5 kg, l = 0.5 m, b = 0.1 N s/m."""
        mass, pole, length, friction, gravity = 0.5, 0.5, 0.5, 0.1, 9.81
        _, angle, dx, spin = state
        s, c = sin(angle), cos(angle)
        push = force - friction * dx
        both = mass + pole
        ddx = (2 * pole * length * spin ** 2 * s + 3 * pole * gravity * s * c + 4 * push) / (
            4 * both - 3 * pole * c ** 2)
        turn = (-3 * pole * length * spin ** 2 * s * c - 6 * both * gravity * s
                - 6 * push * c) / (4 * length * both - 3 * pole * length * c ** 2)
        return [dx, spin, ddx, turn]

    def step(self, force: float) -> None:
        """Advance one control period by Runge-Kutta of 4th order."""
        h = LAYOUT.period_s / self.substeps
        for _ in range(self.substeps):
            s = self.state
            k1 = self.rates(s, force)
            k2 = self.rates([a + 0.5 * h * b for a, b in zip(s, k1, strict=True)], force)
            k3 = self.rates([a + 0.5 * h * b for a, b in zip(s, k2, strict=True)], force)
            k4 = self.rates([a + h * b for a, b in zip(s, k3, strict=True)], force)
            self.state = [a + h / 6 * (p + 2 * q + 2 * r + t)
                          for a, p, q, r, t in zip(s, k1, k2, k3, k4, strict=True)]
            if abs(self.state[0]) > 2.0:  # inelastic: the cart stops, the pole keeps turning
                self.state[0] = 2.0 if self.state[0] > 0 else -2.0
                if self.state[0] * self.state[2] > 0:
                    self.state[2] = 0.0


@dataclass(frozen=True)
class Case:
    """Everything that an override on the command line may change."""

    perception: PerceptionSettings = PerceptionSettings()
    world_model: WorldModelSettings = WorldModelSettings()
    critic: CriticSettings = CriticSettings()
    planner: PlannerSettings = PlannerSettings(kind='icem')
    schedule: ScheduleSettings = ScheduleSettings()
    cost: CostSpec = COST


@dataclass(frozen=True)
class Result:
    """One run: seconds of motion until the hold began, and mean compute per tick [ms]."""

    seed: int
    solved_at_s: float | None
    plan_ms: float
    world_model_ms: float
    critic_ms: float


class Run:
    """One seed, from nothing, until solved or out of time."""

    def __init__(self, case: Case, seed: int) -> None:
        """Give each module its own random numbers."""
        self.case, self.seed = case, seed
        self.plant = Plant()
        self.estimator = KalmanEstimator(LAYOUT, case.perception)
        self.learner = WorldModelLearner(LAYOUT, case.world_model,
                                         generator(seed, 'world_model'))
        self.sensor, self.actor = generator(seed, 'robot'), generator(seed, 'actor')
        self.explorer = Explorer(LAYOUT, case.planner)
        self.planner = make_planner(LAYOUT, PlanningSettings(case.planner))
        self.imagined = EnsembleDynamics(LAYOUT, case.world_model,
                                         generator(seed, 'world_model'))
        cost = TaskCost(LAYOUT, case.cost)
        self.critic = CriticLearner(LAYOUT, cost, case.cost.discount, case.critic,
                                    generator(seed, 'critic'))
        self.anticipated = ValueNetwork(LAYOUT, case.critic, generator(seed, 'critic'))
        trusted = self.anticipated if case.schedule.critic_updates else None
        self.engine = Engine(
            LAYOUT, self.imagined, Problem(self.imagined, cost, trusted, cost.discount),
            self.explorer)
        self.pending = deque([torch.zeros(1)] * LAYOUT.delay_ticks)
        self.versions: deque = deque()
        self.version = -1
        self.spent = {'plan': 0.0, 'world_model': 0.0, 'critic': 0.0}

    def run(self, limit_s: float) -> Result:
        """Step until solved or ``limit_s`` seconds of motion have passed."""
        timer, tick, last, effect, plan = HoldTimer(SOLVED), 0, None, None, None
        while tick * LAYOUT.period_s <= limit_s:
            true = dict(zip(LAYOUT.states, self.plant.state, strict=True))
            if timer.update(tick * LAYOUT.period_s, true):
                break
            estimate = self.perceive()
            if last is not None:
                self.learn(Transition(last.mean, effect, estimate.mean), tick)
            plan = self.act(estimate, plan, tick)
            effect = self.pending.popleft()
            self.plant.step(float(effect))
            last, tick = estimate, tick + 1
        return Result(self.seed, timer.solved_at_s, *(
            1e3 * spent / max(tick, 1) for spent in self.spent.values()))

    def perceive(self):
        """Measure with noise, and estimate."""
        noise = torch.tensor(LAYOUT.noise_std) * torch.randn(4, generator=self.sensor)
        self.estimator.predict()
        return self.estimator.correct(torch.tensor(self.plant.state) + noise)

    def learn(self, transition: Transition, tick: int) -> None:
        """Make the updates of one transition and publish when it is time."""
        begin = time.perf_counter()
        self.learner.add(transition)
        for _ in range(self.case.schedule.updates):
            self.learner.update()
        self.spent['world_model'] += time.perf_counter() - begin
        begin = time.perf_counter()
        self.critic.add(transition)
        for _ in range(self.case.schedule.critic_updates):
            self.critic.update(self.imagined)
        self.spent['critic'] += time.perf_counter() - begin
        if tick % self.case.schedule.publish_every == 0:
            self.versions.append((tick, self.learner.dynamics.export(),
                                  self.critic.value.export()))

    def act(self, estimate, warm, tick: int):
        """Take the version that is due, plan, and send the first command."""
        begin = time.perf_counter()
        while self.versions and self.versions[0][0] <= tick - self.case.schedule.due_after:
            self.version, world_model, critic = self.versions.popleft()
            self.imagined.load(world_model)
            self.anticipated.load(critic)
        exploring = self.version < self.case.schedule.explore_ticks
        planner = self.explorer if exploring else self.planner
        engine = replace(self.engine, planner=planner)
        plan = engine.decide(estimate, torch.stack(list(self.pending)), warm,
                             Budget(self.case.planner.iterations), self.actor)
        self.pending.append(plan.actions[0])
        self.spent['plan'] += time.perf_counter() - begin
        return plan


def overridden(case: Case, assignments: list[str]) -> Case:
    """Apply ``group.field=value`` arguments; ``cost.<term>=weight`` sets a weight."""
    for assignment in assignments:
        path, _, text = assignment.partition('=')
        group, _, name = path.partition('.')
        part = getattr(case, group)
        if group == 'cost' and name != 'discount':
            terms = tuple(replace(term, weight=float(text)) if term.name == name else term
                          for term in part.terms)
            part = replace(part, terms=terms)
        else:
            kind = type(getattr(part, name))
            part = replace(part, **{name: text if kind is str else kind(float(text))})
        case = replace(case, **{group: part})
    return case


def main() -> None:
    """Run the seeds one after the other and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--seeds', type=int, default=10)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--limit-s', type=float, default=20.0)
    parser.add_argument('override', nargs='*', help='group.field=value')
    given = parser.parse_args()
    torch.set_num_threads(1)
    case = overridden(Case(), given.override)
    results = []
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        results.append(Run(case, seed).run(given.limit_s))
        last = results[-1]
        shown = 'unsolved' if last.solved_at_s is None else f'{last.solved_at_s:.2f} s'
        print(f'seed {seed}: {shown}; plan {last.plan_ms:.1f} ms, '
              f'world model {last.world_model_ms:.1f}, critic {last.critic_ms:.1f} ms per tick',
              flush=True)
    times = [given.limit_s if item.solved_at_s is None else item.solved_at_s for item in results]
    unsolved = sum(item.solved_at_s is None for item in results)
    print(f'median {statistics.median(times):.2f} s, worst {max(times):.2f} s, '
          f'unsolved {unsolved} of {len(results)}')


if __name__ == '__main__':
    sys.exit(main())
