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
The whole agent and a simulated robot in one process, tick by tick, without ROS.

The same parts in the same order as the lockstep graph has: the command that
answers tick k acts ``delay_ticks`` later, U updates follow each transition,
versions are published every P ticks and used D ticks later.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from hlai_control.actor.agent import Agent, AgentSettings
from hlai_control.actor.planners import PlanningSettings
from hlai_control.configurator.configuration import Configuration, RUN
from hlai_control.cost.function import TaskCost
from hlai_control.cost.published import PublishedCost
from hlai_control.cost.task import TaskSpec
from hlai_control.critic.learner import CriticLearner
from hlai_control.learning.artefact import Artefact
from hlai_control.learning.versions import is_published
from hlai_control.perception.kalman import KalmanEstimator
from hlai_control.robots.manifest import RobotManifest
from hlai_control.robots.simulator import Simulator
from hlai_control.settings import GROUPS, Settings
from hlai_control.types import Budget, Estimate, generator, Transition
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.learner import WorldModelLearner

PLANNING = ('planner', 'hybrid', 'ddp', 'adjoint', 'cem', 'icem', 'mppi', 'risk', 'curiosity',
            'constraint')


@dataclass(frozen=True)
class Tick:
    """
    What one tick was.

    :param true: S coordinates as they were, without noise.
    :param readings: S of them, as the sensors said.
    :param estimate: what perception made of them.
    :param transition: from the tick before to this one; None after a restart.
    :param command: A values, the answer.
    """

    true: NDArray[np.float64]
    readings: NDArray[np.float64]
    estimate: Estimate
    transition: Transition | None
    command: Tensor


class AgentRun:
    """
    One robot that begins knowing nothing.

    :param manifest: the robot.
    :param task: what it is to do.
    :param seed: of all that is random.
    :param changed: settings by group that are not the default ones.
    """

    def __init__(self, manifest: RobotManifest, task: TaskSpec, seed: int,
                 changed: Mapping[str, Settings] | None = None) -> None:
        """Build everything; nothing moves yet."""
        groups = {name: kind() for name, kind in GROUPS.items()} | dict(changed or {})
        self.manifest, self.layout = manifest, manifest.layout
        self.simulator = Simulator(manifest, seed)
        self.schedule = groups['schedule']
        self.learner = WorldModelLearner(self.layout, groups['world_model'],
                                         generator(seed, 'world_model'))
        self.cost = TaskCost(self.layout, task.cost)
        self._critic = CriticLearner(self.layout, self.cost, task.cost.discount,
                                     groups['critic'], generator(seed, 'critic'))
        self._imagined = EnsembleDynamics(self.layout, groups['world_model'],
                                          generator(seed, 'world_model'))
        planning = PlanningSettings(**{name: groups[name] for name in PLANNING})
        self._agent = Agent(self.layout, AgentSettings(
            planning, groups['world_model'], groups['critic'], self.schedule), seed, True)
        self._agent.put_cost(PublishedCost(1, 0, task.cost))
        self._agent.configurations.put(Configuration(1, 0, '', RUN, '', 0, 0, ''))
        self._estimator = KalmanEstimator(self.layout, groups['perception'])
        self._iterations = planning.planner.iterations
        self.tick, self.learning = 0, True
        self._rest()

    def _rest(self) -> None:
        self._estimator.reset()
        self._agent.restart()
        nothing = torch.zeros(self.layout.action_size)
        self._coming = deque([nothing] * self.layout.delay_ticks)
        self._last: Estimate | None = None

    def restart(self, seed: int) -> None:
        """Return the robot to where it began; what was learned stays."""
        self.simulator.reset(seed)
        self._rest()

    def advance(self) -> Tick:
        """Measure, learn what the last command did, answer, and move on."""
        measured = self.simulator.measure()
        readings = np.concatenate([measured.position, measured.velocity])
        if self._last is not None:
            self._estimator.predict()
        estimate = self._estimator.correct(torch.from_numpy(readings))
        happened = None
        if self._last is not None:
            happened = Transition(self._last.mean, self._effect, estimate.mean)
        return Tick(np.concatenate([measured.true_position, measured.true_velocity]), readings,
                    estimate, happened, self._answer(estimate, happened))

    def _answer(self, estimate: Estimate, happened: Transition | None) -> Tensor:
        if happened is not None:
            self.note(happened)
            if self.learning:
                self._learn(happened)
        if is_published(self.tick, self.schedule):
            self._publish()
        answer = self._agent.answer(self.tick, self.tick * self.manifest.period_ns, estimate,
                                    Budget(self._iterations))
        command = (torch.zeros(self.layout.action_size) if answer.command is None
                   else answer.command)
        self._agent.applied.put(self.tick, command)
        self._coming.append(command)
        self._effect, self._last = self._coming.popleft(), estimate
        self.simulator.step(command.double().numpy())
        self.tick += 1
        return command

    def note(self, happened: Transition) -> None:
        """Look at a step before it is learned."""

    def _learn(self, happened: Transition) -> None:
        self.learner.add(happened)
        for _ in range(self.schedule.updates):
            self.learner.update()
        self._critic.add(happened)
        if self._agent.models.version:
            for _ in range(self.schedule.critic_updates):
                self._critic.update(self._imagined)

    def _publish(self) -> None:
        tensors = self.learner.dynamics.export()
        self._imagined.load(tensors)
        self._agent.models.put(Artefact('world_model', self.tick, tensors))
        self._agent.critics.put(Artefact('critic', self.tick, self._critic.value.export()))
