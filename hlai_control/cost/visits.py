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
A goal that moves: every few seconds of motion to another place that can be reached.

The first goal is the task's own. Of those that follow, joint positions are
drawn, and the goal is where they take the robot and its frames.
"""

from dataclasses import replace
import math

import numpy as np

from hlai_control.cost.constraint_spec import KEEP_OUT
from hlai_control.cost.kinematics import Named
from hlai_control.cost.task import Target, TaskSpec, VisitSpec
from hlai_control.errors import SettingsError
from hlai_control.robots.manifest import RobotManifest

_ATTEMPTS = 1000


class Visits:
    """
    The goals of one run, the same ones for the same seed.

    :param manifest: the robot.
    :param task: what is to be done.
    :param seed: of the run.
    """

    def __init__(self, manifest: RobotManifest, task: TaskSpec, seed: int) -> None:
        """Draw nothing yet."""
        self._manifest, self._task, self._seed = manifest, task, seed
        self.named = Named(manifest.layout)

    def period_ns(self) -> int:
        """Return for how long a goal counts, whole control periods; 0: for ever [ns]."""
        visits = self._task.visits
        if visits is None:
            return 0
        period_ns = self._manifest.period_ns
        return max(1, round(visits.every_s * 1e9 / period_ns)) * period_ns

    def begun(self, tick: int) -> TaskSpec | None:
        """
        Return the task of the visit that begins at a tick of a run, None if none does.

        :param tick: counted from the beginning of the run.
        """
        ticks = self.period_ns() // self._manifest.period_ns
        if not ticks:
            return self._task if tick == 0 else None
        return self.task(tick // ticks) if tick % ticks == 0 else None

    def task(self, number: int) -> TaskSpec:
        """
        Return the task with the goal of a visit.

        :param number: of the visit, 0 or more.
        """
        visits = self._task.visits
        if not number or visits is None:
            return self._task
        random = np.random.default_rng([abs(self._seed), int(self._seed < 0), number])
        for _ in range(_ATTEMPTS):
            named = self._draw(random, visits)
            if self._is_clear(named):
                return aimed(self._task, named)
        raise SettingsError(f'task {self._task.name!r}: none of {_ATTEMPTS} goals drawn within '
                            'visits.within is clear of what is to be kept out of; widen it')

    def _draw(self, random: np.random.Generator, visits: VisitSpec) -> dict[str, float]:
        positions = dict(zip(self._manifest.layout.positions,
                             self._manifest.simulation.initial, strict=True))
        # Drawn in the manifest's order, whatever the file's.
        drawn = {item.coordinate: item for item in visits.within}
        for name in positions:
            if name in drawn:
                positions[name] = random.uniform(drawn[name].low, drawn[name].high)
        return self.named.of(np.array([*positions.values(), *np.zeros(len(positions))]))

    def _is_clear(self, named: dict[str, float]) -> bool:
        return all(
            math.dist([named[name] for name in one.coordinates], one.centre) > one.radius
            for one in self._task.cost.constraints
            if one.kind == KEEP_OUT and all(name in named for name in one.coordinates))


def aimed(task: TaskSpec, goals: dict[str, float]) -> TaskSpec:
    """
    Return a task with another goal.

    :param goals: value of each coordinate of the task's goal, and maybe of others.
    """
    named = {item.coordinate for item in task.goal}
    terms = tuple(replace(term, goal=goals[term.coordinate])
                  if term.coordinate in named else term for term in task.cost.terms)
    within = tuple(replace(item, goal=goals[item.coordinate])
                   if item.coordinate in named else item for item in task.solved.within)
    return replace(
        task, goal=tuple(Target(item.coordinate, goals[item.coordinate]) for item in task.goal),
        cost=replace(task.cost, terms=terms), solved=replace(task.solved, within=within))
