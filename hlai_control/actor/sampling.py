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
the device: a search is made of tensors alone, candidates that are not finite
are weighed out instead of being cut out, and all numbers are read at once when
the search is over. ``captured.py`` runs a whole search as one CUDA graph.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import final

from jaxtyping import Float, Int
import torch
from torch import Tensor

from hlai_control.actor.given import check, shifted
from hlai_control.actor.noise import shaping
from hlai_control.actor.objective import Objective
from hlai_control.actor.risk import draw_latents
from hlai_control.actor.rollout import roll_out
from hlai_control.errors import PlanError
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
class Found:
    """
    What a search came to, still on its device.

    :param numbers: anticipated value, rejected candidates, then the energy
        before the first refinement and after each, P in all; float64.
    :param gains: feedback, see :class:`Plan`; None if there is none.
    """

    actions: Float[Tensor, 'T A']
    states: Float[Tensor, 'T1 S']
    elites: Float[Tensor, 'N T A']
    numbers: Float[Tensor, ' P']
    gains: Float[Tensor, 'T A S'] | None = None


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


class SamplingPlanner(ABC):
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
        self._fixed = Fixed(low, high, (low + half).expand(settings.horizon, -1),
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
    @torch.inference_mode()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``, refining until the budget is spent.

        :param start: state at the moment the first command takes effect.
        :param problem: its cost need not be differentiable.
        :param warm: the previous tick's plan, not yet shifted.
        :param generator: on the device of ``start``.
        :raises PlanError: if no candidate has a finite energy.
        :raises ShapeError: if axes or devices do not fit together.
        """
        check(self.layout, start, problem, warm, generator)
        found, done = self.search(start, self.resume(start, warm), problem, budget, generator)
        return to_plan(found, done)

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
        held = self._fixed
        if held.low.dtype != like.dtype or held.low.device != like.device:
            self._fixed = Fixed(*(part.to(like) for part in (
                held.low, held.high, held.middle, held.std, held.shape)))
        return self._fixed

    @final
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
        return _found(search, problem, progress), done

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


def to_plan(found: Found, done: int) -> Plan:
    """
    Hand a result over: the one place where the host waits for the device.

    :param done: refinements made.
    :raises PlanError: if no candidate has a finite energy.
    """
    anticipated, rejected, *progress = found.numbers.tolist()
    least = progress[-1]
    if not least < torch.inf:
        raise PlanError(f'none of {int(rejected)} candidates has a finite energy; hold the safe '
                        'command and check state, world model and critic')
    return Plan(actions=found.actions.clone(), states=found.states.clone(), energy=least,
                anticipated=anticipated, iterations=done, rejected=int(rejected),
                gains=None if found.gains is None else found.gains.clone(),
                elites=found.elites.clone() if len(found.elites) else None,
                progress=tuple(progress))


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


def _found(search: Search, problem: Problem, progress: list[Tensor]) -> Found:
    last = search.states[-1]
    anticipated = search.least.new_zeros(()) if problem.critic is None else (
        problem.critic.value(last))
    numbers = torch.stack([part.double() for part in (
        anticipated, search.rejected, *progress, search.least)])
    return Found(search.best, search.states, search.elites, numbers)
