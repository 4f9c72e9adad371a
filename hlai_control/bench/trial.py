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

"""What both experiments share: one system made ready, and one plan made, timed and counted."""

from dataclasses import dataclass
import time

import torch
from torch import Tensor

from hlai_control.actor.rollout import energy, roll_out
from hlai_control.bench.counting import CountingDynamics
from hlai_control.bench.systems import System
from hlai_control.cost.function import TaskCost
from hlai_control.cost.task import load_task
from hlai_control.errors import PlanError
from hlai_control.protocols import Dynamics, Planner, Problem
from hlai_control.robots.manifest import load_robot, RobotManifest
from hlai_control.types import Budget, Plan


@dataclass(frozen=True)
class Bench:
    """
    A system with its trained world model.

    :param cost: the task's.
    """

    system: System
    manifest: RobotManifest
    dynamics: Dynamics
    cost: TaskCost

    def problem(self, dynamics: Dynamics) -> Problem:
        """Pose the task's problem on a model; there is no critic."""
        return Problem(dynamics, self.cost, None, self.cost.discount)

    def energy(self, start: Tensor, actions: Tensor) -> float:
        """Return the energy of a plan; infinite if it is not finite."""
        with torch.inference_mode():
            states = roll_out(start, actions.unsqueeze(0), self.dynamics)
            found = float(energy(states, actions.unsqueeze(0), self.problem(self.dynamics)))
        return found if found == found else float('inf')


@dataclass(frozen=True)
class Made:
    """
    One plan; None if there was none.

    :param seconds: that it took.
    :param calls: of the model, as :class:`CountingDynamics` counts.
    """

    plan: Plan | None
    seconds: float
    calls: int


def bench(system: System, dynamics: Dynamics) -> Bench:
    """Read robot and task of a system."""
    manifest = load_robot(system.robot)
    task = load_task(system.task, manifest)
    return Bench(system, manifest, dynamics, TaskCost(manifest.layout, task.cost))


def made(planner: Planner, ready: Bench, start: Tensor, warm: Plan | None, iterations: int,
         generator: torch.Generator) -> Made:
    """Make one plan."""
    counting = CountingDynamics(ready.dynamics)
    problem = ready.problem(counting)
    began_s = time.perf_counter()
    try:
        plan = planner.plan(start, problem, warm, Budget(iterations), generator)
    except PlanError:
        plan = None
    return Made(plan, time.perf_counter() - began_s, counting.calls)
