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


"""The network shapes that all learners share: small MLPs that know their mirror symmetry."""

from jaxtyping import Float
import torch
from torch import nn, Tensor
from torch.nn.functional import silu


class MirrorTrunk(nn.Module):
    """
    E independent pairs of SiLU layers whose units come in mirror pairs.

    Flipping the inputs whose sign is -1 exactly swaps the two halves of the
    output (the regular representation of the two-element group: Cohen and
    Welling 2016, *Group equivariant convolutional networks*): half of each
    dense matrix is free, the other half is its mirror image. Evaluation
    costs the same as without the symmetry, and nothing is learned twice.
    With no sign of -1 given, the layers are ordinary dense ones.

    :param members: E.
    :param signs: one sign per input; -1 flips in the mirror.
    :param mirrored: whether there is a mirror symmetry at all.
    :param hidden: H, units per layer; rounded up to an even number if mirrored.
    :param gain: scale of the initial weights, uniform in +-gain/sqrt(fan in).
    :param generator: draws the initial weights.
    """

    signs: Tensor

    def __init__(self, members: int, signs: tuple[float, ...], mirrored: bool, hidden: int,
                 gain: float, generator: torch.Generator) -> None:
        """Draw the initial weights."""
        super().__init__()
        self.mirrored = mirrored
        pairs = 2 if mirrored else 1
        width = -(-hidden // pairs)
        self.register_buffer('signs', torch.tensor(signs).unsqueeze(-1), persistent=False)
        inputs, full = len(signs), width * pairs
        self.free, self.full = width, full

        def draw(rows: int, fan_in: int) -> nn.Parameter:
            uniform = torch.rand(members, rows, width, generator=generator)
            return nn.Parameter((2.0 * uniform - 1.0) * (gain * max(1, fan_in) ** -0.5))

        self.w1, self.b1 = draw(inputs, inputs), draw(1, inputs)
        self.w2, self.b2 = draw(full, full), draw(1, full)

    def dense(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """
        Assemble the full matrices from their free halves.

        :returns: w1 (E F H), b1 (E 1 H), w2 (E H H), b2 (E 1 H).
        """
        if not self.mirrored:
            return self.w1, self.b1, self.w2, self.b2
        return (torch.cat([self.w1, self.w1 * self.signs], dim=-1),
                torch.cat([self.b1, self.b1], dim=-1),
                torch.cat([self.w2, self.w2.roll(self.free, dims=-2)], dim=-1),
                torch.cat([self.b2, self.b2], dim=-1))

    def forward(self, inputs: Float[Tensor, 'E B F']) -> Float[Tensor, 'E B H']:
        """Evaluate each member on its own inputs."""
        w1, b1, w2, b2 = self.dense()
        return silu(torch.baddbmm(b2, silu(torch.baddbmm(b1, inputs, w1)), w2))

    def basis(self, hidden: Float[Tensor, 'E B H'], sign: float) -> Float[Tensor, 'E B N']:
        """
        Combine the pairs into features that keep (+1) or flip (-1) their sign in the mirror.

        :param hidden: what :meth:`forward` returned.
        :param sign: +1 or -1.
        """
        if not self.mirrored:
            return hidden
        return hidden[..., :self.free] + sign * hidden[..., self.free:]


class MirrorMlp(nn.Module):
    """
    A :class:`MirrorTrunk` with one linear output that the mirror leaves unchanged.

    The output begins at the same number for every input and member.

    :param members: E, independent networks.
    :param signs: one sign per input; -1 flips in the mirror.
    :param hidden: H, units in each of the two hidden layers.
    :param start: the output before training.
    :param generator: draws the initial weights.
    """

    def __init__(self, members: int, signs: tuple[float, ...], hidden: int, start: float,
                 generator: torch.Generator) -> None:
        """Draw the trunk; the head ignores it at first."""
        super().__init__()
        self.trunk = MirrorTrunk(members, signs, min(signs) < 0, hidden, 1.0, generator)
        self.weight = nn.Parameter(torch.zeros(members, self.trunk.free, 1))
        self.bias = nn.Parameter(torch.full((members, 1, 1), start))

    def forward(self, inputs: Float[Tensor, 'B F']) -> Float[Tensor, 'E B']:
        """Evaluate all members on one batch."""
        wide = inputs.expand(len(self.bias), -1, -1)
        even = self.trunk.basis(self.trunk(wide), 1.0)
        return torch.baddbmm(self.bias, even, self.weight).squeeze(-1)

    def expansion(self, inputs: Float[Tensor, 'B F']) -> tuple[
            Float[Tensor, 'E B'], Float[Tensor, 'E B F'], Float[Tensor, 'E B F F']]:
        """Evaluate with the gradient and the Hessian, in closed form."""
        w1, b1, w2, b2 = self.trunk.dense()
        weight = self.weight.mT
        if self.trunk.mirrored:
            weight = torch.cat([weight, weight], dim=-1)
        one, slope1, curve1 = _bent(b1 + inputs @ w1)
        two, slope2, curve2 = _bent(torch.baddbmm(b2, one, w2))
        back = (weight * slope2) @ w2.mT
        # d second layer / d inputs, E B F H
        inner = (slope1.unsqueeze(2) * w1.unsqueeze(1)) @ w2.unsqueeze(1)
        hessian = (inner * (weight * curve2).unsqueeze(2)) @ inner.mT
        first = w1.unsqueeze(1)
        hessian = hessian + (first * (back * curve1).unsqueeze(2)) @ first.mT
        out = (two @ weight.mT).squeeze(-1) + self.bias.squeeze(-1)
        return out, (back * slope1) @ w1.mT, hessian


def _bent(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return SiLU and its first two derivatives."""
    gate = torch.sigmoid(x)
    rest = gate * (1.0 - gate)
    return x * gate, gate + x * rest, rest * (2.0 + x * (1.0 - 2.0 * gate))
