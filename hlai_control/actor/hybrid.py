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

"""The hybrid planner: a few proposals, the best of them refined by second-order steps."""

from dataclasses import replace
from itertools import accumulate

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.ddp import Course, DdpPlanner, Refined, to_plan
from hlai_control.actor.given import check
from hlai_control.actor.noise import shaping
from hlai_control.actor.objective import Objective
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import DdpSettings, HybridSettings, PlannerSettings
from hlai_control.types import Budget, Plan


class HybridPlanner:
    """
    Sampling looks for the right valley, second-order steps go to its floor.

    Proposals are the previous plan, followed with its feedback gains and moved
    on by one tick, the same without the gains, doing nothing, and the first
    of these with coloured noise, from a twentieth of its spread to all of it.
    The best is refined by :class:`DdpPlanner`; without a previous plan some
    more are, sharing the budget, and the best of the results is the plan.

    :param layout: limits of the commands.
    :param settings: horizon and noise.
    :param proposing: numbers of proposals.
    :param refining: of the second-order steps.
    """

    def __init__(self, layout: Layout, settings: PlannerSettings,
                 proposing: HybridSettings | None = None,
                 refining: DdpSettings | None = None) -> None:
        """Precompute the matrix that shapes the noise."""
        self._proposing = proposing or HybridSettings()
        self._ddp = DdpPlanner(layout, settings.horizon, refining)
        self._spread = settings.spread
        self._shape = shaping(settings)
        # From a twentieth of the spread to all of it; to make these anew takes 0.5 ms.
        self._scale = {count: torch.logspace(-1.3, 0.0, count) for count in (
            self._proposing.samples, self._proposing.cold_samples)}

    @torch.inference_mode(False)
    @torch.no_grad()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``, refining until the budget is spent or nothing is gained.

        :param start: state at the moment the first command takes effect.
        :param warm: the previous tick's plan, not yet shifted.
        :param budget: one iteration is one second-order step.
        :param generator: on the device of ``start``.
        :raises PlanError: if no proposal has a finite energy.
        :raises ShapeError: if axes or devices do not fit together.
        """
        check(self._ddp.layout, start, problem, warm, generator)
        objective = self._ddp.objective(problem, start, generator)
        count = self._proposing.cold_samples if warm is None else self._proposing.samples
        courses, rejected = self._ddp.proposals(
            start.clone(), warm, objective, self._noise(count, start, generator),
            self._proposing.starts if warm is None else 1)
        if not courses:
            raise PlanError(f'none of {rejected} proposals has a finite energy; hold the safe '
                            'command and check state, world model and critic')
        return to_plan(self._refine(courses, objective, budget), objective, rejected)

    def _noise(self, count: int, start: Tensor, generator: torch.Generator) -> Tensor:
        low, high = self._ddp.limits(start)
        white = torch.randn(count, len(low), self._shape.shape[1], generator=generator,
                            device=start.device, dtype=start.dtype)
        scale = self._scale[count].to(start)
        coloured = (white @ self._shape.to(start).T).mT
        return self._spread * scale[:, None, None] * 0.5 * (high - low) * coloured

    def _refine(self, courses: list[Course], objective: Objective, budget: Budget) -> Refined:
        """Share the budget: first all get a part of it, then the best gets the rest."""
        if len(courses) == 1:
            return self._ddp.refine(courses[0], objective, budget)
        share = replace(budget, iterations=max(1, budget.iterations // (len(courses) + 1)))
        results = [self._ddp.refine(courses[0], objective, share)]
        for course in courses[1:]:
            if sum(one.iterations for one in results) < budget.iterations:
                if not budget.expired():
                    results.append(self._ddp.refine(course, objective, share))
        best = min(results, key=lambda one: one.course.energy)
        left = budget.iterations - sum(one.iterations for one in results)
        if left > 0 and not budget.expired():
            results.append(self._ddp.refine(best.course, objective,
                                            replace(budget, iterations=left)))
        return Refined(min((one.course for one in results), key=lambda one: one.energy),
                       sum(one.iterations for one in results),
                       sum(one.rejected for one in results),
                       # The best of all so far, as one refinement after the other was made.
                       tuple(accumulate((courses[0].energy, *(
                           energy for one in results for energy in one.progress[1:])), min)))
