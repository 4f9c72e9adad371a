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


"""The sampling planner: cross-entropy method with warm start, coloured noise and kept elites."""

from dataclasses import dataclass

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.noise import colouring
from hlai_control.actor.rollout import energy, roll_out
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget, Plan

# Least spread after a refinement, as a fraction of the spread before it.
_SHRINK = 0.8


@dataclass(frozen=True)
class _Search:
    """Where the search stands: its distribution and the best candidates so far."""

    mean: Float[Tensor, 'T A']
    std: Float[Tensor, 'T A']
    elites: Float[Tensor, 'N T A']
    energies: Float[Tensor, ' N']
    rejected: int


class CemPlanner:
    """
    iCEM (Pinneri et al. 2020) over the commands of one horizon.

    Each refinement draws candidates around the mean, clamps them to the
    limits, scores them, and moves mean and spread to the elites of all
    refinements so far; the best sequence ever scored is the plan. The mean
    itself and doing nothing are always among the first candidates, and so is
    the previous plan, moved on by one tick.

    :param layout: limits of the commands.
    :param settings: horizon, numbers of candidates, noise.
    """

    def __init__(self, layout: Layout, settings: PlannerSettings) -> None:
        """Precompute limits and the colouring matrix."""
        self._settings = settings
        self._low = torch.tensor(layout.action_low)
        self._high = torch.tensor(layout.action_high)
        self._colour = colouring(settings.horizon, settings.colour)
        # Half use all of the spread, half down to a twentieth of it: wide enough to swing
        # up, fine enough to balance, without knowing which is called for.
        scale = torch.logspace(-1.3, 1.3, settings.candidates).clamp_max(1.0)
        self._scale = scale[:, None, None]

    @torch.inference_mode()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``, refining until the budget is spent.

        :param start: state at the moment the first command takes effect.
        :param warm: the previous tick's plan, not yet shifted.
        :param generator: on the device of ``start``.
        :raises PlanError: if no candidate has a finite energy.
        """
        search = self._begin(start, warm)
        done = 0
        while done < budget.iterations and not (done and budget.expired()):
            candidates = self._draw(search, first=done == 0, generator=generator)
            energies = self.score(start, candidates, problem)
            search = self._refine(search, candidates, energies)
            done += 1
        return self._finish(start, search, done, problem)

    def score(self, start: Float[Tensor, ' S'], candidates: Float[Tensor, 'K T A'],
              problem: Problem) -> Float[Tensor, ' K']:
        """
        Energies of action sequences; infinite where anything is not finite.

        :param start: state at the moment the first command takes effect.
        :param candidates: action sequences within the limits.
        """
        states = roll_out(start, candidates, problem.dynamics)
        found = energy(states, candidates, problem)
        return torch.where(torch.isfinite(found), found, torch.inf)

    def _begin(self, start: Tensor, warm: Plan | None) -> _Search:
        self._low, self._high = self._low.to(start.device), self._high.to(start.device)
        self._colour = self._colour.to(start.device)
        self._scale = self._scale.to(start.device)
        horizon = self._settings.horizon
        half = 0.5 * (self._high - self._low)
        middle = (self._low + half).expand(horizon, -1)
        mean = middle if warm is None else shifted(warm.actions, horizon)
        return _Search(mean=mean, std=(self._settings.spread * half).expand(horizon, -1),
                       elites=start.new_empty(0, *mean.shape),
                       energies=start.new_empty(0), rejected=0)

    def _draw(self, search: _Search, first: bool, generator: torch.Generator) -> Tensor:
        horizon, size = search.mean.shape
        white = torch.randn(self._settings.candidates, size, horizon, generator=generator,
                            device=search.mean.device)
        noise = (white @ self._colour.T).mT
        drawn = search.mean + search.std * noise * self._scale
        drawn[0] = search.mean
        if first:
            drawn[1] = 0.5 * (self._low + self._high)
        return torch.minimum(torch.maximum(drawn, self._low), self._high)

    def _refine(self, search: _Search, candidates: Tensor, energies: Tensor) -> _Search:
        pool = torch.cat([search.elites, candidates])
        scores = torch.cat([search.energies, energies])
        best = scores.topk(self._settings.elites, largest=False)
        elites = pool[best.indices]
        rejected = search.rejected + int(torch.isinf(energies).sum())
        finite = torch.isfinite(best.values)
        if not bool(finite.all()):
            elites = elites[finite]
        if len(elites) < 2:
            return _Search(search.mean, search.std, elites, best.values[finite], rejected)
        # The elites of fine candidates lie close together long before the search is over.
        std = torch.maximum(elites.std(dim=0), _SHRINK * search.std)
        return _Search(elites.mean(dim=0), std, elites, best.values[finite], rejected)

    def _finish(self, start: Tensor, search: _Search, done: int, problem: Problem) -> Plan:
        if not len(search.elites):
            raise PlanError(f'none of {search.rejected} candidates has a finite energy; '
                            'hold the safe command and check state, world model and critic')
        actions = search.elites[0]
        states = roll_out(start, actions.unsqueeze(0), problem.dynamics).mean(dim=0)[0]
        critic = problem.critic
        anticipated = 0.0 if critic is None else float(critic.value(states[-1]))
        return Plan(actions=actions.clone(), states=states, energy=float(search.energies[0]),
                    anticipated=anticipated, iterations=done, rejected=search.rejected)


def shifted(actions: Float[Tensor, 'N A'], horizon: int) -> Float[Tensor, 'T A']:
    """
    Move a plan on by one tick and repeat its last command to fill the horizon.

    :param actions: the previous tick's commands.
    :param horizon: T, the length wanted.
    """
    rest = actions[1:horizon + 1] if len(actions) > 1 else actions
    return torch.cat([rest, rest[-1:].expand(horizon - len(rest), -1)])
