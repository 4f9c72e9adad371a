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
The augmented Lagrangian of a problem with constraints, as a problem without them.

Planners know nothing of it: see ``carried.py`` for how each step finds its own
multipliers.
"""

from dataclasses import dataclass, replace

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.carried import CarriedDynamics, split
from hlai_control.actor.objective import gradient_and_hessian
from hlai_control.protocols import (
    bends_constraints,
    bends_cost,
    bends_value,
    ConstraintFunction,
    CostFunction,
    Problem,
    ValueFunction,
)
from hlai_control.types import Plan

# Bound of the multipliers: what grows beyond it belongs to no feasible problem.
_LARGEST = 1e6


@dataclass(frozen=True)
class Penalty:
    """
    Sum over constraints of (max(0, lambda + w g)^2 - lambda^2) / (2 w).

    Nocedal and Wright 2006, *Numerical Optimization*, section 17.4, with the
    slack variables eliminated (Bertsekas 1982); along trajectories as in
    Howell, Jackson and Manchester 2019, *ALTRO*. Like a stage cost it is
    discounted, so discount^t lambda[t] is the sensitivity of F at step t.

    :param constraints: g, at most 0 where satisfied.
    :param multipliers: lambda[t] >= 0.
    :param counts: 1 where a constraint counts, 0 elsewhere: a plan cannot
        change the state at which it begins, nor is there a command at its end.
    :param weight: w > 0.
    """

    constraints: ConstraintFunction
    multipliers: Float[Tensor, 'T1 G']
    counts: Float[Tensor, 'T1 G']
    weight: float

    def of(self, carried: Float[Tensor, '*B N'],
           action: Float[Tensor, '*B A']) -> Float[Tensor, '*B G']:
        """
        Return each constraint's part.

        :param carried: state, last command, and time.
        """
        state, last, time = split(carried, action.shape[-1])
        now = time.round().long().clamp(0, len(self.multipliers) - 1)
        found = self.constraints.values(state, action, last)
        multipliers = self.multipliers[now]
        pushed = torch.relu(multipliers + self.weight * found)
        # NaN times 0 is NaN: it never counts as satisfied.
        return (self.counts[now] * (pushed.square() - multipliers.square())
                / (2.0 * self.weight))

    def expansion(self, carried: Float[Tensor, 'B N'], action: Float[Tensor, 'B A']
                  ) -> tuple[Float[Tensor, 'B M'], Float[Tensor, 'B M M']]:
        """
        Differentiate the sum of the parts; the Hessian is that of Gauss and Newton.

        :returns: gradient and Hessian with regard to carried state and action.
        """
        size, width = action.shape[-1], carried.shape[-1]
        if not bends_constraints(self.constraints):
            return gradient_and_hessian(
                lambda both: self.of(both[..., :width], both[..., width:]).sum(dim=-1),
                torch.cat([carried, action], dim=-1))
        state, last, time = split(carried, size)
        now, own = time.round().long().clamp(0, len(self.multipliers) - 1), state.shape[-1]
        found, by = (measure(state, action, last) for measure in (
            self.constraints.values, self.constraints.slopes))
        slopes = torch.cat([by[..., :own], by[..., own + size:], torch.zeros_like(by[..., :1]),
                            by[..., own:own + size]], dim=-1)
        pushed = self.counts[now] * torch.relu(self.multipliers[now] + self.weight * found)
        bent = self.weight * (pushed > 0.0).to(slopes).unsqueeze(-1) * slopes
        return (pushed.unsqueeze(-2) @ slopes)[:, 0], slopes.mT @ bent

    def measured(self, plan: Plan) -> Float[Tensor, 'T1 G']:
        """
        Measure each constraint along a plan; -inf where it does not count, inf for NaN.

        :param plan: with carried states.
        """
        state, last, _ = split(plan.states, plan.actions.shape[-1])
        action = torch.cat([plan.actions, plan.actions[-1:]])
        found = self.constraints.values(state, action, last).nan_to_num(nan=torch.inf)
        return torch.where(self.counts > 0.0, found, -torch.inf)

    def residual(self, found: Float[Tensor, 'T1 G']) -> float:
        """Greatest violation, or slack that its multiplier denies; 0 at the optimum."""
        return float(torch.maximum(found, -self.multipliers / self.weight).abs().max())

    def updated(self, found: Float[Tensor, 'T1 G'], growth: float,
                heaviest: float) -> 'Penalty':
        """
        Move the multipliers by what was found: lambda = max(0, lambda + w g).

        :param growth: factor on the weight.
        :param heaviest: greatest weight.
        """
        moved = torch.clamp(self.multipliers + self.weight * found, 0.0, _LARGEST)
        return replace(self, multipliers=moved, weight=min(growth * self.weight, heaviest))


@dataclass(frozen=True)
class PenalisedCost:
    """A cost with the penalty on top."""

    inner: CostFunction
    penalty: Penalty

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms, then those of the constraints."""
        return (*self.inner.names, *self.penalty.constraints.names)

    def terms(self, state: Float[Tensor, '*B N'],
              action: Float[Tensor, '*B A']) -> Float[Tensor, '*B C']:
        """Return all terms; those of constraints may be negative."""
        own = split(state, action.shape[-1])[0]
        return torch.cat([self.inner.terms(own, action), self.penalty.of(state, action)], dim=-1)

    def stage(self, state: Float[Tensor, '*B N'],
              action: Float[Tensor, '*B A']) -> Float[Tensor, ' *B']:
        """Sum the terms."""
        own = split(state, action.shape[-1])[0]
        return self.inner.stage(own, action) + self.penalty.of(state, action).sum(dim=-1)

    def expansion(self, state: Float[Tensor, 'B N'], action: Float[Tensor, 'B A']
                  ) -> tuple[Float[Tensor, 'B M'], Float[Tensor, 'B M M']]:
        """Differentiate :meth:`stage` twice; M = N + A."""
        own, size = split(state, action.shape[-1])[0], action.shape[-1]
        width = own.shape[-1]
        if bends_cost(self.inner):
            slope, bend = self.inner.expansion(own, action)
        else:
            slope, bend = gradient_and_hessian(
                lambda both: self.inner.stage(both[..., :width], both[..., width:]),
                torch.cat([own, action], dim=-1))
        gradient, hessian = self.penalty.expansion(state, action)
        for at in (slice(0, width), slice(-size, None)):
            gradient[:, at] += slope[:, at]
            for other in (slice(0, width), slice(-size, None)):
                hessian[:, at, other] += bend[:, at, other]
        return gradient, hessian


@dataclass(frozen=True)
class PenalisedValue:
    """A critic with the penalty of the last state on top."""

    inner: ValueFunction
    penalty: Penalty
    actions: int

    def value(self, state: Float[Tensor, '*B N']) -> Float[Tensor, ' *B']:
        """Anticipate the cost."""
        own, last, _ = split(state, self.actions)
        return self.inner.value(own) + self.penalty.of(state, last).sum(dim=-1)

    def expansion(self, state: Float[Tensor, 'B N']
                  ) -> tuple[Float[Tensor, 'B N'], Float[Tensor, 'B N N']]:
        """Differentiate :meth:`value` twice."""
        own, last, _ = split(state, self.actions)
        slope, bend = self.inner.expansion(own) if bends_value(
            self.inner) else gradient_and_hessian(self.inner.value, own)
        # What counts at the end looks at the state alone: the action's rows are zero.
        found, bent = self.penalty.expansion(state, last)
        gradient, hessian = found[:, :state.shape[-1]], bent[:, :state.shape[-1], :state.shape[-1]]
        gradient[:, :own.shape[-1]] += slope
        hessian[:, :own.shape[-1], :own.shape[-1]] += bend
        return gradient, hessian


def penalised(problem: Problem, penalty: Penalty, actions: int) -> Problem:
    """
    Return the problem of carried states that no longer has constraints.

    :param actions: A.
    """
    critic = problem.critic
    return replace(
        problem, constraints=None, previous=None,
        dynamics=CarriedDynamics(problem.dynamics),
        cost=PenalisedCost(problem.cost, penalty),
        critic=None if critic is None else PenalisedValue(critic, penalty, actions))


def counting(constraints: ConstraintFunction, horizon: int,
             like: Tensor) -> Float[Tensor, 'T1 G']:
    """
    Say which constraint counts at which step, see :class:`Penalty`.

    :param like: has the type and the device that are wanted.
    """
    of_state = like.new_tensor(constraints.of_state)
    step = torch.arange(horizon + 1, dtype=like.dtype, device=like.device).unsqueeze(-1)
    return torch.where(of_state > 0.0, step > 0, step < horizon).to(like)
