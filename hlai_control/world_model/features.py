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


"""What a network sees of a state: angles as sine and cosine, invariant positions not at all."""

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.layout import Layout


class Features(nn.Module):
    """
    Columns ``[sin and cos of angles, linear coordinates]``, the latter normalised.

    :param layout: names the angles and the mirror.
    :param coordinates: indices of the state coordinates to be seen.
    """

    angles: Tensor
    linear: Tensor
    even: Tensor
    floor: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, layout: Layout, coordinates: tuple[int, ...]) -> None:
        """Choose the columns."""
        super().__init__()
        count = len(layout.positions)
        angles = [i for i in coordinates if i < count and layout.angle[i]]
        linear = [i for i in coordinates if i not in angles]
        self.register_buffer('angles', torch.tensor(angles, dtype=torch.long), persistent=False)
        self.register_buffer('linear', torch.tensor(linear, dtype=torch.long), persistent=False)
        signs = layout.mirror_states
        self.signs = (tuple(signs[i] for i in angles) + (1.0,) * len(angles)
                      + tuple(signs[i] for i in linear))
        # Columns that flip in the mirror are centred at zero, so that it stays exact.
        even = torch.tensor([signs[i] > 0 for i in linear], dtype=torch.bool)
        self.register_buffer('even', even, persistent=False)
        noise = torch.tensor([layout.noise_std[i] for i in linear])
        self.register_buffer('floor', torch.nan_to_num(10.0 * noise, nan=1e-3).clamp_min(1e-3),
                             persistent=False)
        self.register_buffer('mean', torch.zeros(len(linear)))
        self.register_buffer('scale', torch.ones(len(linear)))

    def forward(self, state: Float[Tensor, '*B S']) -> Float[Tensor, '*B F']:
        """Lay out the columns."""
        angle = state[..., self.angles]
        linear = (state[..., self.linear] - self.mean) / self.scale
        return torch.cat([torch.sin(angle), torch.cos(angle), linear], dim=-1)

    def expansion(self, state: Float[Tensor, 'B S']) -> tuple[
            Float[Tensor, 'B F'], Float[Tensor, 'B F S'], Float[Tensor, 'B F S']]:
        """
        Differentiate the columns twice; each looks at one coordinate.

        :returns: the columns, d column / d coordinate, and the second derivatives.
        """
        columns, turns = self(state), len(self.angles)
        slopes = columns.new_zeros(*columns.shape, state.shape[-1])
        curves = torch.zeros_like(slopes)
        for row, coordinate in enumerate(self.angles.tolist()):
            sine, cosine = columns[:, row], columns[:, turns + row]
            slopes[:, row, coordinate], slopes[:, turns + row, coordinate] = cosine, -sine
            curves[:, row, coordinate], curves[:, turns + row, coordinate] = -sine, -cosine
        rows = torch.arange(2 * turns, columns.shape[1], device=state.device)
        slopes[:, rows, self.linear] = 1.0 / self.scale
        return columns, slopes, curves

    def normalise(self, mean: Float[Tensor, ' S'], square: Float[Tensor, ' S']) -> None:
        """
        Set the normalisation from running moments of the state.

        A scale never falls below ten times the noise.

        :param mean: mean of each state coordinate.
        :param square: mean square of each state coordinate.
        """
        centre = torch.where(self.even, mean[self.linear], 0.0)
        variance = square[self.linear] - 2.0 * centre * mean[self.linear] + centre.square()
        self.mean.copy_(centre)
        self.scale.copy_(torch.maximum(variance.clamp_min(0.0).sqrt(), self.floor))
