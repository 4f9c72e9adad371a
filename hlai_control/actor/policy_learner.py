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

"""How the policy learns: down the gradient of what it costs in imagination."""

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.policy import PolicyNetwork
from hlai_control.layout import Layout
from hlai_control.learning.adam import Adam
from hlai_control.protocols import CostFunction, Dynamics, ValueFunction
from hlai_control.settings import PolicySettings

# Gradients through many steps of a swinging body now and then explode; the norm stops here.
_STEEPEST = 1.0
# Under the root of the variance of the members' costs, as a share of their mean, squared.
_AGREED = 1e-6


class PolicyLearner:
    """
    Backprop through the world model, on the intrinsic objective.

    From states that the robot visited, the mean of the world model is followed
    under the policy for a few ticks. What that costs, and what the critic
    anticipates at the end, is differentiated with regard to the policy's
    parameters, through all the steps. At each of them the members are asked
    what the next state would cost; their standard deviation is charged for, so
    that the policy keeps to where the world model knows (PPUU: Henaff, Canziani
    and LeCun 2019, *Model-predictive policy learning with uncertainty
    regularization*).

    What plans do is imitated as well (:meth:`imitate`): it shows the way where
    the gradient has many valleys.

    :param layout: the robot.
    :param cost: the stage cost.
    :param discount: per control period.
    :param settings: sizes, rates and weights.
    :param generator: draws initial weights.
    """

    def __init__(self, layout: Layout, cost: CostFunction, discount: float,
                 settings: PolicySettings, generator: torch.Generator) -> None:
        """Begin with the middle of the limits."""
        self._cost, self._discount, self._settings = cost, discount, settings
        self.policy = PolicyNetwork(layout, settings, generator)
        self._optimiser = Adam(self.policy.parameters(), settings.learning_rate)

    def update(self, start: Float[Tensor, 'B S'], dynamics: Dynamics,
               value: ValueFunction) -> float:
        """
        Make one Adam update; its cost is constant.

        :param start: states to imagine from.
        :param dynamics: the world model to imagine with.
        :param value: the critic.
        :returns: mean cost of what was imagined, per step.
        """
        loss = self.objective(start, dynamics, value).mean() / self._settings.imagined_steps
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), _STEEPEST)
        self._optimiser.step()
        return loss.item()

    def imitate(self, state: Float[Tensor, 'B S'], action: Float[Tensor, 'B A']) -> float:
        """
        Make one Adam update towards what plans do.

        :returns: the mean squared distance, in units of half the limits' range.
        """
        missed = (self.policy.action(state) - action) / self.policy.reach
        loss = missed.square().sum(dim=-1).mean()
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        return loss.item()

    def objective(self, start: Float[Tensor, 'B S'], dynamics: Dynamics,
                  value: ValueFunction) -> Float[Tensor, ' B']:
        """
        Imagine what the policy costs from states on; differentiable in the policy.

        :returns: sum over t < T of discount^t (C(s[t], a[t]) + uncertainty *
            std over the members of C(s[t+1], a[t])), plus discount^T V(s[T]).
        """
        state, weight = start, 1.0
        total = start.new_zeros(len(start))
        for _ in range(self._settings.imagined_steps):
            action = self.policy.action(state)
            total = total + weight * self._cost.stage(state, action)
            each = dynamics.step(state.expand(dynamics.members, -1, -1), action)
            if self._settings.uncertainty and dynamics.members > 1:
                total = total + weight * self._settings.uncertainty * self.doubt(each, action)
            state, weight = each.mean(dim=0), weight * self._discount
        return total + weight * value.value(state)

    def doubt(self, ahead: Float[Tensor, 'E B S'],
              action: Float[Tensor, 'B A']) -> Float[Tensor, ' B']:
        """Say how much the members disagree about what comes next: a standard deviation."""
        stage = self._cost.stage(ahead, action.expand(len(ahead), -1, -1))
        mean = stage.mean(dim=0)
        tiny = _AGREED * (1.0 + mean.square())
        return ((stage - mean).square().mean(dim=0) + tiny).sqrt() - tiny.sqrt()
