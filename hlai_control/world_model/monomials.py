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


"""How rates and actions enter the accelerations of a rigid body: by a few monomials."""

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.layout import Layout

# Beyond this many of their scales, rates count as if they were there: a quadratic learned
# from a few slow ticks must not make every imagined trajectory overflow.
_EXTRAPOLATE = 5.0


class Monomials(nn.Module):
    """
    Columns ``[1, rates, products of two rates, actions]``, normalised.

    The Euler-Lagrange equations, ``M(q) ddq = B u - c(q, dq) - g(q)``, are
    affine in the efforts and at most quadratic in the rates (Coriolis and
    centrifugal terms; viscous friction is linear): the accelerations are
    these columns times coefficients that depend on the positions alone.

    :param layout: signs of the mirror, limits of the actions.
    """

    first: Tensor
    second: Tensor
    middle: Tensor
    reach: Tensor
    rate: Tensor
    one: Tensor
    square: Tensor

    def __init__(self, layout: Layout) -> None:
        """Choose the columns."""
        super().__init__()
        count = len(layout.positions)
        self._count = count
        first, second = torch.triu_indices(count, count)
        self.register_buffer('first', first, persistent=False)
        self.register_buffer('second', second, persistent=False)
        signs = layout.mirror_positions
        self.signs = ((1.0,) + signs
                      + tuple(signs[i] * signs[j] for i, j in zip(first, second, strict=True))
                      + layout.mirror_actions)
        low, high = torch.tensor(layout.action_low), torch.tensor(layout.action_high)
        self.register_buffer('middle', 0.5 * (high + low), persistent=False)
        self.register_buffer('reach', 0.5 * (high - low), persistent=False)
        self.register_buffer('rate', torch.ones(count))
        self.register_buffer('one', torch.ones(1, 1, 1), persistent=False)
        self.register_buffer('square', self._square(len(low)), persistent=False)

    def _square(self, actions: int) -> Float[Tensor, 'M N']:
        """Return the matrix that spreads coefficients of raw() onto squared_out()."""
        count, pairs = self._count, len(self.first)
        square = torch.zeros(1 + count + pairs + actions, 1 + count + count ** 2 + actions)
        square[:1 + count, :1 + count] = torch.eye(1 + count)
        for row, (i, j) in enumerate(zip(self.first, self.second, strict=True)):
            for place in (i * count + j, j * count + i):
                square[1 + count + row, 1 + count + place] += 0.5
        square[1 + count + pairs:, 1 + count + count ** 2:] = torch.eye(actions)
        return square

    def limit(self) -> Float[Tensor, ' n']:
        """Return the rates beyond which they count as if they were there."""
        return _EXTRAPOLATE * self.rate

    def raw(self, rates: Float[Tensor, '*B n'],
            action: Float[Tensor, '*B A']) -> Float[Tensor, '*B M']:
        """Lay out the columns, in SI units."""
        limit = self.limit()
        rates = torch.clamp(rates, -limit, limit)
        products = rates[..., self.first] * rates[..., self.second]
        return torch.cat([torch.ones_like(rates[..., :1]), rates, products, action], dim=-1)

    def squared_out(self, rates: Float[Tensor, 'E n B'],
                    action: Float[Tensor, 'E A B']) -> Float[Tensor, 'E N B']:
        """
        Lay out the monomials of columns, with all n * n products of rates, in SI units.

        Twins cost less than choosing half of them; ``square`` maps
        coefficients of :meth:`raw` onto these.
        """
        limit = self.limit().unsqueeze(-1)
        rates = torch.clamp(rates, -limit, limit)
        products = (rates.unsqueeze(1) * rates.unsqueeze(2)).flatten(1, 2)
        one = self.one.expand(len(rates), 1, rates.shape[-1])
        return torch.cat([one, rates, products, action], dim=1)

    def first_order(self, rates: Float[Tensor, 'E n B'],
                    action: Float[Tensor, 'E A B']) -> Float[Tensor, 'E N B']:
        """Lay out ``[1, rates, actions]`` of columns, in SI units."""
        limit = self.limit().unsqueeze(-1)
        one = self.one.expand(len(rates), 1, rates.shape[-1])
        return torch.cat([one, torch.clamp(rates, -limit, limit), action], dim=1)

    def forward(self, rates: Float[Tensor, '*B n'],
                action: Float[Tensor, '*B A']) -> Float[Tensor, '*B M']:
        """Lay out the columns, normalised."""
        return self.raw(rates, action) @ self.fold()

    def fold(self) -> Float[Tensor, 'M M']:
        """Return the matrix F for which ``forward(...) = raw(...) @ F``."""
        scale = torch.cat([self.rate.new_ones(1), self.rate,
                           self.rate[self.first] * self.rate[self.second], self.reach])
        matrix = torch.diag(1.0 / scale)
        matrix[0, len(scale) - len(self.reach):] = -self.middle / self.reach
        return matrix
