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


"""The one network shape that all learners share: a small MLP that knows its mirror symmetry."""

from jaxtyping import Float
import torch
from torch import nn, Tensor
from torch.nn.functional import silu


class MirrorMlp(nn.Module):
    """
    E independent MLPs with two SiLU hidden layers, exactly mirror equivariant.

    Flipping the inputs whose sign is -1 flips exactly the outputs whose sign
    is -1. Hidden units come in pairs which the mirror swaps (the regular
    representation of the two-element group: Cohen and Welling 2016, *Group
    equivariant convolutional networks*), so half of each dense matrix is
    free and the other half is its mirror image. Evaluation costs the same
    as without the symmetry; nothing has to be learned twice. With no sign
    of -1 the same layers are ordinary dense ones.

    :param members: E.
    :param signs_in: one sign per input; -1 flips in the mirror.
    :param signs_out: one sign per output.
    :param hidden: H, units per hidden layer; rounded up to an even number.
    :param generator: draws the initial weights, uniform in +-1/sqrt(fan in).
    """

    def __init__(self, members: int, signs_in: tuple[float, ...], signs_out: tuple[float, ...],
                 hidden: int, generator: torch.Generator) -> None:
        """Draw the initial weights."""
        super().__init__()
        self.mirrored = min(signs_in + signs_out) < 0
        pairs = 2 if self.mirrored else 1
        width = -(-hidden // pairs)
        full, inputs, outputs = width * pairs, len(signs_in), len(signs_out)
        self.register_buffer('sign_in', torch.tensor(signs_in).unsqueeze(-1), persistent=False)
        self.register_buffer('sign_out', torch.tensor(signs_out), persistent=False)
        self.register_buffer('even_out', (torch.tensor(signs_out) > 0).float(), persistent=False)

        def draw(rows: int, columns: int, fan_in: int) -> nn.Parameter:
            uniform = torch.rand(members, rows, columns, generator=generator)
            return nn.Parameter((2.0 * uniform - 1.0) * fan_in ** -0.5)

        self.w1, self.b1 = draw(inputs, width, inputs), draw(1, width, inputs)
        self.w2, self.b2 = draw(full, width, full), draw(1, width, full)
        self.w3, self.b3 = draw(width, outputs, full), draw(1, outputs, full)

    def dense(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """
        Assemble the full matrices from their free halves.

        :returns: w1 (E F H), b1 (E 1 H), w2 (E H H), b2 (E 1 H), w3 (E H O), b3 (E 1 O).
        """
        if not self.mirrored:
            return self.w1, self.b1, self.w2, self.b2, self.w3, self.b3
        half = self.w2.shape[-1]
        return (torch.cat([self.w1, self.w1 * self.sign_in], dim=-1),
                torch.cat([self.b1, self.b1], dim=-1),
                torch.cat([self.w2, self.w2.roll(half, dims=-2)], dim=-1),
                torch.cat([self.b2, self.b2], dim=-1),
                torch.cat([self.w3, self.w3 * self.sign_out], dim=-2),
                self.b3 * self.even_out)

    def forward(self, inputs: Float[Tensor, 'E B F']) -> Float[Tensor, 'E B O']:
        """Evaluate each member on its own inputs."""
        w1, b1, w2, b2, w3, b3 = self.dense()
        hidden = silu(torch.baddbmm(b1, inputs, w1))
        hidden = silu(torch.baddbmm(b2, hidden, w2))
        return torch.baddbmm(b3, hidden, w3)
