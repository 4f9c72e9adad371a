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

"""The averaging planner: model predictive path integral control; the cost may be a black box."""

from dataclasses import replace

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.sampling import SamplingPlanner, Search, weighed
from hlai_control.layout import Layout
from hlai_control.settings import MppiSettings, PlannerSettings


class MppiPlanner(SamplingPlanner):
    """
    MPPI (Williams et al. 2017, *Information theoretic MPC*).

    Each refinement moves the mean to the candidates' average under the
    weights exp(-(F - least F) / lambda); the spread stays. What the commands
    cost is left to the cost function; the paper's own quadratic term in them
    is not added. Lambda is relative: a fraction of the mean excess over the
    best, so that it needs no tuning to the cost's units.

    :param layout: limits of the commands.
    :param settings: horizon, number of candidates, noise.
    :param weighing: lambda.
    """

    def __init__(self, layout: Layout, settings: PlannerSettings,
                 weighing: MppiSettings | None = None) -> None:
        """Keep lambda."""
        super().__init__(layout, settings)
        self._temperature = (weighing or MppiSettings()).temperature

    def draw(self, search: Search, count: int, noise: Float[Tensor, 'K T A']
             ) -> Float[Tensor, 'K T A']:
        """Spread noise around the mean."""
        return search.mean + search.std * noise

    def move(self, search: Search, tried: Float[Tensor, 'K T A'],
             energies: Float[Tensor, ' K']) -> Search:
        """Move the mean to the weighted average; infinite energies weigh nothing."""
        finite = weighed(energies)
        count = finite.sum()
        excess = torch.where(finite > 0.0, energies - energies.min(), 0.0)
        scale = self._temperature * excess.sum() / count.clamp_min(1.0)
        # If all are equal, so are the weights.
        weights = finite * torch.exp(-excess / scale.clamp_min(torch.finfo(scale.dtype).tiny))
        mean = torch.tensordot(weights / weights.sum().clamp_min(1.0), tried, dims=1)
        return replace(search, mean=mean.where(count > 0.0, search.mean))
