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

"""All that learns and answers in the lockstep graph, in one process: nodes without ROS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hlai_control.actor.agent import Agent, AgentSettings, Answer
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.place import Place
from hlai_control.actor.planners import PlanningSettings
from hlai_control.configurator.configuration import Configuration, RUN
from hlai_control.cost.function import TaskCost
from hlai_control.cost.published import PublishedCost
from hlai_control.cost.task import TaskSpec
from hlai_control.critic.studies import Studies
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.learning.artefact import Artefact
from hlai_control.learning.versions import due_version, is_published, VersionShelf
from hlai_control.protocols import CostFunction, Planner
from hlai_control.robots.manifest import RobotManifest
from hlai_control.settings import (
    GROUPS,
    Settings,
    SurpriseSettings,
)
from hlai_control.types import Budget, Estimate, generator, Transition
from hlai_control.world_model.made import make_dynamics, make_learner
from hlai_control.world_model.watch import Watch

PLANNING = ('planner', 'hybrid', 'ddp', 'adjoint', 'cem', 'icem', 'mppi', 'risk', 'curiosity',
            'constraint')


@dataclass(frozen=True)
class MindSettings:
    """
    What a mind is made of.

    :param agent: settings of all that the graph's nodes have.
    :param mode: of the configuration, see ``configurator/configuration.py``.
    :param surprise: when and how much it doubts what it knows.
    :param planned: makes the actor's planner; None: as the graph's does.
    :param taught: makes the planner whose plans critic and policy learn from;
        None: as the graph's does.
    :param judged: turns the task's cost into what critic and policy learn from.
    """

    agent: AgentSettings = field(default_factory=lambda: agent_settings({}))
    mode: str = RUN
    surprise: SurpriseSettings = SurpriseSettings()
    planned: Callable[[Layout, PlanningSettings], Planner] | None = None
    taught: Callable[[Layout, PlanningSettings], Planner] | None = None
    judged: Callable[[TaskCost], CostFunction] = lambda cost: cost


def groups(rooms: Mapping[str, object]) -> dict[str, Settings]:
    """
    Make the settings of every room.

    :param rooms: values by parameter name, ``planner.horizon``; others have their default.
    :raises SettingsError: if one is out of range.
    """
    return {name: kind(**{key.partition('.')[2]: value for key, value in rooms.items()
                          if key.partition('.')[0] == name})
            for name, kind in GROUPS.items()}


def agent_settings(rooms: Mapping[str, object]) -> AgentSettings:
    """
    Make the settings of a mind.

    :param rooms: see :func:`groups`.
    """
    made: dict[str, Settings] = groups(rooms)
    parts = {name: made[name] for name in ('world_model', 'critic', 'schedule', 'policy')}
    return AgentSettings(
        PlanningSettings(**{name: made[name] for name in PLANNING}),  # type: ignore[arg-type]
        **parts)  # type: ignore[arg-type]


class Mind:
    """
    Agent, world model learner, critic and policy, with the graph's lockstep.

    U updates follow each transition, a version is made every P ticks and is in
    use D ticks later, by the actor and by the critic that imagines with it
    (docs/architecture.md, Time). The order of what each node does is kept, and
    so is its generator: the same seed is the same run.

    :param manifest: the robot.
    :param task: what is to be done.
    :param seed: of the run.
    :param settings: what it is made of.
    """

    def __init__(self, manifest: RobotManifest, task: TaskSpec, seed: int,
                 settings: MindSettings | None = None) -> None:
        """Know nothing."""
        settings = settings or MindSettings()
        own, layout = settings.agent, manifest.layout
        self.layout, self.schedule, self._period_ns = layout, own.schedule, manifest.period_ns
        self._iterations = own.planning.planner.iterations
        self.model = make_learner(layout, own.world_model, generator(seed, 'world_model'))
        self.watch = Watch(layout, settings.surprise)
        self.imagined = make_dynamics(layout, own.world_model, generator(seed, 'world_model'))
        self._models: VersionShelf[Artefact] = VersionShelf()
        self.version = 0
        cost = settings.judged(TaskCost(layout, task.cost))
        self.studies = Studies(layout, cost, task.cost.discount,
                               (own.critic, own.policy, own.schedule), seed,
                               _teacher(layout, settings), self._iterations)
        here = None if settings.planned is None else Place(
            torch.device('cpu'), settings.planned, records=False)
        self.agent = Agent(layout, own, seed, lockstep=True, here=here)
        self._costs = 0
        self.aim(0, task)
        self.agent.put_configuration(Configuration(
            1, 0, task.name, settings.mode, '', 0, 0, 'a loop of one process'))

    def aim(self, tick: int, task: TaskSpec) -> None:
        """Go on with another goal from a tick on, as the cost node tells the graph's nodes."""
        self._costs += 1
        self.agent.put_cost(PublishedCost(self._costs, tick * self._period_ns, task.cost))

    def answer(self, tick: int, estimate: Estimate) -> Answer:
        """
        Choose the command that answers one state.

        :raises PlanError: if what the tick needs is not here, which no order of calls allows.
        """
        if waits_for := self.agent.waits_for(tick):
            raise PlanError(f'tick {tick} waits for {waits_for}; call learn() and sent() for '
                            'every tick, in order')
        return self.agent.answer(tick, tick * self._period_ns, estimate,
                                 Budget(self._iterations))

    def sent(self, tick: int, command: Tensor) -> None:
        """Take what the guard really sent."""
        self.agent.applied.put(tick, command)

    def learn(self, tick: int, transition: Transition) -> None:
        """
        Learn from a step, and publish when it is time.

        :param tick: number of the tick at which the step ended.
        """
        self.watch.notice(self.model, transition)
        self.model.add(transition)
        for _ in range(self.schedule.updates):
            self.model.update()
        self._study(tick, transition)
        if is_published(tick, self.schedule):
            self._publish(tick)

    def _study(self, tick: int, transition: Transition) -> None:
        due = due_version(tick, self.schedule)
        if due != self.version:
            self.imagined.load(self._models.take(due).tensors)
            self.version = due
        self.studies.add(transition)
        if not self.version:
            return
        if self.schedule.acting:
            self.studies.study(self.imagined)
        for _ in range(self.schedule.critic_updates):
            self.studies.update(self.imagined)

    def _publish(self, tick: int) -> None:
        model = Artefact('world_model', tick, self.model.dynamics.export())
        self._models.put(tick, model)
        self.agent.models.put(model)
        self.agent.critics.put(Artefact('critic', tick, self.studies.critic.value.export()))
        if self.schedule.acting:
            self.agent.policies.put(
                Artefact('policy', tick, self.studies.policy.policy.export()))


def _teacher(layout: Layout, settings: MindSettings) -> Planner | None:
    own = settings.agent
    if not own.schedule.plans:
        return None
    planning = own.planning.configured('', own.critic.horizon)
    if settings.taught is not None:
        return settings.taught(layout, planning)
    return HybridPlanner(layout, planning.planner, planning.hybrid, planning.ddp)
