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

"""What an ensemble leaves over of several steps, foreseen from the first state alone."""

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.learning.spans import Spans
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.steps import turning, wrapped
from hlai_control.world_model.structure import StructuredDynamics


class Rollouts:
    """
    Foresees states with gradients, by the rule that ``EnsembleDynamics.step`` has.

    :param layout: the robot.
    :param dynamics: what foresees.
    """

    def __init__(self, layout: Layout, dynamics: StructuredDynamics) -> None:
        """Keep the sizes."""
        self._count, self._dt, self._dynamics = len(layout.positions), layout.period_s, dynamics
        self._turns = turning(layout)
        self._noise = torch.nan_to_num(torch.tensor(layout.noise_std, dtype=torch.float32))

    def ahead(self, state: Float[Tensor, 'E B S'],
              action: Float[Tensor, 'E B A']) -> Float[Tensor, 'E B S']:
        """Predict one control period ahead, differentiable in parameters and states."""
        dynamics, dt = self._dynamics, self._dt
        assert isinstance(dynamics, EnsembleDynamics)  # a mixture foresees one step only
        position, rates = state[..., :self._count], state[..., self._count:]
        hidden = dynamics.trunk(dynamics.features(
            torch.cat([position + 0.5 * dt * rates, rates], dim=-1)))
        gain = dt * dynamics.acceleration
        middle = rates + 0.5 * gain * dynamics.driven(hidden, rates, action)
        end = rates + gain * dynamics.driven(hidden, middle, action)
        return torch.cat([position + 0.5 * dt * (rates + end), end], dim=-1)

    def loss(self, first: Float[Tensor, ''], spans: Spans) -> Float[Tensor, '']:
        """
        Return the mean loss of all steps.

        :param first: that of the first steps, which is about accelerations.
        :param spans: E B of them; one step long, it is ``first`` itself.
        """
        more = spans.joined.shape[-1] - 1
        return first if not more else (first + more * self.later(spans)) / (1 + more)

    def later(self, spans: Spans) -> Float[Tensor, '']:
        """
        Return the squared error of the second step and all after it.

        Each member starts at the first measured state and goes on from its own
        predictions. The error of step k is in units of what k periods of the
        typical acceleration make of rest, and of the sensors' noise at both
        ends; in these units all steps weigh the same (lagged error criterion:
        Abbeel and Ng 2005, *Learning first-order Markov models for control*).
        Steps that nobody knows to have followed count as foreseen, so the
        mean over parts of the rows is the mean over all.

        :param spans: E B of them, at least two steps long.
        :returns: mean over members, spans, later steps and coordinates.
        """
        state, squares = spans.state, list[Tensor]()
        for step in range(spans.joined.shape[-1]):
            state = self.ahead(state, spans.action[..., step, :])
            if step:
                error = wrapped(spans.ahead[..., step, :] - state, self._turns)
                squares.append((error / self.unit(step + 1)).square()
                               * spans.joined[..., step].unsqueeze(-1))
        return torch.stack(squares).mean()

    def unit(self, steps: int) -> Float[Tensor, ' S']:
        """Return the typical error of a state so many steps ahead, nothing being known [SI]."""
        rate = self._dynamics.acceleration * (steps * self._dt)
        gained = torch.cat([0.5 * steps * self._dt * rate, rate])
        return (gained.square() + 2.0 * self._noise.square()).sqrt()
