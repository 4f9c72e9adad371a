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

"""The improved cross-entropy method: elites are kept, and the population falls."""

from dataclasses import replace

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.cem import moments
from hlai_control.actor.sampling import SamplingPlanner, Search
from hlai_control.layout import Layout
from hlai_control.settings import IcemSettings, PlannerSettings


class IcemPlanner(SamplingPlanner):
    """
    iCEM (Pinneri et al. 2020, *Sample-efficient CEM for real-time planning*).

    A fraction of the elites is kept for the next refinement and, moved on by
    one tick, for the next plan; the mean is among the candidates; their number
    falls from refinement to refinement; the noise is coloured; the best
    sequence is executed, not the mean.

    Two things differ. The mean is tried in every refinement, for under a
    deadline nobody knows which is the last. And half of the candidates use all
    of the spread, the others down to a twentieth of it, while the spread falls
    slowly: wide enough to swing up and fine enough to balance, without
    knowing which is called for.

    :param layout: limits of the commands.
    :param settings: horizon, numbers of candidates, noise.
    :param keeping: what is kept from refinement to refinement.
    """

    def __init__(self, layout: Layout, settings: PlannerSettings,
                 keeping: IcemSettings | None = None) -> None:
        """Say how many are kept."""
        super().__init__(layout, settings)
        self._keeping = keeping or IcemSettings()
        self._kept = round(self._keeping.kept * settings.elites)

    def population(self, done: int) -> int:
        """Return K, falling by the decay, but never below twice the elites."""
        fallen = int(self.settings.candidates * self._keeping.decay ** -done)
        return min(self.settings.candidates, max(fallen, 2 * self.settings.elites))

    def draw(self, search: Search, count: int, noise: Float[Tensor, 'K T A']
             ) -> Float[Tensor, 'K T A']:
        """Spread noise around the mean, from all of the std down to a twentieth."""
        scale = torch.logspace(-1.3, 1.3, count, dtype=noise.dtype, device=noise.device)
        return search.mean + search.std * scale.clamp_max(1.0)[:, None, None] * noise

    def move(self, search: Search, tried: Float[Tensor, 'K T A'],
             energies: Float[Tensor, ' K']) -> Search:
        """Move to the elites of these candidates and of what was kept."""
        pool = torch.cat([search.elites, tried])
        scores = torch.cat([search.energies, energies])
        best = scores.topk(min(self.settings.elites, len(scores)), largest=False)
        elites = pool.index_select(0, best.indices)
        mean, std = moments(search, elites, best.values)
        # The elites of fine candidates lie close together long before the search is over.
        std = torch.maximum(std, self._keeping.shrink * search.std)
        return replace(search, mean=mean, std=std, elites=elites[:self._kept],
                       energies=best.values[:self._kept])
