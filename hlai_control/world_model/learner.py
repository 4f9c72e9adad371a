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


"""How the world model learns from the stream: one constant-cost Adam update at a time."""

from math import pi

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.learning.replay import Replay
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Transition
from hlai_control.world_model.ensemble import EnsembleDynamics


class WorldModelLearner:
    """
    Fits an ensemble to every transition so far, each member on its own draws.

    The mean is fitted by least squares and the variance by likelihood with
    the mean held fixed: beta-NLL with beta = 1 (Seitzer et al. 2022, *On the
    pitfalls of heteroscedastic uncertainty estimation*), so that a variance
    that is wrong early on cannot starve the mean. Scales are running root
    mean squares over all data; they change by one part in n at the n-th
    transition, which the next few updates absorb.

    :param layout: the robot.
    :param settings: sizes and learning rate.
    :param generator: draws initial weights and batches.
    """

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator) -> None:
        """Begin with an untrained ensemble and an empty memory."""
        self._settings, self._generator = settings, generator
        self._count, self._dt = len(layout.positions), layout.period_s
        self._turns = torch.tensor(layout.angle + (False,) * self._count)
        self._dynamics = EnsembleDynamics(layout, settings, generator)
        self._optimiser = torch.optim.Adam(
            self._dynamics.network.parameters(), lr=settings.learning_rate, fused=True)
        self._folded = True
        self._moments = torch.zeros(2, len(self._dynamics.features.signs), dtype=torch.float64)
        self._squares = torch.zeros(self._count, dtype=torch.float64)
        self.replay = Replay(layout)

    @property
    def dynamics(self) -> EnsembleDynamics:
        """The ensemble as trained so far, ready to step."""
        if not self._folded:
            self._dynamics.fold()
            self._folded = True
        return self._dynamics

    def add(self, transition: Transition) -> None:
        """
        Remember one transition and let the scales follow it.

        :raises SignalError: if a number in it is not finite.
        """
        self.replay.add(transition)
        raw = self._dynamics.features.raw(transition.state, transition.action).double()
        share = 1.0 / self.replay.total
        self._moments.lerp_(torch.stack([raw, raw.square()]), share)
        self._squares.lerp_(self._acceleration(
            transition.state, transition.next_state).double().square(), share)
        self._dynamics.features.normalise(*self._moments.float())
        self._dynamics.acceleration.copy_(self._squares.sqrt().clamp_min(1e-3))
        self._folded = False

    def update(self) -> float:
        """
        Make one Adam update on one batch per member; its cost is constant.

        :returns: the loss, mean over members, rows and coordinates.
        :raises ShapeError: if nothing has been added yet.
        """
        members, batch = self._settings.members, self._settings.batch
        rows = self.replay.sample(members * batch, self._generator)
        loss = self._loss(*(part.view(members, batch, -1)
                            for part in (rows.state, rows.action, rows.next_state)))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self._folded = False
        return loss.item()

    def one_step_error(self, transition: Transition) -> Float[Tensor, ' S']:
        """
        Compare a transition with what the ensemble's mean predicted.

        :returns: measured minus predicted next state, angles wrapped.
        """
        dynamics = self.dynamics
        with torch.inference_mode():
            start = transition.state.expand(dynamics.members, 1, -1)
            ahead = dynamics.step(start, transition.action.unsqueeze(0)).mean(dim=(0, 1))
            error = transition.next_state - ahead
            wrapped = torch.remainder(error + pi, 2.0 * pi) - pi
            return torch.where(self._turns, wrapped, error)

    def _acceleration(self, state: Float[Tensor, '*B S'],
                      ahead: Float[Tensor, '*B S']) -> Float[Tensor, '*B n']:
        return (ahead[..., self._count:] - state[..., self._count:]) / self._dt

    def _loss(self, state: Float[Tensor, 'E B S'], action: Float[Tensor, 'E B A'],
              ahead: Float[Tensor, 'E B S']) -> Float[Tensor, '']:
        mean, log_std = self._dynamics.predict(state, action)
        residual = self._acceleration(state, ahead) / self._dynamics.acceleration - mean
        error = self._state_error(state, ahead, residual.detach())
        likelihood = 0.5 * (error * torch.exp(-log_std)).square() + log_std
        return residual.square().mean() + likelihood.mean()

    def _state_error(self, state: Float[Tensor, 'E B S'], ahead: Float[Tensor, 'E B S'],
                     residual: Float[Tensor, 'E B n']) -> Float[Tensor, 'E B S']:
        # In noise units: the rate's error is the residual itself; the position's adds what
        # the trapezoid rule leaves over.
        moved = ahead[..., :self._count] - state[..., :self._count]
        wrapped = torch.remainder(moved + pi, 2.0 * pi) - pi
        moved = torch.where(self._turns[:self._count], wrapped, moved)
        rates = state[..., self._count:] + ahead[..., self._count:]
        unit = self._dynamics.acceleration * self._dt ** 2
        position = (moved - 0.5 * self._dt * rates) / unit + 0.5 * residual
        return torch.cat([position, residual], dim=-1)
