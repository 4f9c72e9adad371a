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
from hlai_control.actor.curiosity import curious
from hlai_control.actor.explore import Explorer
from hlai_control.actor.inputs import AppliedCommands, FunctionInput
from hlai_control.actor.objective import Objective
from hlai_control.actor.planners import make_planner, PlanningSettings
from hlai_control.actor.policy import PolicyNetwork
from hlai_control.actor.rollout import roll_out
from hlai_control.actor.seeded import ReactivePlanner, SeededPlanner
from hlai_control.actor.stride import moved
from hlai_control.configurator.configuration import Configuration, EXPLORE, HOLD, REACTIVE
from hlai_control.configurator.scheduled import Scheduled
from hlai_control.cost.constraints import task_constraints, TaskConstraints
from hlai_control.cost.function import TaskCost
from hlai_control.cost.published import PublishedCost
from hlai_control.cost.spec import CostSpec, strided
from hlai_control.critic.value import ValueNetwork
from hlai_control.engine import Engine
from hlai_control.errors import HlaiError
from hlai_control.layout import Layout
from hlai_control.protocols import CostFunction, Planner, Problem
from hlai_control.settings import (
    CriticSettings,
    PolicySettings,
    ScheduleSettings,
    WorldModelSettings,
)
from hlai_control.types import Budget, Estimate, generator, Plan
from hlai_control.world_model.ensemble import EnsembleDynamics

WARM_UP_PLANS = 3


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
    """

    def __init__(self, layout: Layout, settings: AgentSettings, seed: int,
                 lockstep: bool) -> None:
        """Begin knowing nothing."""
        self._layout, self._settings = layout, settings
        self._generator = generator(seed, 'actor')
        self._dynamics = EnsembleDynamics(layout, settings.world_model,
                                          generator(seed, 'world_model'))
        # The accelerations are the same whatever the period over which they are integrated.
        stride = self._stride = settings.planning.planner.stride
        self._ahead = self._dynamics if stride == 1 else EnsembleDynamics(
            replace(layout, period_s=stride * layout.period_s), settings.world_model,
            generator(seed, 'world_model'))
        self._value = ValueNetwork(layout, settings.critic, generator(seed, 'critic'))
        self._policy = PolicyNetwork(layout, settings.policy, generator(seed, 'policy'))
        self.model_like, self.critic_like = self._dynamics.export(), self._value.export()
        self.policy_like = self._policy.export()
        self.models = FunctionInput(settings.schedule, lockstep)
        self.critics = FunctionInput(settings.schedule, lockstep)
        self.policies = FunctionInput(settings.schedule, lockstep)
        self.costs: Scheduled[PublishedCost] = Scheduled()
        self.configurations: Scheduled[Configuration] = Scheduled()
        self._cost: CostFunction | None = None
        self._constraints: TaskConstraints | None = None
        self._configuration: Configuration | None = None
        self._problem: Problem | None = None
        self._lockstep = lockstep
        self._planners: tuple[Planner, Explorer] | None = None
        self.restart()

    def restart(self) -> None:
        """Forget the motion so far, but nothing that was learned."""
        self.applied = AppliedCommands(self._layout.delay_ticks, self._layout.action_size)
        self._warm: Plan | None = None
        self._warm_tick = 0

    def warm_up(self, spec: CostSpec) -> None:
        """
        Plan for nothing a few times, in every mode: the first calls of torch are slow.

        Derivatives of the curious cost load modules for a second, which no
        tick has.
        """
        layout, settings = self._layout, self._settings.planning
        plain, curiosity = self._costs_of(spec)
        nowhere = torch.zeros(layout.state_size)
        pending = torch.zeros(layout.delay_ticks, layout.action_size)
        draw, budget = generator(0, 'warm-up'), Budget(settings.planner.iterations)
        for planner, cost in ((Explorer(layout, settings.planner), plain),
                              (make_planner(layout, settings), plain),
                              (make_planner(layout, settings), curiosity)):
            problem = Problem(self._ahead, cost, self._value, spec.discount, settings.risk,
                              task_constraints(layout, spec))
            engine, warm = Engine(layout, self._dynamics, problem, planner), None
            for _ in range(WARM_UP_PLANS):
                warm = engine.decide(Estimate(nowhere, nowhere), pending, warm, budget, draw)

    def put_cost(self, published: PublishedCost) -> None:
        """
        Take a cost that has arrived.

        :raises SettingsError: if it is not for this robot; refused now, since
            in the middle of a tick it would be too late.
        """
        TaskCost(self._layout, strided(published.spec, self._stride))
        task_constraints(self._layout, published.spec)
        self.costs.put(published)

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
        if self._cost is None or self._configuration is None or self._planners is None:
            return Answer(None, None, False, 'waiting for a cost and a configuration')
        if self._configuration.mode == HOLD:
            self._warm = None
            return Answer(None, None, False, 'hold was asked for')
        blind, exploring = self.models.version == 0, self._configuration.mode == EXPLORE
        problem = self._problem = Problem(
            self._ahead, self._curious if exploring else self._cost,
            self._value if self.critics.version else None, self._discount,
            self._settings.planning.risk, self._constraints, self.applied.last(tick))
        planner: Planner = self._planners[blind]
        if not blind and self.policies.version:
            if self._configuration.mode == REACTIVE:
                planner = ReactivePlanner(self._policy)
            elif self._settings.policy.propose:
                planner = SeededPlanner(self._layout, planner, self._policy)
        engine = Engine(self._layout, self._dynamics, problem, planner)
        exploring |= blind
        iterations = self._configuration.iterations or budget.iterations
        warm = None if self._warm is None else moved(
            self._warm, tick // self._stride - self._warm_tick // self._stride)
        self._warm_tick = tick
        try:
            self._warm = engine.decide(estimate, self.applied.pending(tick), warm,
                                       replace(budget, iterations=iterations), self._generator)
        except HlaiError as error:
            self._warm = None
            return Answer(None, None, exploring, str(error))
        self.applied.expect(tick, self._warm.actions[0])
        reacting = self._configuration.mode == REACTIVE
        if reacting and not blind and self.policies.version:
            return Answer(self._warm.actions[0], self._warm, False, 'reacting')
        doing = ('planning: there is no policy to react with' if reacting
                 else 'planning') if self._warm.feasible else (
            f'planning, but not within {self._warm.violated}')
        return Answer(self._warm.actions[0], self._warm, exploring,
                      'exploring' if exploring else doing)

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

    def _costs_of(self, spec: CostSpec) -> tuple[CostFunction, CostFunction]:
        """Return the task's cost in mode run, and in mode explore."""
        plain, curiosity = TaskCost(self._layout, spec), self._settings.planning.curiosity
        run, explore = (
            curious(plain, self._ahead, self._layout,
                    replace(curiosity, weight=self._stride * weight))
            for weight in (curiosity.weight, max(curiosity.weight, curiosity.exploring)))
        return run, explore

    def _take_due(self, tick: int, stamp_ns: int) -> None:
        """Put the versions, cost and configuration of this tick in place."""
        if self.applied.first_tick is None:
            self.applied.first_tick = tick
        if (model := self.models.advance(tick)) is not None:
            self._dynamics.load(model.tensors)
            if self._ahead is not self._dynamics:
                self._ahead.load(model.tensors)
        if (critic := self.critics.advance(tick)) is not None:
            self._value.load(critic.tensors)
        if self._settings.schedule.acting and (
                policy := self.policies.advance(tick)) is not None:
            self._policy.load(policy.tensors)
        cost = self.costs.advance(stamp_ns)
        configuration = self.configurations.advance(stamp_ns)
        if cost is not None:
            spec = strided(cost.spec, self._stride)
            self._cost, self._curious = self._costs_of(spec)
            self._discount, self._warm = spec.discount, None
            self._constraints = task_constraints(self._layout, cost.spec)
        if configuration is not None:
            self._configuration = configuration
        if (cost or configuration) and self._cost is not None and self._configuration:
            settings = self._settings.planning.configured(
                self._configuration.planner, self._configuration.horizon)
            self._planners = (make_planner(self._layout, settings),
                              Explorer(self._layout, settings.planner))
