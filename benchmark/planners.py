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
All planners on one task: true closed-loop cost, model calls and time of each.

The plant is that of ``core_swingup.py``, without delay, its state measured
with noise. Every planner drives it in receding horizon from the same starts,
hanging and random in turn, one tick of each in turn, on one thread; once with
the known equations of motion and once with a world model that
``core_swingup.py`` learned in a few seconds of motion. No critic.

One call is one state step of the model (of all its members); a reverse pass
counts two more per step it goes back through.

Usage: python benchmark/planners.py [--starts N] [--ticks N] [--horizon T] [--learn-s S]
       [--only NAME ...] [--model known|learned|both]
"""

import argparse
from dataclasses import dataclass, field
from math import pi
import statistics
import sys
import time

from core_swingup import Case, COST, LAYOUT, Plant, Run
import torch

from hlai_control.actor.adjoint import AdjointPlanner
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.cost.function import TaskCost
from hlai_control.protocols import Dynamics, Planner, Problem
from hlai_control.settings import HybridSettings, PlannerSettings
from hlai_control.types import Budget, generator, Plan


class KnownDynamics:
    """The plant's equations of motion as a model: one Runge-Kutta step of 4th order."""

    members, latent_size = 1, 0

    def step(self, state, action, z=None):
        """Predict one control period ahead."""
        h, force = LAYOUT.period_s, action[..., 0]
        k1 = self.rates(state, force)
        k2 = self.rates(state + 0.5 * h * k1, force)
        k3 = self.rates(state + 0.5 * h * k2, force)
        k4 = self.rates(state + h * k3, force)
        return state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    @staticmethod
    def rates(state, force):
        """Equations of motion; M = m = 0.5 kg, l = 0.5 m, b = 0.1 N s/m."""
        _, angle, dx, spin = state.unbind(dim=-1)
        s, c, push = torch.sin(angle), torch.cos(angle), force - 0.1 * dx
        ddx = (0.5 * spin ** 2 * s + 1.5 * 9.81 * s * c + 4 * push) / (4.0 - 1.5 * c ** 2)
        turn = (-0.75 * spin ** 2 * s * c - 6 * 9.81 * s - 6 * push * c) / (2.0 - 0.75 * c ** 2)
        return torch.stack([dx, spin, ddx, turn], dim=-1)


class Counting:
    """A model that counts how often it is called; ``passes`` reverse passes per graph."""

    def __init__(self, dynamics: Dynamics, passes: int) -> None:
        """Begin at zero."""
        self.dynamics, self.passes, self.calls = dynamics, passes, 0
        self.members, self.latent_size = dynamics.members, dynamics.latent_size

    def step(self, state, action, z=None):
        """Predict one control period ahead, and count."""
        reverse = 1 + 2 * self.passes if torch.is_grad_enabled() else 1
        self.calls += reverse * (state.numel() // (self.members * state.shape[-1]))
        return self.dynamics.step(state, action, z)


@dataclass(frozen=True)
class Entry:
    """One competitor; ``cold`` is the first plan's budget."""

    name: str
    planner: Planner
    iterations: int
    cold: int


@dataclass
class Drive:
    """One competitor's closed loop from one start."""

    entry: Entry
    model: Counting
    plant: Plant
    sensor: torch.Generator
    draw: torch.Generator
    warm: Plan | None = None
    cost: float = 0.0
    spent_ms: list = field(default_factory=list)

    def tick(self, cost: TaskCost) -> None:
        """Measure, plan, move, pay."""
        noise = torch.tensor(LAYOUT.noise_std) * torch.randn(4, generator=self.sensor)
        start = torch.tensor(self.plant.state) + noise
        budget = Budget(self.entry.cold if self.warm is None else self.entry.iterations)
        begin = time.perf_counter()
        self.warm = self.entry.planner.plan(
            start, Problem(self.model, cost, None, cost.discount), self.warm, budget, self.draw)
        self.spent_ms.append(1e3 * (time.perf_counter() - begin))
        with torch.inference_mode():
            self.cost += float(cost.stage(torch.tensor(self.plant.state), self.warm.actions[0]))
        self.plant.step(float(self.warm.actions[0]))


def entries(horizon: int) -> list[Entry]:
    """List the competitors; the first is the reference."""
    def sampling(candidates: int, elites: int = 24) -> PlannerSettings:
        return PlannerSettings(horizon=horizon, candidates=candidates, elites=elites)
    ddp = DdpPlanner(LAYOUT, horizon)
    lean = HybridPlanner(LAYOUT, sampling(128), HybridSettings(samples=8, starts=2))
    return [
        Entry('cem-2000x5', CemPlanner(LAYOUT, sampling(2000, 100)), 5, 5),
        Entry('cem-128x3', CemPlanner(LAYOUT, sampling(128)), 3, 3),
        Entry('mppi-128x3', MppiPlanner(LAYOUT, sampling(128)), 3, 3),
        Entry('adjoint-4', AdjointPlanner(LAYOUT, horizon), 4, 40),
        Entry('ddp-1', ddp, 1, 12),
        Entry('ddp-2', ddp, 2, 12),
        Entry('hybrid-1', lean, 1, 12),
        Entry('hybrid-2', HybridPlanner(LAYOUT, sampling(128)), 2, 12),
        Entry('hybrid-6', HybridPlanner(LAYOUT, sampling(128)), 6, 12)]


def starts(count: int) -> list[list[float]]:
    """Hanging at rest with a small offset, and anywhere at all, in turn."""
    draw, made = generator(0, 'starts'), []
    for number in range(count):
        x, angle, dx, spin = (2.0 * torch.rand(4, generator=draw) - 1.0).tolist()
        made.append([0.1 * x, 0.1 * angle, 0.0, 0.0] if number % 2 == 0
                    else [x, pi * angle, dx, 4.0 * spin])
    return made


def compare(title: str, dynamics: Dynamics, competitors: list[Entry], given) -> None:
    """Drive all competitors, tick by tick in turn, and print one line for each."""
    cost = TaskCost(LAYOUT, COST)
    drives: dict[str, list[Drive]] = {entry.name: [] for entry in competitors}
    for number, state in enumerate(starts(given.starts)):
        for entry in competitors:
            passes = dynamics.members if isinstance(entry.planner, AdjointPlanner) else 1
            plant = Plant()
            plant.state = list(state)
            drives[entry.name].append(Drive(entry, Counting(dynamics, passes), plant,
                                            generator(number, 'robot'),
                                            generator(number, 'actor')))
        for _ in range(given.ticks):
            for entry in competitors:
                drives[entry.name][-1].tick(cost)
    first = drives[competitors[0].name]
    reference = sum(drive.model.calls for drive in first)
    print(f'\n{title}: horizon {given.horizon}, {given.starts} starts x {given.ticks} ticks')
    print(f'{"planner":12} {"mean cost":>9} {"worst":>7} {"no worse":>8} {"calls/plan":>10} '
          f'{"of calls":>8} {"ms median":>9} {"p99":>7}')
    for name, own in drives.items():
        calls = sum(drive.model.calls for drive in own)
        ms = sorted(value for drive in own for value in drive.spent_ms)
        fair = sum(drive.cost <= 1.01 * other.cost
                   for drive, other in zip(own, first, strict=True))
        print(f'{name:12} {statistics.mean(drive.cost for drive in own):9.2f} '
              f'{max(drive.cost for drive in own):7.2f} {fair:5d}/{len(own):2d} '
              f'{calls / len(ms):10.0f} {100 * calls / reference:7.2f}% '
              f'{statistics.median(ms):9.2f} {ms[int(0.99 * (len(ms) - 1))]:7.2f}', flush=True)


def main() -> None:
    """Compare on the known and on the learned model."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--starts', type=int, default=20)
    parser.add_argument('--ticks', type=int, default=60)
    parser.add_argument('--horizon', type=int, default=16)
    parser.add_argument('--learn-s', type=float, default=4.0)
    parser.add_argument('--only', nargs='*', help='names of planners; the first is the reference')
    parser.add_argument('--model', choices=('known', 'learned', 'both'), default='both')
    given = parser.parse_args()
    torch.set_num_threads(1)
    competitors = [entry for entry in entries(given.horizon)
                   if not given.only or entry.name in given.only]
    if given.model != 'learned':
        compare('known model', KnownDynamics(), competitors, given)
    if given.model != 'known':
        run = Run(Case(), 0)
        run.run(given.learn_s)
        compare(f'model learned in {given.learn_s} s of motion', run.learner.dynamics,
                competitors, given)


if __name__ == '__main__':
    sys.exit(main())
