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

"""What a step tells of the accelerations, and what a fit leaves over of it."""

from math import pi

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.world_model.structure import StructuredDynamics


class StepErrors:
    """Base of the learners: how measured steps compare with the ensemble's integrator."""

    _count: int
    _dt: float
    _turns: Tensor
    _dynamics: StructuredDynamics

    def _acceleration(self, state: Float[Tensor, '*B S'],
                      ahead: Float[Tensor, '*B S']) -> Float[Tensor, '*B n']:
        return (ahead[..., self._count:] - state[..., self._count:]) / self._dt

    def _middle(self, state: Float[Tensor, '*B S'],
                ahead: Float[Tensor, '*B S']) -> Float[Tensor, '*B S']:
        # Where the ensemble's integrator evaluates the acceleration.
        begin, end = state[..., self._count:], ahead[..., self._count:]
        position = state[..., :self._count] + 0.5 * self._dt * begin
        return torch.cat([position, 0.5 * (begin + end)], dim=-1)

    def _state_error(self, state: Float[Tensor, '*r S'], ahead: Float[Tensor, '*r S'],
                     residual: Float[Tensor, '*e n']) -> Float[Tensor, '*e S']:
        # In noise units: the rate's error is the residual itself; the position's adds what
        # the trapezoid rule leaves over.
        moved = ahead[..., :self._count] - state[..., :self._count]
        wrapped = torch.remainder(moved + pi, 2.0 * pi) - pi
        moved = torch.where(self._turns[:self._count], wrapped, moved)
        rates = state[..., self._count:] + ahead[..., self._count:]
        unit = self._dynamics.acceleration * self._dt ** 2
        position = (moved - 0.5 * self._dt * rates) / unit + 0.5 * residual
        return torch.cat([position, residual], dim=-1)
