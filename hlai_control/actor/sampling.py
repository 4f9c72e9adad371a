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

"""
What all sampling planners share: draw, roll out, score, move, and remember the best.

The cost may be a black box: nothing is differentiated. Nothing here waits for
the device (``searching.py``): candidates that are not finite are weighed out
instead of being cut out.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import final

from jaxtyping import Float, Int
import torch
from torch import Tensor

from hlai_control.actor.given import shifted
from hlai_control.actor.noise import shaping
from hlai_control.actor.objective import Objective
from hlai_control.actor.risk import draw_latents
from hlai_control.actor.rollout import roll_out
from hlai_control.actor.searching import AtHand, DevicePlanner, Found
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget, Plan


@dataclass(frozen=True)
class Resumed:
    """
    Where a search begins.

    :param mean: the middle of the limits, or the previous plan, moved on.
    :param elites: what the previous tick kept, moved on; N may be 0.
    """

    mean: Float[Tensor, 'T A']
    elites: Float[Tensor, 'N T A']


@dataclass(frozen=True)
class Search:
    """
    Where a search stands.

    :param mean: centre of the next candidates.
    :param std: their spread.
    :param elites: candidates kept, the best first; N may be 0.
    :param energies: of the elites.
    :param best: the best sequence so far.
    :param states: where it leads, the mean over the scenarios.
    :param least: its energy, infinite if there is none yet.
    :param rejected: how many candidates were not finite.
    """

    mean: Float[Tensor, 'T A']
    std: Float[Tensor, 'T A']
    elites: Float[Tensor, 'N T A']
    energies: Float[Tensor, ' N']
    best: Float[Tensor, 'T A']
    states: Float[Tensor, 'T1 S']
    least: Float[Tensor, '']
    rejected: Int[Tensor, '']


@dataclass(frozen=True)
class Fixed:
    """
    The numbers that never change, on the device of the search.

    :param shape: makes noise out of independent numbers, see ``noise.py``.
    """

    low: Float[Tensor, ' A']
    high: Float[Tensor, ' A']
    middle: Float[Tensor, 'T A']
    std: Float[Tensor, 'T A']
    shape: Float[Tensor, 'T M']


class SamplingPlanner(DevicePlanner):
    """
    A search by candidates: subclasses say how to draw them and where to move.

    Each refinement draws candidates around the mean, clamps them to the
    limits, scores them, and moves. The mean itself is always among them; among
    the first are also doing nothing and what the previous tick kept. The last
    mean is scored as well, and the best sequence ever scored is the plan.

    :param layout: limits of the commands.
    :param settings: horizon, numbers of candidates, noise.
    """

    def __init__(self, layout: Layout, settings: PlannerSettings) -> None:
        """Precompute the limits and the matrix that shapes the noise."""
        self.layout, self.settings = layout, settings
        low, high = torch.tensor(layout.action_low), torch.tensor(layout.action_high)
        half = 0.5 * (high - low)
        self._at_hand = AtHand(low, high, (low + half).expand(settings.horizon, -1),
                               (settings.spread * half).expand(settings.horizon, -1),
                               shaping(settings))

    @abstractmethod
    def draw(self, search: Search, count: int, noise: Float[Tensor, 'K T A']
             ) -> Float[Tensor, 'K T A']:
        """Turn noise of unit variance into candidates; limits are seen to later."""

    @abstractmethod
    def move(self, search: Search, tried: Float[Tensor, 'K T A'],
             energies: Float[Tensor, ' K']) -> Search:
        """
        Learn from scored candidates; what is not finite has infinite energy.

        :returns: the search with another mean, std, and elites.
        """

    def population(self, done: int) -> int:
        """Return K of the refinement after so many."""
        return self.settings.candidates

    @final
    def resume(self, start: Float[Tensor, ' S'], warm: Plan | None) -> Resumed:
        """Move the previous plan, and what was kept with it, on by one tick."""
        fixed, horizon = self.fixed(start), self.settings.horizon
        if warm is None:
            return Resumed(fixed.middle, fixed.middle.new_empty(0, *fixed.middle.shape))
        mean = shifted(warm.actions.to(start.dtype), horizon)
        kept = mean.new_empty(0, *mean.shape) if warm.elites is None else shifted(
            warm.elites.to(start.dtype), horizon)
        return Resumed(mean, kept)

    @final
    def fixed(self, like: Float[Tensor, '...']) -> Fixed:
        """Return what never changes, in the type and on the device of ``like``."""
        return Fixed(*self._at_hand.like(like))

    @final
    @torch.inference_mode()
    def search(self, start: Float[Tensor, ' S'], resumed: Resumed, problem: Problem,
               budget: Budget, generator: torch.Generator) -> tuple[Found, int]:
        """
        Refine without ever waiting for the device.

        :returns: the result, and how many refinements were made.
        """
        latents = draw_latents(problem, len(resumed.mean), start, generator)
        objective, fixed, done = Objective(problem, latents), self.fixed(start), 0
        search = Search(resumed.mean, fixed.std, resumed.elites[:0], start.new_empty(0),
                        resumed.mean, start.expand(len(resumed.mean) + 1, -1),
                        torch.full((), torch.inf, dtype=start.dtype, device=start.device),
                        torch.zeros((), dtype=torch.int64, device=start.device))
        progress = list[Tensor]()
        while done < budget.iterations and not (done and budget.expired()):
            given = [search.mean.unsqueeze(0)]
            if done == 0:
                given += [fixed.middle.unsqueeze(0), resumed.elites]
            tried = self._candidates(search, torch.cat(given), done, generator)
            before = search.least
            search, energies = _scored(search, start, tried, objective)
            progress.append(before if done else energies[0])
            search = self.move(search, tried, energies)
            done += 1
        search, _ = _scored(search, start, search.mean.unsqueeze(0), objective)
        progress.append(search.least)
        return Found.of(problem, search.best, search.states, progress, search.rejected,
                        elites=search.elites if len(search.elites) else None), done

    def _candidates(self, search: Search, given: Tensor, done: int,
                    generator: torch.Generator) -> Tensor:
        fixed = self.fixed(search.mean)
        count = max(self.population(done) - len(given), 0)
        white = torch.randn(count, given.shape[-1], fixed.shape.shape[1], generator=generator,
                            device=given.device, dtype=given.dtype)
        drawn = self.draw(search, count, (white @ fixed.shape.T).mT)
        return torch.clamp(torch.cat([given, drawn]), fixed.low, fixed.high)


def weighed(energies: Float[Tensor, ' K']) -> Float[Tensor, ' K']:
    """Return 1 where an energy is finite, 0 elsewhere."""
    return torch.isfinite(energies).to(energies.dtype)


def _scored(search: Search, start: Tensor, tried: Tensor,
            objective: Objective) -> tuple[Search, Tensor]:
    """Score candidates, count those that are not finite, and remember the best."""
    states = roll_out(start, tried, objective.problem.dynamics, objective.latents)
    energies = objective.energies(states, tried)
    # A slice of one instead of an index: an index would be read by the host.
    first = energies.argmin(dim=0, keepdim=True)
    least = energies.index_select(0, first)[0]
    better = least < search.least
    course = states.index_select(1, first).mean(dim=0)[0]
    return replace(
        search, best=torch.where(better, tried.index_select(0, first)[0], search.best),
        states=torch.where(better, course, search.states),
        least=torch.where(better, least, search.least),
        rejected=search.rejected + torch.isinf(energies).sum()), energies
