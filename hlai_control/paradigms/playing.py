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

"""How a row is played: a robot, who moves it, and what is noted of the run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median
import time

import torch
from torch import Tensor

from hlai_control.actor.agent import Answer
from hlai_control.actor.planners import make_planner, PlanningSettings
from hlai_control.bench.body import Body
from hlai_control.bench.loop import Player, Step, steps
from hlai_control.bench.mind import agent_settings, Mind, MindSettings
from hlai_control.cost.task import load_task, TaskSpec
from hlai_control.layout import Layout
from hlai_control.paradigms.black_box import Counted, values_of, ValuesOnly
from hlai_control.paradigms.rows import FINAL_S, LEAST_S, Row, System
from hlai_control.paradigms.runs import Run
from hlai_control.protocols import Planner
from hlai_control.robots.classical import Controller
from hlai_control.robots.manifest import load_robot, RobotManifest
from hlai_control.types import Estimate, Transition

# Told now and then, with the motion seconds so far.
Tell = Callable[[float], None]
TELL_TICKS = 100


@dataclass(frozen=True)
class Case:
    """
    What a run is about.

    :param budget_s: motion seconds at most.
    """

    manifest: RobotManifest
    task: TaskSpec
    system: System
    row: Row
    seed: int
    budget_s: float


def case(system: System, row: Row, seed: int, budget_s: float) -> Case:
    """
    Read robot and task.

    :raises HlaiError: if a file is wrong.
    """
    manifest = load_robot(system.robot)
    return Case(manifest, load_task(system.task, manifest), system, row, seed, budget_s)


class Fixed:
    """
    A controller that learns nothing, as a player.

    :param controller: answers what perception believes.
    """

    def __init__(self, controller: Controller) -> None:
        """Keep the controller."""
        self._controller = controller

    def answer(self, _tick: int, estimate: Estimate) -> Answer:
        """Answer with the controller's command."""
        found = self._controller.act(estimate.mean.double().numpy())
        return Answer(torch.from_numpy(found).float(), None, False, 'fixed')

    def sent(self, _tick: int, _command: Tensor) -> None:
        """Take no notice."""

    def learn(self, _tick: int, _transition: Transition) -> None:
        """Learn nothing."""


def mind(given: Case, calls: Callable[[int], None]) -> Mind:
    """
    Make the mind of a row.

    :param calls: is told the world model calls of each plan.
    """
    row = given.row
    settings = agent_settings(given.task.rooms(row.rooms))
    planner = partial(_planner, values_only=row.values_only)
    return Mind(given.manifest, given.task, given.seed, MindSettings(
        settings, row.mode,
        planned=lambda layout, planning: Counted(planner(layout, planning), calls),
        taught=planner if row.values_only else None,
        judged=values_of if row.values_only else lambda cost: cost))


def played(given: Case, player: Player, calls: list[int], tell: Tell) -> Run:
    """
    Let a player move the robot until the task is solved and the least time has passed.

    :param calls: filled by the player's plans as it goes.
    """
    began_s, used_s = time.monotonic(), time.process_time()
    budget_s, seen = given.budget_s, list[Step]()
    with Body(given.manifest, given.task, given.seed) as body:
        for step in steps(body, player, budget_s):
            seen.append(step)
            if step.tick % TELL_TICKS == 0:
                tell(body.time_s)
            if body.solved_at_s is not None and body.time_s >= min(LEAST_S, budget_s):
                break
        solved_at_s, motion_s = body.solved_at_s, min(body.time_s, budget_s)
    period_s = given.manifest.period_s
    chosen = [step.answer_s for step in seen if not step.answer.exploring] or [0.0]
    return Run(
        seed=given.seed, solved_at_s=solved_at_s, motion_s=round(motion_s, 6),
        final_cost=final_cost([step.cost for step in seen], period_s),
        action_ms=1e3 * median(chosen), calls=fmean(calls) if calls else 0.0,
        learning_ms=1e3 * fmean(step.learn_s for step in seen),
        cpu_s=time.process_time() - used_s, wall_s=time.monotonic() - began_s)


def final_cost(costs: list[float], period_s: float) -> float:
    """Return the mean of the last ``FINAL_S`` of a run."""
    return fmean(costs[-round(FINAL_S / period_s):])


def _planner(layout: Layout, planning: PlanningSettings, values_only: bool) -> Planner:
    planner = make_planner(layout, planning)
    return ValuesOnly(planner) if values_only else planner
