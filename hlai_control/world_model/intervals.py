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

"""Predictive intervals several steps ahead, calibrated by what then happened."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Bool, Float
import torch
from torch import Tensor

from hlai_control.errors import ShapeError
from hlai_control.layout import Layout
from hlai_control.protocols import Dynamics
from hlai_control.world_model.steps import turning, wrapped

# Keep a spread that rounding brought to zero from making an interval of no width.
_TINY = 1e-9


class Forecast(NamedTuple):
    """
    What the samples say of each horizon.

    :param mean: centre of the samples.
    :param std: their standard deviation.
    """

    mean: Float[Tensor, 'H S']
    std: Float[Tensor, 'H S']


@torch.no_grad()
def forecast(dynamics: Dynamics, start: Float[Tensor, ' S'], actions: Float[Tensor, 'T A'],
             horizons: Sequence[int], draws: int, generator: torch.Generator) -> Forecast:
    """
    Roll members and draws of z ahead under known commands.

    :param actions: at least as many as the longest horizon.
    :param horizons: steps ahead at which to look, 1 or more each.
    :param draws: sequences of z per member.
    :raises ShapeError: if there are too few actions for the longest horizon.
    """
    if not horizons or min(horizons) < 1 or max(horizons) > len(actions):
        raise ShapeError(f'horizons {tuple(horizons)} with {len(actions)} actions; valid: at '
                         'least one, each from 1 to the number of actions')
    state = start.expand(dynamics.members, draws, -1)
    seen = {}
    for step in range(max(horizons)):
        z = torch.randn(dynamics.members, draws, dynamics.latent_size, generator=generator,
                        dtype=start.dtype, device=start.device)
        state = dynamics.step(state, actions[step].expand(draws, -1), z)
        seen[step + 1] = state.flatten(0, 1)
    samples = torch.stack([seen[one] for one in horizons])
    return Forecast(samples.mean(dim=1), samples.std(dim=1))


class Intervals:
    """
    Symmetric intervals ``mean +- scale * std``, one scale per horizon and coordinate.

    After each outcome ``log scale += rate * (miss - (1 - level))``: online
    gradient descent on the pinball loss of the log score (Gibbs and Candes
    2021, *Adaptive conformal inference under distribution shift*). The sum
    telescopes, so that whatever the data are, the share of misses over n
    outcomes differs from 1 - level by ``|log(scale_n / scale_0)| / (rate n)``.

    :param layout: the robot; errors of its angles are wrapped.
    :param horizons: H of them.
    :param level: share of outcomes to cover, within 0 .. 1.
    :param rate: step size; larger follows changes faster, and is less even.
    """

    def __init__(self, layout: Layout, horizons: Sequence[int], level: float = 0.9,
                 rate: float = 0.1) -> None:
        """Begin with the scale that is right for Gaussian samples."""
        count = len(layout.positions)
        self._turns = turning(layout)
        self._miss, self._rate = 1.0 - level, rate
        normal = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(0.5 + 0.5 * level))
        self.scale = normal.repeat(len(horizons), 2 * count)

    def covers(self, predicted: Forecast, scale: Float[Tensor, 'H S'],
               outcome: Float[Tensor, 'H S']) -> Bool[Tensor, 'H S']:
        """
        Tell which outcomes lie within their intervals; one that is not a number does not.

        :param scale: as it was when the prediction was made.
        """
        error = wrapped(outcome - predicted.mean, self._turns)
        return error.abs() <= scale * predicted.std.clamp_min(_TINY)

    def learn(self, covered: Bool[Tensor, 'H S']) -> None:
        """Widen what missed, narrow what covered."""
        self.scale = self.scale * torch.exp(self._rate * ((~covered).float() - self._miss))
