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

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.ddp import Course, DdpPlanner, Descent, follow, Refined, to_plan
from hlai_control.actor.given import check
from hlai_control.actor.noise import colouring, shaping, splining
from hlai_control.actor.objective import Objective
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import DdpSettings, HybridSettings, PlannerSettings
from hlai_control.types import Budget, Plan

# Without a previous plan: proposals before the first refinement, and refinements of their best
# before all others are proposed.
_FIRST, _LEAD = 16, 1
# Refinements that each of the others gets, and by how many times what its last one gained it
# may be behind to get more.
_TRIAL, _HOPE = 1, 4.0
# Control points of wide splines, and the spectrum's exponent where commands are at the limits.
_KNOTS, _COLOUR = 4, 3.0
# How many times as long as proposing a refinement takes; how many plans in a row may do without.
_LONGER, _PATIENCE = 1.3, 4
# Share of the proposals with feedback of rates whose sign is turned.
_BRAKING = 0.25


class HybridPlanner:
    """
    Sampling looks for the right valley, second-order steps go to its floor.

    With a previous plan, proposals are this plan, followed with its feedback
    gains and moved on by one tick, the same without the gains, doing nothing,
    and the first of these with noise, from a twentieth of its spread to all
    of it; the best is refined by :class:`DdpPlanner`.

    Without one, half of the noise is of that kind, a quarter switches between
    the limits, and a quarter is splines as wide as the limits: near an unstable
    equilibrium little is wanted, and from rest only what is large moves a
    mass. In both cases ``swings`` of them feed the rates back, along a random
    direction and by a tenth to ten times the half range per unit of speed,
    beside a spline that sets them in motion: bounded feedback of a rate pumps
    energy or takes it away (Astrom and Furuta 2000, *Swinging up a pendulum by
    energy control*), which open-loop noise seldom does in step with a swing.
    A few proposals come first, so that there is a plan at once, and
    their best is refined; then come all others, and the best of these get
    some refinements each. Each further one goes to the least energy of those
    that may still win.

    Where there is a previous plan, and on a busy machine no time is left to
    refine, the best proposal is the plan: better a little worse than too late.

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
        self._splines = splining(settings.horizon, _KNOTS)
        self._pushes = colouring(settings.horizon, _COLOUR)

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
        began = budget.left()
        objective = self._ddp.objective(problem, start, generator)
        start = start.clone()
        if warm is None:
            return self._explore(start, objective, budget, generator)
        courses, rejected = self._ddp.proposals(
            start, warm, objective, self._around(self._proposing.samples, start, generator), 1)
        swung, lost = self._swung(start, objective, generator, 1)
        courses = sorted(courses + swung, key=lambda one: one.energy)
        rejected += lost
        if not courses:
            raise _nothing(rejected)
        left = budget.left()
        if left < _LONGER * (began - left) and warm.unrefined < _PATIENCE:
            best = Refined(courses[0], 0, 0, (courses[0].energy,))
            return replace(to_plan(best, objective, rejected), unrefined=warm.unrefined + 1)
        return to_plan(self._ddp.refine(courses[0], objective, budget), objective, rejected)

    def _explore(self, start: Tensor, objective: Objective, budget: Budget,
                 generator: torch.Generator) -> Plan:
        """Find the best of several valleys, without a previous plan."""
        counts = [min(_FIRST, self._proposing.cold_samples)]
        counts.append(self._proposing.cold_samples - counts[0])
        pool, made, energies, rejected = list[Descent](), list[int](), list[float](), 0
        while len(energies) <= budget.iterations and not (
                len(energies) > 1 and budget.expired()):
            at = _next(pool, made)
            if counts and (at is None or len(energies) > _LEAD):
                # A second batch of none would try nothing new.
                courses, lost = self._wide(counts.pop(0), start, objective, generator,
                                           self._proposing.starts if pool else 1)
                counts = [count for count in counts if count]
                pool += [self._ddp.begin(course, objective) for course in courses]
                made += [0] * len(courses)
                rejected += lost
                energies[-1:] = [min(one.course.energy for one in pool)] if pool else []
            elif at is None:
                break
            else:
                pool[at] = self._ddp.step(pool[at], objective)
                made[at] += 1
                energies.append(min(one.course.energy for one in pool))
        if not pool:
            raise _nothing(rejected)
        return to_plan(Refined(
            min((one.course for one in pool), key=lambda one: one.energy), len(energies) - 1,
            sum(one.rejected for one in pool), tuple(energies)), objective, rejected)

    def _wide(self, count: int, start: Tensor, objective: Objective, generator: torch.Generator,
              most: int) -> tuple[list[Course], int]:
        """Propose what the previous plan would otherwise: see the class."""
        low, high = self._ddp.limits(start)
        wide, quarter = 0.5 * min(1.0, 2.0 * self._spread) * (high - low), count // 4
        courses, lost = self._ddp.proposals(start, None, objective, torch.cat([
            self._around(count - 2 * quarter, start, generator),
            wide * _noise(self._pushes, quarter, start, len(wide), generator).sign(),
            wide * _noise(self._splines, quarter, start, len(wide), generator)]), most)
        swung, more = self._swung(start, objective, generator, most)
        return sorted(courses + swung, key=lambda one: one.energy)[:most], lost + more

    def _swung(self, start: Tensor, objective: Objective, generator: torch.Generator,
               most: int) -> tuple[list[Course], int]:
        """Propose what feeds the rates back, see the class; the best first, and how many fail."""
        count, horizon = self._proposing.swings, self._ddp.horizon
        if not count:
            return [], 0
        low, high = self._ddp.limits(start)
        half, rates = 0.5 * (high - low), len(start) // 2

        def draw(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=start.device, dtype=start.dtype)
        base = 0.5 * (low + high) + half * draw(count, 1, 1) * _noise(
            self._splines, count, start, len(half), generator)
        way = 2.0 * draw(len(half), rates) - 1.0
        way = half[:, None] * way / way.norm(dim=1, keepdim=True)
        gains = torch.cat([torch.zeros_like(way), way], dim=1).expand(
            objective.scenarios, horizon, -1, -1) / objective.scenarios
        sign = torch.where(draw(count) < _BRAKING, -1.0, 1.0).to(start)
        actions, states = follow(
            start, base, start.new_zeros(objective.scenarios, horizon, len(start)), gains,
            sign * 10.0 ** (2.0 * draw(count) - 1.0), (low, high), objective)
        energies = objective.energies(states, actions)
        finite = int(torch.isfinite(energies).sum())
        order = torch.argsort(energies, stable=True)[:min(finite, most)].tolist()
        return [Course(actions[i], states[:, i], float(energies[i]))
                for i in order], count - finite

    def _around(self, count: int, start: Tensor, generator: torch.Generator) -> Tensor:
        """Draw small to moderate noise."""
        low, high = self._ddp.limits(start)
        scale = torch.logspace(-1.3, 0.0, count).to(start)
        coloured = _noise(self._shape, count, start, len(low), generator)
        return self._spread * scale[:, None, None] * 0.5 * (high - low) * coloured


def _next(pool: list[Descent], made: list[int]) -> int | None:
    """Say whose turn it is: newcomers first, then the least energy of those that may yet win."""
    alive = [at for at, one in enumerate(pool) if not one.ended]
    newcomers = [at for at in alive if made[at] < _TRIAL]
    if newcomers:
        return newcomers[0]
    least = min((one.course.energy for one in pool), default=0.0)
    able = [at for at in alive
            if pool[at].course.energy - _HOPE * pool[at].gained <= least]
    return min(able, key=lambda at: pool[at].course.energy, default=None)


def _noise(shape: Tensor, count: int, like: Tensor, size: int,
           generator: torch.Generator) -> Float[Tensor, 'K T A']:
    white = torch.randn(count, size, shape.shape[1], generator=generator, device=like.device,
                        dtype=like.dtype)
    return (white @ shape.to(like).T).mT


def _nothing(rejected: int) -> PlanError:
    return PlanError(f'none of {rejected} proposals has a finite energy; hold the safe '
                     'command and check state, world model and critic')
