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

"""The planners that are compared: this package's own, and what stands below them all."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.adjoint import AdjointPlanner
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.icem import IcemPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.layout import Layout
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import DdpSettings, HybridSettings, PlannerSettings
from hlai_control.types import Budget, Plan

REFERENCE = 'CEM 2000 x 5'
SUBJECT = 'hybrid'
KINDS = ('own', 'peer', 'baseline')


@dataclass(frozen=True)
class Competitor:
    """
    One planner and the effort that it may take.

    :param name: in results.
    :param kind: one of ``KINDS``.
    :param make: makes it for a robot and a horizon.
    :param warm: iterations of a plan with a previous one; 0: no closed loop.
    :param cold: iterations of a plan without one.
    :param most: greatest budget of iterations from a cold start.
    :param settings: what a reader must know, in a few words.
    """

    name: str
    kind: str
    make: Callable[[Layout, int], Planner]
    warm: int
    cold: int
    most: int
    settings: str


class Idle:
    """Does nothing."""

    def __init__(self, layout: Layout, horizon: int) -> None:
        """Find the middle of the limits."""
        self._middle = _middle(layout).expand(horizon, -1)

    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """Return the middle of the limits."""
        return plan_of(self._middle, start)


class Chance:
    """Commands at random, uniform within the limits."""

    def __init__(self, layout: Layout, horizon: int) -> None:
        """Keep the limits."""
        self._middle, self._horizon = _middle(layout), horizon
        self._half = torch.tensor(layout.action_high) - self._middle

    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """Draw commands."""
        draw = torch.rand(self._horizon, len(self._half), generator=generator)
        return plan_of(self._middle + (2.0 * draw - 1.0) * self._half, start)


def plan_of(actions: Float[Tensor, 'T A'], start: Float[Tensor, ' S']) -> Plan:
    """Wrap bare commands; what they cost is found out by who compares them."""
    return Plan(actions=actions, states=start.expand(len(actions) + 1, -1), energy=float('nan'),
                anticipated=0.0, iterations=1, rejected=0)


def own() -> tuple[Competitor, ...]:
    """List this package's planners and the baselines; the reference is the first."""
    def sampling(horizon: int, candidates: int = 128, elites: int = 24) -> PlannerSettings:
        return PlannerSettings(horizon=horizon, candidates=candidates, elites=elites)
    lean = HybridSettings(samples=8)
    # What all others minimise: the mean of the members' energies, not the energy of their mean.
    each = DdpSettings(merge=False)
    return (
        Competitor(REFERENCE, 'own', lambda layout, horizon: CemPlanner(
            layout, sampling(horizon, 2000, 100)), 5, 5, 5,
            '2000 candidates, 100 elites, coloured noise'),
        Competitor(SUBJECT, 'own', lambda layout, horizon: HybridPlanner(
            layout, sampling(horizon), lean, each), 1, 12, 64,
            '8 proposals (56 when cold), then second-order steps; 1 per tick'),
        Competitor('DDP', 'own', lambda layout, horizon: DdpPlanner(layout, horizon, each),
                   1, 12, 64, 'no proposals; 1 step per tick'),
        Competitor('adjoint', 'own', lambda layout, horizon: AdjointPlanner(layout, horizon),
                   4, 40, 128, 'L-BFGS on costates; 4 steps per tick'),
        Competitor('iCEM', 'own', lambda layout, horizon: IcemPlanner(layout, sampling(horizon)),
                   3, 5, 64, '128 candidates x 3 per tick'),
        Competitor('MPPI', 'own', lambda layout, horizon: MppiPlanner(layout, sampling(horizon)),
                   3, 5, 64, '128 candidates x 3 per tick'),
        Competitor('do nothing', 'baseline', Idle, 1, 1, 1, 'the middle of the limits'),
        Competitor('random', 'baseline', Chance, 1, 1, 1, 'uniform within the limits'))


def _middle(layout: Layout) -> Tensor:
    return 0.5 * (torch.tensor(layout.action_low) + torch.tensor(layout.action_high))
