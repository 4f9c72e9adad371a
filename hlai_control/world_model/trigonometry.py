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

"""Functions of the positions of which a mechanism's inertia and energy are sums."""

from functools import reduce
from itertools import product
from math import prod

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.layout import Layout


class Trigonometry(nn.Module):
    """
    F products ``phi(q)`` of one factor per position on which the dynamics depend.

    The factors are 1, sin and cos of an angle, and 1, q and q^2 of a linear
    coordinate. Inertia and potential energy of links that turn about parallel
    axes are sums of such products (Khalil and Dombre 2002, *Modeling,
    Identification and Control of Robots*, chapter 9).

    :param layout: names angles, what is invariant, and the mirror.
    """

    seen: Tensor
    terms: Tensor
    angle: Tensor
    slopes: Tensor

    def __init__(self, layout: Layout) -> None:
        """Choose the products."""
        super().__init__()
        seen = [i for i, invariant in enumerate(layout.invariant) if not invariant]
        terms = list(product(range(3), repeat=len(seen)))
        self.register_buffer('seen', torch.tensor(seen, dtype=torch.long), persistent=False)
        self.register_buffer('terms', torch.tensor(terms, dtype=torch.long).reshape(
            len(terms), len(seen)), persistent=False)
        self.register_buffer('angle', torch.tensor(
            [layout.angle[i] for i in seen], dtype=torch.bool), persistent=False)
        self._turning = bool(self.angle.all())
        # Slopes along position i of all products at once: I x .. x D_i x .. x I.
        slopes, one = [_slopes(layout.angle[i]) for i in seen], torch.eye(3)
        self.register_buffer('slopes', torch.cat([
            reduce(torch.kron, [slopes[i] if i == j else one for j in range(len(seen))])
            for i in range(len(seen))], dim=1), persistent=False)
        # What becomes of each product in the mirror; sin and q are odd.
        self.parity = tuple(prod(layout.mirror_positions[i] if factor == 1 else 1.0
                                 for i, factor in zip(seen, term, strict=True))
                            for term in terms)

    def forward(self, positions: Float[Tensor, '*B n']
                ) -> tuple[Float[Tensor, '*B F'], Float[Tensor, '*B F k']]:
        """
        Evaluate the products, and their slopes along the k positions seen.

        :param positions: all n of them.
        """
        q = positions.index_select(-1, self.seen)
        if self._turning:
            factors = torch.stack([torch.ones_like(q), torch.sin(q), torch.cos(q)], dim=-1)
        else:
            factors = torch.stack([torch.ones_like(q), torch.where(self.angle, torch.sin(q), q),
                                   torch.where(self.angle, torch.cos(q), q * q)], dim=-1)
        values = factors[..., 0, :]
        for i in range(1, len(self.seen)):
            values = (values.unsqueeze(-1) * factors[..., i, None, :]).flatten(-2)
        return values, (values @ self.slopes).unflatten(-1, (len(self.seen), -1)).mT


def _slopes(angle: bool) -> Float[Tensor, '3 3']:
    # (1, sin, cos)' = (0, cos, -sin) and (1, q, q^2)' = (0, 1, 2 q): linear in the factors.
    rows = [[0, 0, 0], [0, 0, -1], [0, 1, 0]] if angle else [[0, 1, 0], [0, 0, 2], [0, 0, 0]]
    return torch.tensor(rows, dtype=torch.get_default_dtype())
