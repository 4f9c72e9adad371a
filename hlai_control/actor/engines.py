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
The parts of the engine that change as the robot runs, kept as long as they can be.

On a device, searches are recorded: what they read must stay where it is, and
what they are recorded for is rehearsed when it arrives, not when it counts.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hlai_control.actor.curiosity import curious
from hlai_control.actor.explore import Explorer
from hlai_control.actor.place import Place
from hlai_control.actor.planners import PlanningSettings
from hlai_control.cost.constraints import task_constraints
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, strided
from hlai_control.critic.value import ValueNetwork
from hlai_control.engine import Engine
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import CriticSettings, WorldModelSettings
from hlai_control.types import Budget, Estimate, generator
from hlai_control.world_model.made import make_dynamics

# Plans of a rehearsal: the first without a plan before it, the others with one.
_PLANS = 3
# Planners kept, one for each kind and horizon that was configured.
_KEPT = 8


@dataclass(frozen=True)
class Aims:
    """
    What plans minimise in the two modes.

    :param cost: the task's cost, which both have.
    """

    cost: TaskCost
    run: Problem
    explore: Problem


@dataclass(frozen=True)
class Scheme:
    """
    Aims that count from a stamp on.

    :param from_ns: the stamp [ns].
    """

    from_ns: int
    aims: Aims


class Engines:
    """
    Makes engines of one robot, in one place.

    :param layout: the robot.
    :param planning: settings of the planners.
    :param world_model: size of the world model.
    :param critic: size of the critic.
    :param seed: of the run.
    :param place: where all is computed.
    """

    def __init__(self, layout: Layout, planning: PlanningSettings,
                 world_model: WorldModelSettings, critic: CriticSettings, seed: int,
                 place: Place) -> None:
        """Begin with a world model and a critic that know nothing."""
        self._layout, self._planning, self.place = layout, planning, place
        stride = self._stride = planning.planner.stride
        self.dynamics, self.value = (
            make_dynamics(layout, world_model, generator(seed, 'world_model')),
            ValueNetwork(layout, critic, generator(seed, 'critic')))
        # What versions are compared with when they arrive, on the host.
        self.model_like, self.critic_like = self.dynamics.export(), self.value.export()
        # The accelerations are the same whatever the period over which they are integrated.
        self._ahead = self.dynamics if stride == 1 else make_dynamics(
            replace(layout, period_s=stride * layout.period_s), world_model,
            generator(seed, 'world_model'))
        for part in (self.dynamics, self._ahead, self.value):
            place.settle(part)
        self.draw = place.generator(seed, 'actor')
        self._held: Aims | None = None
        self._planners: dict[PlanningSettings, tuple[Planner, Explorer]] = {}

    def load_model(self, tensors: Mapping[str, Tensor]) -> None:
        """Write a world model's version where the one before was."""
        self.dynamics.load(tensors)
        if self._ahead is not self.dynamics:
            self._ahead.load(tensors)

    def aims(self, spec: CostSpec) -> Aims:
        """
        Make what a task's plans minimise.

        :raises SettingsError: if it is not for this robot.
        """
        long, curiosity = strided(spec, self._stride), self._planning.curiosity
        cost = self.place.settle(TaskCost(self._layout, long))
        constraints = task_constraints(self._layout, spec)
        run, explore = (
            Problem(self._ahead,
                    curious(cost, self._ahead, self._layout,
                            replace(curiosity, weight=self._stride * weight)),
                    self.value, long.discount, self._planning.risk, constraints)
            for weight in (curiosity.weight, max(curiosity.weight, curiosity.exploring)))
        return Aims(cost, run, explore)

    def take(self, aims: Aims) -> Aims:
        """
        Put new aims in the place of those before, if they fit there.

        :returns: the old costs with the new numbers in them, or the new aims.
        """
        joined = self._joined(aims)
        if joined.cost is not aims.cost:
            joined.cost.take(aims.cost)
        self._held = joined
        return joined

    def planners(self, kind: str, horizon: int) -> tuple[Planner, Explorer]:
        """
        Return the planner and the explorer of a configuration, always the same ones.

        :param kind: name of the planner; empty: the actor's own.
        :param horizon: T; 0: the actor's own.
        """
        settings = self._planning.configured(kind, horizon)
        if settings not in self._planners:
            while len(self._planners) >= _KEPT:
                self._planners.pop(next(iter(self._planners)))
            self._planners[settings] = (self.place.make(self._layout, settings),
                                        Explorer(self._layout, settings.planner))
        return self._planners[settings]

    def rehearse(self, aims: Aims, planners: tuple[Planner, Explorer], exploring: bool,
                 iterations: int) -> None:
        """
        Plan for nothing a few times, so that what a first plan costs is paid before a tick.

        The random numbers are left as they were.

        :param exploring: whether for mode explore.
        """
        joined, size = self._joined(aims), self._layout.action_size
        nowhere = torch.zeros(self._layout.state_size)
        estimate, pending, last = self.place.bring(
            Estimate(nowhere, nowhere), torch.zeros(self._layout.delay_ticks, size),
            torch.zeros(size))
        before = self.draw.get_state()
        problem = joined.explore if exploring else joined.run
        for planner, critic in ((planners[1], None), (planners[0], None),
                                (planners[0], self.value)):
            engine = Engine(self._layout, self.dynamics,
                            replace(problem, critic=critic, previous=last), planner)
            warm = None
            with suppress(PlanError):
                for _ in range(_PLANS):
                    warm = engine.decide(estimate, pending, warm, Budget(iterations), self.draw)
        self.draw.set_state(before)

    def _joined(self, aims: Aims) -> Aims:
        held = self._held
        if held is None or not held.cost.fits(aims.cost):
            return aims
        run, explore = (
            replace(old, discount=new.discount, constraints=new.constraints)
            for old, new in ((held.run, aims.run), (held.explore, aims.explore)))
        return Aims(held.cost, run, explore)
