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
The agent without ROS: what has arrived goes in, one command per tick comes out.

Its tick reads as five calls: take what is due, set the engine up, foresee
(inside the engine), plan, and answer.
"""

from dataclasses import dataclass, replace

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.adjoint import costates
from hlai_control.actor.engines import Aims, Engines, Scheme
from hlai_control.actor.explore import Explorer
from hlai_control.actor.inputs import AppliedCommands, FunctionInput
from hlai_control.actor.objective import Objective
from hlai_control.actor.place import Place, place
from hlai_control.actor.planners import PlanningSettings
from hlai_control.actor.policy import PolicyNetwork
from hlai_control.actor.rollout import roll_out
from hlai_control.actor.seeded import ReactivePlanner, SeededPlanner
from hlai_control.actor.stride import moved
from hlai_control.configurator.configuration import Configuration, EXPLORE, HOLD, REACTIVE
from hlai_control.configurator.scheduled import Scheduled
from hlai_control.cost.published import PublishedCost
from hlai_control.cost.spec import CostSpec
from hlai_control.engine import Engine
from hlai_control.errors import HlaiError
from hlai_control.layout import Layout
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import (
    CriticSettings,
    PolicySettings,
    ScheduleSettings,
    WorldModelSettings,
)
from hlai_control.types import Budget, Estimate, generator, Plan


@dataclass(frozen=True)
class AgentSettings:
    """The settings of everything that the engine is made of."""

    planning: PlanningSettings
    world_model: WorldModelSettings
    critic: CriticSettings
    schedule: ScheduleSettings
    policy: PolicySettings = PolicySettings()


@dataclass(frozen=True)
class Answer:
    """
    One tick's outcome.

    :param command: A values to send; None: the safe command is wanted.
    :param plan: where the command comes from, None without one.
    :param exploring: whether it is to learn rather than to solve the task.
    :param reason: why, for people.
    """

    command: Tensor | None
    plan: Plan | None
    exploring: bool
    reason: str


class Agent:
    """
    The engine and what feeds it.

    :param layout: the robot.
    :param settings: of the engine's parts.
    :param seed: of the run.
    :param lockstep: whether each tick uses exactly the versions due.
    :param here: where to compute; None: as ``planner.device`` says.
    :raises SettingsError: if that is not here.
    """

    def __init__(self, layout: Layout, settings: AgentSettings, seed: int,
                 lockstep: bool, here: Place | None = None) -> None:
        """Begin knowing nothing."""
        self._layout, self._settings = layout, settings
        planner = settings.planning.planner
        self._stride, self._iterations = planner.stride, planner.iterations
        self._engines = Engines(layout, settings.planning, settings.world_model, settings.critic,
                                seed, here or place(planner.device))
        policy = PolicyNetwork(layout, settings.policy, generator(seed, 'policy'))
        self.model_like = self._engines.model_like
        self.critic_like = self._engines.critic_like
        self.policy_like = policy.export()
        self._policy = self._engines.place.settle(policy)
        self.models = FunctionInput(settings.schedule, lockstep)
        self.critics = FunctionInput(settings.schedule, lockstep)
        self.policies = FunctionInput(settings.schedule, lockstep)
        self._schemes: Scheduled[Scheme] = Scheduled()
        self.configurations: Scheduled[Configuration] = Scheduled()
        self._aims: Aims | None = None
        self._coming: tuple[Aims | None, Configuration | None] = (None, None)
        self._configuration: Configuration | None = None
        self._problem: Problem | None = None
        self._lockstep = lockstep
        self._planners: tuple[Planner, Explorer] | None = None
        self.restart()

    @property
    def device(self) -> torch.device:
        """Where plans are made."""
        return self._engines.place.device

    def restart(self) -> None:
        """Forget the motion so far, but nothing that was learned."""
        self.applied = AppliedCommands(self._layout.delay_ticks, self._layout.action_size)
        self._warm: Plan | None = None
        self._warm_tick, self._reacted = 0, False

    def warm_up(self, spec: CostSpec) -> None:
        """
        Plan for nothing a few times, in every mode: the first calls of torch are slow.

        Derivatives of the curious cost load modules for a second, which no
        tick has.
        """
        aims = self._engines.take(self._engines.aims(spec))
        planners = self._engines.planners('', 0)
        for exploring in (False, True):
            self._engines.rehearse(aims, planners, exploring, self._iterations)

    def put_cost(self, published: PublishedCost) -> None:
        """
        Take a cost that has arrived.

        :raises SettingsError: if it is not for this robot; refused now, since
            in the middle of a tick it would be too late.
        """
        aims = self._engines.aims(published.spec)
        self._schemes.put(Scheme(published.from_ns, aims))
        self._prepare(aims, self._coming[1])

    def put_configuration(self, configuration: Configuration) -> None:
        """Take a configuration that has arrived."""
        self.configurations.put(configuration)
        self._prepare(self._coming[0], configuration)

    def _prepare(self, aims: Aims | None, configuration: Configuration | None) -> None:
        # What has to be recorded is recorded now: when it counts it would be too late.
        self._coming = (aims, configuration)
        if aims is None or configuration is None or not self._engines.place.records:
            return
        self._engines.rehearse(
            aims, self._engines.planners(configuration.planner, configuration.horizon),
            configuration.mode == EXPLORE, configuration.iterations or self._iterations)

    def waits_for(self, tick: int) -> str:
        """Name what this tick must use and is not here, empty if nothing (as in real time)."""
        if not self._lockstep:
            return ''
        needs = {'world_model': self.models.waits_for(tick),
                 'critic': self.critics.waits_for(tick),
                 'policy': self.policies.waits_for(tick) if self._settings.schedule.acting else '',
                 'guard': '' if self.applied.ready(tick) else 'the command of the last tick'}
        return ', '.join(f'{name}: {text}' for name, text in needs.items() if text)

    def answer(self, tick: int, stamp_ns: int, estimate: Estimate, budget: Budget) -> Answer:
        """
        Choose the command that answers one state.

        :param tick: number of the tick.
        :param stamp_ns: stamp of the state [ns].
        :param estimate: the state.
        :param budget: effort; a configuration may lower its iterations.
        """
        self._take_due(tick, stamp_ns)
        if self._aims is None or self._configuration is None or self._planners is None:
            return Answer(None, None, False, 'waiting for a cost and a configuration')
        if self._configuration.mode == HOLD:
            self._warm = None
            return Answer(None, None, False, 'hold was asked for')
        blind, exploring = self.models.version == 0, self._configuration.mode == EXPLORE
        estimate, pending, last = self._engines.place.bring(
            estimate, self.applied.pending(tick), self.applied.last(tick))
        problem = self._problem = replace(
            self._aims.explore if exploring else self._aims.run, previous=last,
            critic=self._engines.value if self.critics.version else None)
        reacting = self._configuration.mode == REACTIVE
        able = not blind and self.policies.version > 0
        planner: Planner = self._planners[blind]
        if able and reacting:
            planner = ReactivePlanner(
                self._policy, self._settings.planning.constraint.tolerance)
        elif able and self._settings.policy.propose:
            planner = SeededPlanner(self._layout, planner, self._policy)
        engine = Engine(self._layout, self._engines.dynamics, problem, planner)
        exploring |= blind
        iterations = self._configuration.iterations or budget.iterations
        # One step of the policy is nothing that a planner could go on from.
        if self._reacted and not (able and reacting):
            self._warm = None
        self._reacted = able and reacting
        warm = None if self._warm is None else moved(
            self._warm, tick // self._stride - self._warm_tick // self._stride)
        self._warm_tick = tick
        try:
            self._warm = engine.decide(estimate, pending, warm,
                                       replace(budget, iterations=iterations),
                                       self._engines.draw)
        except HlaiError as error:
            self._warm = None
            return Answer(None, None, exploring, str(error))
        command = self._warm.command
        self.applied.expect(tick, command)
        return Answer(command, self._warm, exploring,
                      _doing(exploring, reacting, able, self._warm.violated))

    @torch.inference_mode(False)
    @torch.no_grad()
    def sensitivity(self) -> Float[Tensor, 'T1 S'] | None:
        """
        Differentiate the energy of the newest plan with regard to the state along it.

        The costates of ``actor/adjoint.py`` with their sign turned, all
        members moved alike: positive where a greater value costs more.

        :returns: None without a plan.
        """
        if self._warm is None or self._problem is None:
            return None
        start, actions = self._warm.states[0].clone(), self._warm.actions.clone()
        states = roll_out(start, actions.unsqueeze(0), self._problem.dynamics)[:, 0]
        return costates(states, actions, Objective(self._problem)).sensitivity.sum(dim=0)

    def _take_due(self, tick: int, stamp_ns: int) -> None:
        """Put the versions, cost and configuration of this tick in place."""
        if self.applied.first_tick is None:
            self.applied.first_tick = tick
        if (model := self.models.advance(tick)) is not None:
            self._engines.load_model(model.tensors)
        if (critic := self.critics.advance(tick)) is not None:
            self._engines.value.load(critic.tensors)
        # In lockstep a policy comes only if somebody teaches one; else whatever comes counts.
        if (self._settings.schedule.acting or not self._lockstep) and (
                policy := self.policies.advance(tick)) is not None:
            self._policy.load(policy.tensors)
        scheme = self._schemes.advance(stamp_ns)
        configuration = self.configurations.advance(stamp_ns)
        if scheme is not None:
            self._aims, self._warm = self._engines.take(scheme.aims), None
        if configuration is not None:
            self._configuration = configuration
            self._planners = self._engines.planners(configuration.planner, configuration.horizon)


def _doing(exploring: bool, reacting: bool, able: bool, violated: str) -> str:
    """Say for people what a tick was about."""
    doing = 'exploring' if exploring else 'reacting' if reacting and able else 'planning'
    if reacting and not able and not exploring:
        doing += ': there is no policy to react with'
    return doing + (f', but not within {violated}' if violated else '')
