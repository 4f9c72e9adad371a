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

"""Planning within constraints: any planner, on the augmented Lagrangian."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.carried import CarriedLayout, split
from hlai_control.actor.given import check, last_command, shifted
from hlai_control.actor.lagrangian import counting, penalised, Penalty
from hlai_control.actor.rollout import energy, roll_out
from hlai_control.actor.stride import unshifted
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import ConstraintFunction, Planner, Problem
from hlai_control.settings import ConstraintSettings
from hlai_control.types import Budget, Plan

# The weight grows where a round leaves more than the first fraction of the violation, unless its
# last refinement gained more than the last fraction of the penalty: then more of them will do.
_PROGRESS, _GROWTH, _IDLE = 0.25, 10.0, 0.01
# It grows up to this multiple of the first.
_HEAVIEST = 1e3
# At the greatest weight, less progress than this means that there is no feasible plan.
_STUCK = 0.9


@dataclass(frozen=True)
class _Round:
    """
    What one round came to.

    :param plan: of the penalised problem, its states carried.
    :param measured: the constraints along it.
    :param energy: without the penalty.
    """

    plan: Plan
    measured: Float[Tensor, 'T1 G']
    energy: float

    def idle(self, left: float, weight: float) -> bool:
        """
        Tell whether the last refinement gained little beside what is still violated.

        Searches by samples never come to rest, and still only weight helps.

        :param left: the violation.
        :param weight: of its square, halved.
        """
        energies = self.plan.progress
        return len(energies) > 1 and (
            energies[-2] - energies[-1] < _IDLE * 0.5 * weight * left ** 2)

    def rank(self, tolerance: float) -> tuple[float, float]:
        """Order rounds: the least violation first, then the least energy."""
        worst = float(self.measured.max())
        return (worst if worst > tolerance else 0.0, self.energy)


class ConstrainedPlanner:
    """
    Method of multipliers around any planner (Nocedal and Wright 2006, algorithm 17.4).

    Round by round the planner refines a plan of the augmented Lagrangian
    (``lagrangian.py``), from where the round before left it; then the
    multipliers move by what is violated, and the weight grows where that was
    too little. The best plan of all rounds is the answer: that which violates
    least, and of those that keep to all constraints the one of least energy.
    The plan carries its multipliers; the next tick begins with them, moved on
    by one step. Without constraints, the planner itself is asked.

    States are judged where the plan predicts them, the mean over the
    scenarios, at whole planning steps. A planner that follows each scenario
    by itself has each pay for its own violation; where they disagree by more
    than a constraint leaves room for, it may find no plan that one on the mean
    does (``ddp.merge``).

    :param layout: the robot.
    :param horizon: T.
    :param make: makes the planner, for a robot that this class extends.
    :param settings: weight, refinements per round, tolerance.
    """

    def __init__(self, layout: Layout, horizon: int, make: Callable[[Layout], Planner],
                 settings: ConstraintSettings | None = None) -> None:
        """Make the planner twice: without and with constraints."""
        self._layout, self._horizon = layout, horizon
        self._settings = settings or ConstraintSettings()
        self._free = make(layout)
        self._inner = make(CarriedLayout(**vars(layout)))

    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``, refining until the budget is spent.

        :param start: state at the moment the first command takes effect.
        :param problem: what to minimise, and what to keep to.
        :param warm: the previous tick's plan, not yet shifted.
        :param budget: of the refinements of all rounds together.
        :param generator: on the device of ``start``.
        :raises PlanError: if no candidate has a finite energy.
        """
        if problem.constraints is None:
            return self._free.plan(start, problem, warm, budget, generator)
        check(self._layout, start, problem, warm, generator)
        return self._constrained(start, problem, problem.constraints, warm, budget, generator)

    @torch.inference_mode(False)
    @torch.no_grad()
    def _constrained(self, start: Tensor, problem: Problem, constraints: ConstraintFunction,
                     warm: Plan | None, budget: Budget, generator: torch.Generator) -> Plan:
        penalty = self._penalty(constraints, start, warm)
        last = last_command(start, problem, warm, self._layout.action_size)
        carried = torch.cat([start, last, start.new_zeros(1)])
        before = None if warm is None else _carried(warm)
        best: _Round | None = None
        heaviest = _HEAVIEST * penalty.weight
        spent, rejected, residual, patience = 0, 0, float('inf'), self._settings.refinements
        while best is None or spent < budget.iterations and not budget.expired():
            share = min(patience, budget.iterations - spent)
            try:
                found = self._round(carried, problem, penalty, before,
                                    replace(budget, iterations=share), generator)
            except PlanError:
                if best is None:
                    raise
                break  # there is a plan, of a round before
            spent, rejected = spent + found.plan.iterations, rejected + found.plan.rejected
            tolerance = self._settings.tolerance
            if best is None or found.rank(tolerance) < best.rank(tolerance):
                best = found
            rested, left = found.plan.iterations < share, penalty.residual(found.measured)
            stuck = penalty.weight >= heaviest and left > _STUCK * residual
            slow = left > max(_PROGRESS * residual, tolerance) and (
                rested or found.idle(left, penalty.weight))
            penalty = penalty.updated(found.measured, _GROWTH if slow else 1.0, heaviest)
            if found.plan.unrefined or rested and (stuck or left <= tolerance):
                break
            patience += not rested
            before, residual = unshifted(found.plan), left
        return self._finish(best, penalty, problem, spent, rejected)

    def _penalty(self, constraints: ConstraintFunction, start: Tensor,
                 warm: Plan | None) -> Penalty:
        counts = counting(constraints, self._horizon, start)
        multipliers = torch.zeros_like(counts)
        if warm is not None and warm.multipliers is not None:
            if warm.multipliers.shape[1] == counts.shape[1]:
                multipliers = counts * shifted(warm.multipliers, self._horizon + 1)
        return Penalty(constraints, multipliers, counts, self._settings.weight)

    def _round(self, carried: Tensor, problem: Problem, penalty: Penalty, before: Plan | None,
               budget: Budget, generator: torch.Generator) -> _Round:
        size = self._layout.action_size
        plan = self._inner.plan(carried, penalised(problem, penalty, size), before, budget,
                                generator)
        # What the members pay as penalty is not what their mean would: F is found anew.
        actions = plan.actions.unsqueeze(0)
        states = roll_out(split(carried, size)[0].clone(), actions, problem.dynamics)
        return _Round(plan, penalty.measured(plan), float(energy(states, actions, problem)[0]))

    def _finish(self, best: _Round, penalty: Penalty, problem: Problem, spent: int,
                rejected: int) -> Plan:
        plan, names = best.plan, penalty.constraints.names
        own = split(plan.states, self._layout.action_size)[0].clone()
        worst = int(best.measured.max(dim=0).values.argmax())
        value = float(best.measured[:, worst].max())
        missed = value > self._settings.tolerance
        return replace(
            plan, states=own, energy=best.energy, iterations=spent, rejected=rejected,
            anticipated=0.0 if problem.critic is None else float(problem.critic.value(own[-1])),
            gains=None if plan.gains is None else plan.gains[..., :own.shape[-1]].clone(),
            multipliers=penalty.multipliers,
            violation=value * penalty.constraints.units[worst] if missed else 0.0,
            violated=names[worst] if missed else '')


def _carried(plan: Plan) -> Plan:
    """Give the states of the previous tick's plan their last commands, and this tick's time."""
    rows, size = len(plan.states), plan.actions.shape[-1]
    last = torch.cat([plan.actions[:1], plan.actions])[:rows]
    time = torch.arange(-1, rows - 1, dtype=last.dtype, device=last.device)
    gains = None if plan.gains is None else torch.nn.functional.pad(plan.gains, (0, size + 1))
    return replace(plan, states=torch.cat([plan.states, last, time.unsqueeze(-1)], dim=-1),
                   gains=gains)
