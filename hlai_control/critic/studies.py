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

from hlai_control.actor.policy_learner import PolicyLearner
from hlai_control.critic.learner import CriticLearner
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.learning.scattered import scattered
from hlai_control.protocols import CostFunction, Dynamics, Planner, Problem
from hlai_control.settings import CriticSettings, PolicySettings, ScheduleSettings
from hlai_control.types import Batch, Budget, generator, Transition


class Studies:
    """
    A critic, a policy, and a planner that teaches both.

    The planner is asked what it would do in states near and around those that
    the robot visited, with the critic's slower copy as terminal value. Its
    plans are labels of what these states are worth (T steps of value iteration
    at once, minimised by the planner rather than over a few tried actions), and
    examples for the policy. Beside that the critic learns by TD(lambda) along
    imagined steps, and the policy by backprop through the world model.

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

    def add(self, transition: Transition) -> None:
        """
        Remember one transition and let the scales follow it.

        :raises SignalError: if a number in it is not finite.
        """
        self.critic.add(transition)
        self.policy.policy.features.normalise(*self.critic.moments)

    def extend(self, batch: Batch) -> None:
        """
        Remember many transitions, oldest first.

        :raises SignalError: if a number in it is not finite; then none is remembered.
        """
        self.critic.extend(batch)
        self.policy.policy.features.normalise(*self.critic.moments)

    def inherit(self, before: 'Studies') -> None:
        """Go on from what was remembered for another cost."""
        self.critic.inherit(before.critic)
        self.policy.policy.features.normalise(*self.critic.moments)

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
            self._plan(dynamics, self._teacher)
        if len(self.critic.lessons):
            for _ in range(self._schedule.practice):
                self.critic.practise()
                found = self.critic.lessons.sample(self._batch, self._generator)
                self.policy.imitate(found.state, found.action)
        for _ in range(self._schedule.policy_updates):
            start = scattered(self.critic.replay, self._batch, self._generator)
            self.policy.update(start, dynamics, self.critic.target)

    def _plan(self, dynamics: Dynamics, teacher: Planner) -> None:
        problem = Problem(dynamics, self._cost, self.critic.target, self._discount)
        for _ in range(self._schedule.plans):
            start = scattered(self.critic.replay, 1, self._generator)[0]
            try:
                plan = teacher.plan(start, problem, None, self._budget, self._generator)
            except PlanError:
                continue  # a young world model leads nowhere from there; others remain
            self.critic.lessons.add(plan)
