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

"""The cross-entropy method, as in the textbook."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from hlai_control.actor.sampling import SamplingPlanner, Search, weighed
from hlai_control.layout import Layout
from hlai_control.settings import CemSettings, PlannerSettings


class CemPlanner(SamplingPlanner):
    """
    CEM (Rubinstein 1999; as a planner: Chua et al. 2018, section 5).

    Mean and std move to those of the elites of this refinement alone, but for
    some momentum, and each tick begins with the full spread around the
    previous plan. The noise is whatever the settings name; the textbook's is
    white, ``colour = 0``.

    :param layout: limits of the commands.
    :param settings: horizon, numbers of candidates, noise.
    :param moving: momentum.
    """

    def __init__(self, layout: Layout, settings: PlannerSettings,
                 moving: CemSettings | None = None) -> None:
        """Keep the momentum."""
        super().__init__(layout, settings)
        self._momentum = (moving or CemSettings()).momentum

    def draw(self, search: Search, count: int, noise: Float[Tensor, 'K T A']
             ) -> Float[Tensor, 'K T A']:
        """Spread noise around the mean."""
        return search.mean + search.std * noise

    def move(self, search: Search, tried: Float[Tensor, 'K T A'],
             energies: Float[Tensor, ' K']) -> Search:
        """Move to the mean and the std of the elites."""
        best = energies.topk(min(self.settings.elites, len(energies)), largest=False)
        mean, std = moments(search, tried.index_select(0, best.indices), best.values)
        return replace(search, mean=mean.lerp(search.mean, self._momentum),
                       std=std.lerp(search.std, self._momentum))


def moments(search: Search, elites: Float[Tensor, 'N T A'], energies: Float[Tensor, ' N']
            ) -> tuple[Float[Tensor, 'T A'], Float[Tensor, 'T A']]:
    """
    Mean and std of the elites whose energy is finite; the search's own if there are not two.

    :param energies: of the elites; infinite ones weigh nothing.
    """
    finite = weighed(energies)[:, None, None]
    count = finite.sum()
    mean = (finite * elites).sum(dim=0) / count.clamp_min(1.0)
    square = (finite * (elites - mean).square()).sum(dim=0)
    std = (square / (count - 1.0).clamp_min(1.0)).sqrt()
    enough = count >= 2.0
    return mean.where(enough, search.mean), std.where(enough, search.std)
