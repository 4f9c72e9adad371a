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

"""In receding horizon: the true cost of the closed loop on the simulated robot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import torch
from torch import Tensor

from hlai_control.bench.competitors import Competitor
from hlai_control.bench.systems import starting_positions
from hlai_control.bench.trial import Bench, made
from hlai_control.protocols import Planner
from hlai_control.robots.simulator import Simulator, Vector
from hlai_control.types import generator, Plan


@dataclass(frozen=True)
class Loop:
    """
    One competitor's closed loop from one start.

    :param cost: sum of the stage costs at the true states.
    :param calls: of the model per plan, all plans but the first.
    :param seconds: median time per plan.
    :param slowest: the longest of them, the first left out [s].
    :param without: ticks on which there was no plan.
    """

    competitor: str
    start: int
    cost: float
    calls: float
    seconds: float
    slowest: float
    without: int


@dataclass
class Drive:
    """One competitor while it drives its own copy of the robot."""

    competitor: Competitor
    planner: Planner
    ready: Bench
    simulator: Simulator
    draw: torch.Generator
    warm: Plan | None = None
    cost: float = 0.0
    without: int = 0
    calls: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def tick(self) -> None:
        """Measure, plan, pay, move."""
        now = self.simulator.measure()
        state = _tensor(now.position, now.velocity)
        iterations = self.competitor.cold if self.warm is None else self.competitor.warm
        found = made(self.planner, self.ready, state, self.warm, iterations, self.draw)
        self.calls.append(found.calls)
        self.seconds.append(found.seconds)
        self.warm = found.plan
        layout = self.ready.manifest.layout
        action = (torch.zeros(layout.action_size) if found.plan is None
                  else found.plan.actions[0])
        self.without += found.plan is None
        with torch.inference_mode():
            true = _tensor(now.true_position, now.true_velocity)
            self.cost += float(self.ready.cost.stage(true, action))
        self.simulator.step(action.double().numpy())

    def account(self, start: int) -> Loop:
        """Sum up; the first plan is a cold one."""
        calls, seconds = self.calls[1:] or self.calls, self.seconds[1:] or self.seconds
        return Loop(self.competitor.name, start, self.cost, sum(calls) / len(calls),
                    median(seconds), max(seconds), self.without)


def receding(ready: Bench, competitors: Sequence[Competitor], starts: int, seed: int,
             ticks: int, tell: Callable[[], None]) -> list[Loop]:
    """
    Drive from each start, one tick of each competitor in turn.

    :param seed: of the starts.
    :param ticks: length of each closed loop.
    :param tell: called after each start.
    """
    layout, horizon = ready.manifest.layout, ready.system.horizon
    taking_part = [one for one in competitors if one.warm]
    planners = [one.make(layout, horizon) for one in taking_part]
    simulators = [Simulator(ready.manifest, 0) for _ in taking_part]
    loops: list[Loop] = []
    try:
        for number, place in enumerate(starting_positions(ready.system, starts, seed)):
            drives = []
            for one, planner, simulator in zip(taking_part, planners, simulators, strict=True):
                simulator.delay_ticks = 0
                simulator.reset(number, place.tolist())
                drives.append(Drive(one, planner, ready, simulator, generator(number, 'bench')))
            for _ in range(ticks):
                for drive in drives:
                    drive.tick()
            loops += [drive.account(number) for drive in drives]
            tell()
    finally:
        for simulator in simulators:
            simulator.close()
    return loops


def _tensor(position: Vector, velocity: Vector) -> Tensor:
    return torch.tensor(np.concatenate([position, velocity]), dtype=torch.float32)
