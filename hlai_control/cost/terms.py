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


"""The kinds of cost term: small differentiable functions, at least zero, NaN for NaN."""

from jaxtyping import Float
import torch
from torch import Tensor


def angle(x: Float[Tensor, '*B N'], goal: Float[Tensor, ' N']) -> Float[Tensor, '*B N']:
    """1 - cos(x - goal): zero at the goal, 2 opposite to it, blind to whole turns."""
    return 1.0 - torch.cos(x - goal)


def quadratic(x: Float[Tensor, '*B N'], goal: Float[Tensor, ' N']) -> Float[Tensor, '*B N']:
    """(x - goal)^2."""
    return (x - goal).square()


def saturating(squared: Float[Tensor, '*B N'],
               width: Float[Tensor, ' N']) -> Float[Tensor, '*B N']:
    """1 - exp(-d^2 / (2 width^2)) of a squared distance d^2: at most 1 however far."""
    return -torch.expm1(squared * (-0.5 / width.square()))


def barrier(x: Float[Tensor, '*B N'], limit: Float[Tensor, ' N']) -> Float[Tensor, '*B N']:
    """max(0, abs(x) - limit)^2: exactly zero inside the limit."""
    return torch.relu(x.abs() - limit).square()


def bend_angle(x: Float[Tensor, '*B N'], goal: Float[Tensor, ' N']
               ) -> tuple[Float[Tensor, '*B N'], Float[Tensor, '*B N']]:
    """Return the first and second derivative of :func:`angle`."""
    return torch.sin(x - goal), torch.cos(x - goal)


def bend_quadratic(x: Float[Tensor, '*B N'], goal: Float[Tensor, ' N']
                   ) -> tuple[Float[Tensor, '*B N'], Float[Tensor, '*B N']]:
    """Return the first and second derivative of :func:`quadratic`."""
    slope = 2.0 * (x - goal)
    return slope, torch.full_like(slope, 2.0)


def bend_saturating(squared: Float[Tensor, '*B N'], slope: Float[Tensor, '*B N'],
                    curve: Float[Tensor, '*B N'], width: Float[Tensor, ' N']
                    ) -> tuple[Float[Tensor, '*B N'], Float[Tensor, '*B N']]:
    """
    Return the first and second derivative of :func:`saturating`, by the chain rule.

    :param slope: of the squared distance.
    :param curve: second derivative of the squared distance.
    """
    rate = 0.5 / width.square()
    left = rate * torch.exp(-rate * squared)
    return left * slope, left * (curve - rate * slope.square())


def bend_barrier(x: Float[Tensor, '*B N'], limit: Float[Tensor, ' N']
                 ) -> tuple[Float[Tensor, '*B N'], Float[Tensor, '*B N']]:
    """Return the first and second derivative of :func:`barrier`."""
    beyond = torch.relu(x.abs() - limit)
    return 2.0 * beyond * torch.sign(x), 2.0 * torch.sign(beyond)
