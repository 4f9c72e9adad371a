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

"""What critic and policy learn per transition, together: each makes the other's lessons better."""

import torch
from torch import Tensor

from hlai_control.actor.policy_learner import PolicyLearner
from hlai_control.critic.dream import Dream
from hlai_control.critic.learner import CriticLearner
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.learning.diverse import DiverseMemory
from hlai_control.learning.scattered import scattered
from hlai_control.protocols import CostFunction, Dynamics, Planner, Problem
from hlai_control.settings import CriticSettings, PolicySettings, ScheduleSettings
from hlai_control.types import Batch, Budget, generator, Plan, Transition

# Transitions at most that are kept because they differ: states to plan from.
_DIVERSE = 512
# Of the newest transitions, as many are looked through for such when a run is taken over.
_KNOWN = 10_000
# Labels from which on the value says more of a plan's end than the stage cost there does.
_LABELS = 320
# How far beside a plan's states the policy is taught, in standard deviations of the motion.
_BESIDE = 0.1


class Studies:
    """
    A critic, a policy, and a planner that teaches both.

    The planner is asked what it would do, with the critic's slower copy as
    terminal value: from where the robot is, so that labels lie where the actor
    will need them; from states put together anew of what was visited, so that
    they lie everywhere; and from where the policy leads in imagination
    (``critic/dream.py``). Its plans are labels of what these states are worth (T
    steps of value iteration at once, minimised by the planner rather than over
    a few tried actions), and with their gains examples for the policy. Beside
    that the critic learns by TD(lambda) along imagined steps, and the policy by
    backprop through the world model.

    :param layout: the robot.
    :param cost: the stage cost.
    :param discount: per control period.
    :param settings: of the critic, the policy and the schedule.
    :param seed: of the run.
    :param teacher: plans by control periods; None: no plans to learn from.
    :param iterations: refinements of such a plan.
    """

    def __init__(self, layout: Layout, cost: CostFunction, discount: float,
                 settings: tuple[CriticSettings, PolicySettings, ScheduleSettings], seed: int,
                 teacher: Planner | None, iterations: int) -> None:
        """Begin with a constant value and the middle of the limits."""
        critic, policy, self._schedule = settings
        self._cost, self._discount, self._batch = cost, discount, policy.batch
        self._teacher, self._budget = teacher, Budget(iterations)
        self.critic = CriticLearner(layout, cost, discount, critic, generator(seed, 'critic'))
        self.policy = PolicyLearner(layout, cost, discount, policy, generator(seed, 'policy'))
        self._generator = generator(seed, 'teacher')
        self._low = torch.tensor(layout.action_low)
        self._high = torch.tensor(layout.action_high)
        self._layout, self._diverse = layout, DiverseMemory(layout, _DIVERSE)
        self._here: Tensor | None = None
        self._plan: Plan | None = None
        self._dreams = [Dream(layout.state_size) for _ in range(max(0, self._schedule.plans - 2))]

    def add(self, transition: Transition) -> None:
        """
        Remember one transition and let the scales follow it.

        :raises SignalError: if a number in it is not finite.
        """
        self.critic.add(transition)
        self._here = transition.next_state
        if self._schedule.acting:
            self._diverse.add(transition)
        self.policy.policy.features.normalise(*self.critic.moments)

    def extend(self, batch: Batch) -> None:
        """
        Remember many transitions, oldest first.

        :raises SignalError: if a number in it is not finite; then none is remembered.
        """
        self.critic.extend(batch)
        self._differ(batch)
        self.policy.policy.features.normalise(*self.critic.moments)

    def inherit(self, before: 'Studies') -> None:
        """Go on from what was remembered for another cost."""
        self.critic.inherit(before.critic)
        self._differ(self.critic.replay.latest(_KNOWN))
        self.policy.policy.features.normalise(*self.critic.moments)

    def _differ(self, batch: Batch) -> None:
        if self._schedule.acting and len(batch.state):
            self._diverse.extend(batch)

    def update(self, dynamics: Dynamics) -> float:
        """
        Make one TD(lambda) update of the critic.

        :returns: its loss, see ``CriticLearner.update``.
        """
        return self.critic.update(dynamics, self.policy.policy)

    def study(self, dynamics: Dynamics) -> None:
        """
        Do once per transition what the schedule says of plans, practice and policy.

        :param dynamics: the world model to plan and imagine with.
        """
        if self._teacher is not None:
            self._learn_plans(dynamics, self._teacher)
        if len(self.critic.lessons):
            for _ in range(self._schedule.practice):
                self.critic.practise()
                self._imitate()
        for _ in range(self._schedule.policy_updates):
            start = scattered(self._diverse, self._batch, self._layout.state_size,
                              self._generator)
            self.policy.update(start, dynamics, self.critic.target)

    def _imitate(self) -> None:
        mean, square = self.critic.moments
        reach = _BESIDE * (square - mean.square()).clamp_min(0.0).sqrt()
        found = self.critic.lessons.sample(self._batch, self._generator)
        self.policy.imitate(*found.nearby(reach, self._low, self._high, self._generator))

    def _learn_plans(self, dynamics: Dynamics, teacher: Planner) -> None:
        if self._schedule.plans and self._here is not None:
            self._plan = self._learn_plan(self._here, dynamics, teacher, self._plan)
        if self._schedule.plans > 1:
            anew = scattered(self._diverse, 1, self._layout.state_size, self._generator)[0]
            self._learn_plan(anew, dynamics, teacher, None)
        for dream in self._dreams:
            start = dream.step(dynamics, self.policy.policy, self._diverse, self._generator)
            dream.plan = self._learn_plan(start, dynamics, teacher, dream.plan)

    def _learn_plan(self, start: Tensor, dynamics: Dynamics, teacher: Planner,
                    warm: Plan | None) -> Plan | None:
        """Plan from a state; None where a young world model leads nowhere: others remain."""
        critic = self.critic.target if len(self.critic.lessons) >= _LABELS else None
        problem = Problem(dynamics, self._cost, critic, self._discount)
        try:
            plan = teacher.plan(start, problem, warm, self._budget, self._generator)
        except PlanError:
            return None
        self.critic.lessons.add(plan)
        return plan
