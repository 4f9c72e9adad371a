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

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.cem import shifted
from hlai_control.actor.noise import colouring
from hlai_control.actor.objective import Objective
from hlai_control.actor.rollout import roll_out
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import MppiSettings, PlannerSettings
from hlai_control.types import Budget, Plan


class MppiPlanner:
    """
    MPPI (Williams et al. 2017, *Information theoretic MPC*).

    Each refinement adds coloured noise to the mean sequence, clamps to the
    limits, scores, and moves the mean to the candidates' average under the
    weights exp(-(F - least F) / lambda). What the commands cost is left to
    the cost function; the paper's own quadratic term in them is not added.
    Lambda is relative: a fraction of the mean excess over the best, so that
    it needs no tuning to the cost's units. The mean itself is always among
    the candidates, and the best sequence ever scored is the plan.

    :param layout: limits of the commands.
    :param settings: horizon, number of candidates, noise.
    :param weighing: lambda.
    """

    def __init__(self, layout: Layout, settings: PlannerSettings,
                 weighing: MppiSettings | None = None) -> None:
        """Precompute the colouring matrix."""
        self._settings = settings
        self._temperature = (weighing or MppiSettings()).temperature
        self._low, self._high = layout.action_low, layout.action_high
        self._colour = colouring(settings.horizon, settings.colour)

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
        """
        objective = Objective(problem)
        low, high = start.new_tensor(self._low), start.new_tensor(self._high)
        middle = (0.5 * (low + high)).expand(self._settings.horizon, -1)
        mean = middle if warm is None else shifted(warm.actions, self._settings.horizon)
        best, least, done, rejected = mean, torch.inf, 0, 0
        while done < budget.iterations and not (done and budget.expired()):
            tried = mean + 0.5 * (high - low) * self._noise(mean, generator)
            tried[0] = mean
            if done == 0:
                tried[1] = middle
            tried = torch.clamp(tried, low, high)
            energies = objective.energies(roll_out(start, tried, problem.dynamics), tried)
            rejected += int(torch.isinf(energies).sum())
            mean, best, least = self._average(tried, energies, mean, best, least)
            done += 1
        return self._finish(start, torch.stack([mean, best]), objective, done, rejected)

    def _noise(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        white = torch.randn(self._settings.candidates, mean.shape[1], mean.shape[0],
                            generator=generator, device=mean.device, dtype=mean.dtype)
        return self._settings.spread * (white @ self._colour.to(mean).T).mT

    def _average(self, tried: Tensor, energies: Tensor, mean: Tensor, best: Tensor,
                 least: float) -> tuple[Tensor, Tensor, float]:
        finite = torch.isfinite(energies)
        if not bool(finite.any()):
            return mean, best, least
        lowest = energies.min()
        excess = energies - lowest
        scale = self._temperature * excess[finite].mean()
        # Infinite energies weigh nothing; if all are equal, so are the weights.
        weights = torch.softmax(-excess / scale.clamp_min(torch.finfo(scale.dtype).tiny), dim=0)
        if float(lowest) < least:
            best, least = tried[energies.argmin()], float(lowest)
        return torch.tensordot(weights, tried, dims=1), best, least

    def _finish(self, start: Tensor, tried: Tensor, objective: Objective, done: int,
                rejected: int) -> Plan:
        """Take the mean, unless a candidate was better than it."""
        states = roll_out(start, tried, objective.problem.dynamics)
        energies = objective.energies(states, tried)
        chosen = int(energies.argmin())
        if not bool(torch.isfinite(energies[chosen])):
            raise PlanError(f'none of {rejected} candidates has a finite energy; hold the safe '
                            'command and check state, world model and critic')
        return Plan(actions=tried[chosen].clone(), states=states[:, chosen].mean(dim=0),
                    energy=float(energies[chosen]), iterations=done, rejected=rejected,
                    anticipated=objective.anticipated(states[:, chosen]))
