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

"""What one step of the robot says about accelerations, by the ensemble's own integrator."""

from math import pi

from jaxtyping import Bool, Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.protocols import Dynamics
from hlai_control.types import Batch, Transition
from hlai_control.world_model.structure import StructuredDynamics


class Steps:
    """
    Takes steps apart.

    :param layout: the robot.
    :param dynamics: whose typical accelerations are the unit of errors.
    """

    def __init__(self, layout: Layout, dynamics: StructuredDynamics) -> None:
        """Keep the sizes."""
        self._count, self._dt, self._dynamics = len(layout.positions), layout.period_s, dynamics
        self._turns, self._heading = turning(layout), layout.heading

    def acceleration(self, state: Float[Tensor, '*B S'],
                     ahead: Float[Tensor, '*B S']) -> Float[Tensor, '*B n']:
        """Return the mean accelerations during steps [SI]."""
        return (ahead[..., self._count:] - state[..., self._count:]) / self._dt

    def middle(self, state: Float[Tensor, '*B S'],
               ahead: Float[Tensor, '*B S']) -> Float[Tensor, '*B S']:
        """Return the states half a period on."""
        # Where the ensemble's integrator evaluates the acceleration.
        begin, end = state[..., self._count:], ahead[..., self._count:]
        position = state[..., :self._count] + 0.5 * self._dt * begin
        return torch.cat([position, 0.5 * (begin + end)], dim=-1)

    def state_error(self, state: Float[Tensor, '*B S'], ahead: Float[Tensor, '*B S'],
                    residual: Float[Tensor, '*R n']) -> Float[Tensor, '*R S']:
        """Return the errors of predicted states, from those of accelerations."""
        # In noise units: the rate's error is the residual itself; the position's adds what
        # the trapezoid rule leaves over.
        moved = ahead[..., :self._count] - state[..., :self._count]
        moved = wrapped(moved, self._turns[:self._count])
        if self._heading:
            moved = _seen_by_base(moved, state, self._heading)
        rates = state[..., self._count:] + ahead[..., self._count:]
        unit = self._dynamics.acceleration * self._dt ** 2
        position = (moved - 0.5 * self._dt * rates) / unit + 0.5 * residual
        return torch.cat([position, residual], dim=-1)


def _seen_by_base(moved: Float[Tensor, '*B n'], state: Float[Tensor, '*B S'],
                  heading: tuple[int, ...]) -> Float[Tensor, '*B n']:
    """Turn the way of a base into its own frame, as it is turned half way."""
    x, y, yaw = heading
    half = state[..., yaw] + 0.5 * moved[..., yaw]
    cosine, sine = torch.cos(half), torch.sin(half)
    columns = list(moved.unbind(dim=-1))
    columns[x] = cosine * moved[..., x] + sine * moved[..., y]
    columns[y] = cosine * moved[..., y] - sine * moved[..., x]
    return torch.stack(columns, dim=-1)


def columns_of(parts: list[Batch]) -> tuple[tuple[Tensor, ...], ...]:
    """Return the states, the actions and the next states of several batches."""
    return (tuple(part.state for part in parts), tuple(part.action for part in parts),
            tuple(part.next_state for part in parts))


def turning(layout: Layout) -> Bool[Tensor, ' S']:
    """Tell which state coordinates are angles."""
    return torch.tensor(layout.angle + (False,) * len(layout.positions))


def wrapped(error: Float[Tensor, '*B D'], turns: Bool[Tensor, ' D']) -> Float[Tensor, '*B D']:
    """
    Bring differences of angles between -pi and pi.

    :param turns: which of the columns are angles.
    """
    return torch.where(turns, torch.remainder(error + pi, 2.0 * pi) - pi, error)


def one_step_error(dynamics: Dynamics, transition: Transition,
                   turns: Bool[Tensor, ' S']) -> Float[Tensor, ' S']:
    """
    Compare a transition with what the mean of a world model's members predicts.

    :param turns: see :func:`turning`.
    :returns: measured minus predicted next state, angles wrapped.
    """
    with torch.inference_mode():
        start = transition.state.expand(dynamics.members, 1, -1)
        ahead = dynamics.step(start, transition.action.unsqueeze(0)).mean(dim=(0, 1))
        return wrapped(transition.next_state - ahead, turns)
