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

"""The seams of the engine on one page; axis letters as in ``types``."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, runtime_checkable, TypeGuard

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.settings import RiskSettings
from hlai_control.types import Budget, Estimate, Outcomes, Plan


@runtime_checkable
class Estimator(Protocol):
    """Perception: sensors -> s[t] with uncertainty."""

    def predict(self, action: Float[Tensor, ' A'] | None = None) -> Estimate:
        """Move the belief one control period ahead, this command in effect; None: not known."""

    def correct(self, measured: Float[Tensor, ' S']) -> Estimate:
        """Fold in one measurement; NaN marks a coordinate not measured."""


@runtime_checkable
class Dynamics(Protocol):
    """World model: s[t+1] = G(s[t], a[t], z[t]) for each ensemble member."""

    @property
    def members(self) -> int:
        """E, the number of ensemble members."""

    @property
    def latent_size(self) -> int:
        """Z, the number of components of z, N(0, I) a priori."""

    def step(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B S']:
        """
        Predict one control period ahead.

        ``z=None`` is z = 0: of several modes the most probable one, without noise.
        """


@runtime_checkable
class Decoder(Protocol):
    """World models that say in closed form what z may lead to; see ``world_model/energy.py``."""

    def outcomes(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A']) -> Outcomes:
        """List each mode's probability, mean and standard deviation."""


@runtime_checkable
class Trajectories(Protocol):
    """
    World models that may do more than a step per call, with z = 0; not all do.

    Scenarios G are the members, or one: the mean of the members' next states.
    """

    def whole(self, like: Tensor, count: int) -> bool:
        """Tell whether they do it, here and now, for ``count`` sequences like this tensor."""

    def follow(self, start: Float[Tensor, ' S'], base: Float[Tensor, 'K T A'],
               reference: Float[Tensor, 'G T S'], gains: Float[Tensor, 'G T A S'],
               closed: Float[Tensor, ' K'], low: Float[Tensor, ' A'], high: Float[Tensor, ' A']
               ) -> tuple[Float[Tensor, 'K T A'], Float[Tensor, 'G K T1 S']]:
        """
        Roll out ``base + closed * sum over G of gains (s - reference)``, within the limits.

        States may also be carried ones (``actor/carried.py``), so that feedback sees the last
        command: then the command and the time are taken along.

        :returns: the commands given, and the states that follow.
        """

    def linearise(self, states: Float[Tensor, 'G T S'],
                  actions: Float[Tensor, 'T A']) -> Float[Tensor, 'G T S N']:
        """Differentiate each step with regard to state and action; N = S + A."""


@runtime_checkable
class CostFunction(Protocol):
    """Cost: f[t] = C(s[t], a[t]); differentiable, and nothing in it is learned."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the C terms."""

    def terms(self, state: Float[Tensor, '*B S'],
              action: Float[Tensor, '*B A']) -> Float[Tensor, '*B C']:
        """Weighted terms, each at least zero, per control period."""

    def stage(self, state: Float[Tensor, '*B S'],
              action: Float[Tensor, '*B A']) -> Float[Tensor, ' *B']:
        """Sum of the terms."""


@runtime_checkable
class ExpandableCost(CostFunction, Protocol):
    """Costs that know their derivatives; those of others are found by reverse passes."""

    def expansion(self, state: Float[Tensor, 'B S'], action: Float[Tensor, 'B A']
                  ) -> tuple[Float[Tensor, 'B N'], Float[Tensor, 'B N N']]:
        """Return the gradient and the Hessian of ``stage``; N = S + A."""


@runtime_checkable
class ValueFunction(Protocol):
    """Critic: V(s) ~ expected discounted future cost from s on."""

    def value(self, state: Float[Tensor, '*B S']) -> Float[Tensor, ' *B']:
        """Anticipate the cost."""


@runtime_checkable
class PolicyFunction(Protocol):
    """Policy: a[t] = P(s[t]), within the limits; what planning would answer, without planning."""

    def action(self, state: Float[Tensor, '*B S']) -> Float[Tensor, '*B A']:
        """Answer states."""


@runtime_checkable
class ConstraintFunction(Protocol):
    """What a plan must keep to: g(s[t], a[t], a[t-1]) <= 0; nothing in it is learned."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the G constraints."""

    @property
    def units(self) -> tuple[float, ...]:
        """Sizes of a value of 1, each in its constraint's own unit."""

    @property
    def of_state(self) -> tuple[bool, ...]:
        """Which look at the state alone: they count from s[1] to s[T], others from a[0] on."""

    def values(self, state: Float[Tensor, '*B S'], action: Float[Tensor, '*B A'],
               previous: Float[Tensor, '*B A']) -> Float[Tensor, '*B G']:
        """Measure each, of order one, above 0 where it is violated."""


@runtime_checkable
class ExpandableConstraints(ConstraintFunction, Protocol):
    """Constraints that know their derivatives; those of others are found by reverse passes."""

    def slopes(self, state: Float[Tensor, 'B S'], action: Float[Tensor, 'B A'],
               previous: Float[Tensor, 'B A']) -> Float[Tensor, 'B G M']:
        """Return the Jacobian of ``values``; M = S + 2 A, in the order of the arguments."""


@runtime_checkable
class ExpandableValue(ValueFunction, Protocol):
    """Critics that know their derivatives; those of others are found by reverse passes."""

    def expansion(self, state: Float[Tensor, 'B S']
                  ) -> tuple[Float[Tensor, 'B S'], Float[Tensor, 'B S S']]:
        """Return the gradient and the Hessian of ``value``."""


@dataclass(frozen=True)
class Problem:
    """
    What a plan minimises: F = sum over t < T of discount^t C(s[t], a[t]) + discount^T V(s[T]).

    :param dynamics: the world model, which says where the commands lead.
    :param cost: the cost C.
    :param critic: terminal value V; None: the stage cost of the last state
        under the last command, its lower bound.
    :param discount: weight of the next control period, 0 .. 1.
    :param risk: over which scenarios F is averaged: by default over the
        members, z at its mode.
    :param constraints: what the plan must keep to, see
        ``actor/constrained.py``.
    :param previous: the command sent last, for constraints on its rate; None:
        the first command of the previous plan, zero without one.
    """

    dynamics: Dynamics
    cost: CostFunction
    critic: ValueFunction | None
    discount: float
    risk: RiskSettings = RiskSettings()
    constraints: ConstraintFunction | None = None
    previous: Float[Tensor, ' A'] | None = None


@runtime_checkable
class Planner(Protocol):
    """Actor: argmin over a[0..T-1] of the energy F = sum of C + V."""

    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``, refining until the budget is spent.

        :param start: state at the moment the first command takes effect.
        :param problem: what to minimise.
        :param warm: the previous tick's plan, not yet shifted.
        :raises PlanError: if no candidate has a finite energy.
        """


def follows(part: object) -> TypeGuard[Trajectories]:
    """Tell whether a world model may do more than a step per call."""
    return _has(part, 'whole', 'follow', 'linearise')


def decodes(part: object) -> TypeGuard[Decoder]:
    """Tell whether a world model says in closed form what z may lead to."""
    return _has(part, 'outcomes')


def bends_cost(part: object) -> TypeGuard[ExpandableCost]:
    """Tell whether a cost knows its derivatives."""
    return _has(part, 'terms', 'stage', 'expansion')


def bends_value(part: object) -> TypeGuard[ExpandableValue]:
    """Tell whether a critic knows its derivatives."""
    return _has(part, 'value', 'expansion')


def bends_constraints(part: object) -> TypeGuard[ExpandableConstraints]:
    """Tell whether constraints know their derivatives."""
    return _has(part, 'values', 'slopes')


def _has(part: object, *names: str) -> bool:
    kind: Any = type(part)
    return _of_kind(kind, names)


@cache
def _of_kind(kind: Any, names: tuple[str, ...]) -> bool:
    # isinstance looks at every attribute of a protocol anew: a twentieth of a plan's time.
    return all(hasattr(kind, name) for name in names)
