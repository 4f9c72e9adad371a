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
    Columns ``[sin, cos of angles, linear positions, rates, actions]``.

    :param layout: names the angles, what is invariant, and the mirror.
    :param invariant: positions to leave out, one flag each.
    :param actions: whether the actions are part of it.
    """

    def __init__(self, layout: Layout, invariant: tuple[bool, ...], actions: bool) -> None:
        """Choose the columns."""
        super().__init__()
        count = len(layout.positions)
        kept = [i for i in range(count) if not invariant[i]]
        angles = [i for i in kept if layout.angle[i]]
        linear = [i for i in kept if not layout.angle[i]] + list(range(count, 2 * count))
        self.register_buffer('angles', torch.tensor(angles, dtype=torch.long), persistent=False)
        self.register_buffer('linear', torch.tensor(linear, dtype=torch.long), persistent=False)
        signs = layout.mirror_states
        acts = layout.mirror_actions if actions else ()
        self.signs = (tuple(signs[i] for i in angles) + (1.0,) * len(angles)
                      + tuple(signs[i] for i in linear) + acts)
        # Sines and cosines need no scale, actions have their limits; the rest is measured.
        self.measured = slice(2 * len(angles), 2 * len(angles) + len(linear))
        noise = torch.tensor([layout.noise_std[i] for i in linear])
        self.register_buffer('floor', torch.nan_to_num(10.0 * noise, nan=1e-3).clamp_min(1e-3),
                             persistent=False)
        low, high = torch.tensor(layout.action_low), torch.tensor(layout.action_high)
        mean, scale = torch.zeros(len(self.signs)), torch.ones(len(self.signs))
        if actions:
            mean[self.measured.stop:] = 0.5 * (high + low)
            scale[self.measured.stop:] = 0.5 * (high - low)
        self.register_buffer('mean', mean)
        self.register_buffer('scale', scale)

    def raw(self, state: Float[Tensor, '*B S'],
            action: Float[Tensor, '*B A'] | None = None) -> Float[Tensor, '*B F']:
        """Lay out the columns, in SI units."""
        angle = state[..., self.angles]
        columns = [torch.sin(angle), torch.cos(angle), state[..., self.linear]]
        return torch.cat(columns if action is None else [*columns, action], dim=-1)

    def forward(self, state: Float[Tensor, '*B S'],
                action: Float[Tensor, '*B A'] | None = None) -> Float[Tensor, '*B F']:
        """Lay out the columns, normalised."""
        return (self.raw(state, action) - self.mean) / self.scale

    def normalise(self, mean: Float[Tensor, ' F'], square: Float[Tensor, ' F']) -> None:
        """
        Set the normalisation from running moments of the raw columns.

        Columns that flip in the mirror keep the mean 0, so that the
        symmetry stays exact; a scale never falls below ten times the noise.

        :param mean: mean of each raw column.
        :param square: mean square of each raw column.
        """
        part = self.measured
        even = torch.tensor(self.signs[part], device=mean.device) > 0
        centre = torch.where(even, mean[part], 0.0)
        variance = square[part] - 2.0 * centre * mean[part] + centre.square()
        self.mean[part] = centre
        self.scale[part] = torch.maximum(variance.clamp_min(0.0).sqrt(), self.floor)
