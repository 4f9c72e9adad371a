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

"""The gradient planner: the plan as constrained optimisation, with its costates written out."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Float64
import numpy as np
import torch
from torch import Tensor

from hlai_control.actor.given import check, shifted
from hlai_control.actor.objective import array, Objective, Slopes
from hlai_control.actor.risk import draw_latents
from hlai_control.actor.rollout import advance, energy, roll_out
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import AdjointSettings
from hlai_control.types import Budget, Plan

Array = np.ndarray

# Armijo: accept a step that keeps this share of the fall that the slope promises.
ARMIJO = 1e-4
# A slope this small, as a fraction of the energy per half range of the commands, is none.
FLAT = 1e-9


@dataclass(frozen=True)
class Costates:
    """
    The multipliers of a trajectory's constraints, and the gradient they give.

    :param multipliers: lambda[t] of L, see :func:`lagrangian`, at t = 0 .. T;
        that of t = 0 belongs to the constraint s[0] = start.
    :param gradient: d F / d a.
    """

    multipliers: Float[Tensor, 'E T1 S']
    gradient: Float[Tensor, 'T A']

    @property
    def sensitivity(self) -> Float[Tensor, 'E T1 S']:
        """D F / d s[t], if the state were moved there and followed its course: -lambda[t]."""
        return -self.multipliers


def lagrangian(states: Float[Tensor, 'E T1 S'], actions: Float[Tensor, 'T A'],
               multipliers: Float[Tensor, 'E T1 S'], objective: Objective) -> Float[Tensor, '']:
    """
    L = F(s, a) + sum over t of lambda[t+1]' (s[t+1] - G(s[t], a[t])).

    F is the discounted sum of costs and the terminal value, averaged over
    the scenarios. States and actions are independent here: where L is flat in
    the states and the multipliers, its slope in the actions is that of F.

    :param states: any states, not only those that follow from the actions.
    """
    gap = states[:, 1:] - advance(states[:, :-1], actions, objective.problem.dynamics,
                                  objective.latents)
    total = energy(states.unsqueeze(1), actions.unsqueeze(0), objective.problem)[0]
    return total + (multipliers[:, 1:] * gap).sum()


def costates(states: Float[Tensor, 'E T1 S'], actions: Float[Tensor, 'T A'],
             objective: Objective) -> Costates:
    """
    Run the adjoint equations backwards along a trajectory.

    Kelley 1960, *Gradient theory of optimal flight paths*; Bryson 1961; in
    the form of LeCun 1988, *A theoretical framework for back-propagation*:
    d L / d s[t] = 0 gives
    ``lambda[t] = (dG/ds[t])' lambda[t+1] - dC/ds[t]``, from
    ``lambda[T] = -dV/ds[T]``, and then
    ``dF/da[t] = dC/da[t] - sum over E of (dG/da[t])' lambda[t+1]``.

    :param states: what follows from the actions.
    """
    multipliers, gradient = recursion(objective.slopes(states, actions))
    return Costates(torch.from_numpy(multipliers).to(actions),
                    torch.from_numpy(gradient).to(actions))


def recursion(slopes: Slopes) -> tuple[Float64[Array, 'E T1 S'], Float64[Array, 'T A']]:
    """
    Do the arithmetic of :func:`costates` in numpy, where small steps are quick.

    :returns: multipliers and gradient.
    """
    members, horizon, size, _ = slopes.jacobian.shape
    multipliers = np.empty((members, horizon + 1, size))
    gradient = slopes.gradient[:, :, size:].sum(axis=0)
    gradient[-1] += slopes.last_gradient[:, size:].sum(axis=0)
    multipliers[:, horizon] = -slopes.last_gradient[:, :size]
    for t in range(horizon - 1, -1, -1):
        back = (multipliers[:, t + 1, None] @ slopes.jacobian[:, t])[:, 0]
        multipliers[:, t] = back[:, :size] - slopes.gradient[:, t, :size]
        gradient[t] -= back[:, size:].sum(axis=0)
    return multipliers, gradient


@dataclass(frozen=True)
class _Point:
    """Where the search stands; each member's states under the actions."""

    actions: Tensor
    states: Tensor
    energy: float


class AdjointPlanner:
    """
    Descent along the costates' gradient, within the limits.

    The direction is L-BFGS's (Nocedal and Wright 2006, algorithm 7.4) over
    the commands that are free to move; a command at a limit that the
    gradient pushes against stays (projected quasi-Newton: Bertsekas 1982).
    All step sizes are rolled out as one batch; the best of them that meets
    Armijo's rule is taken, and if none does, the memory is forgotten.

    :param layout: limits of the commands.
    :param horizon: T.
    :param settings: memory and step sizes.
    """

    def __init__(self, layout: Layout, horizon: int,
                 settings: AdjointSettings | None = None) -> None:
        """Keep the limits."""
        self._settings = settings or AdjointSettings()
        self._layout, self._horizon = layout, horizon
        self._low, self._high = np.array(layout.action_low), np.array(layout.action_high)
        self._half = 0.5 * (self._high - self._low)

    @torch.inference_mode(False)
    @torch.no_grad()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``, refining until the budget is spent or nothing is gained.

        :param start: state at the moment the first command takes effect.
        :param warm: the previous tick's plan, not yet shifted.
        :param generator: draws z, if the problem's risk asks for it.
        :raises PlanError: if neither the previous plan nor doing nothing has
            a finite energy.
        :raises ShapeError: if axes or devices do not fit together.
        """
        check(self._layout, start, problem, warm, generator)
        objective = Objective(problem, draw_latents(problem, self._horizon, start, generator))
        point, rejected = self._begin(start.clone(), warm, objective)
        done, pairs = 0, list[tuple[Array, Array]]()
        slope, previous, energies = None, None, list[float]()
        while done < budget.iterations and not (done and budget.expired()):
            done += 1
            energies.append(point.energy)
            if slope is None:
                slope = recursion(objective.slopes(point.states, point.actions))[1] * self._half
                if not np.isfinite(slope).all():
                    break
                pairs = self._remembered(pairs, previous, point, slope)
            step = self._direction(point, slope, pairs)
            if -np.vdot(step, slope) <= FLAT * (abs(point.energy) + FLAT):
                break
            better, lost = self._search(point, step, slope, objective)
            rejected += lost
            if better is not None:
                previous, point, slope = (point, slope), better, None
            elif pairs:
                pairs = []
            else:
                break
        return Plan(actions=point.actions.clone(), states=point.states.mean(dim=0),
                    energy=point.energy, anticipated=objective.anticipated(point.states),
                    iterations=done, rejected=rejected, progress=(*energies, point.energy))

    def _begin(self, start: Tensor, warm: Plan | None,
               objective: Objective) -> tuple[_Point, int]:
        middle = torch.from_numpy(self._low + self._half).to(start).expand(self._horizon, -1)
        first = [middle] if warm is None else [shifted(warm.actions, self._horizon), middle]
        actions = torch.stack([one.clone() for one in first])
        point, lost = _best(start, actions, objective)
        if point is None:
            raise PlanError(f'none of {lost} first trajectories has a finite energy; hold the '
                            'safe command and check state, world model and critic')
        return point, lost

    def _remembered(self, pairs: list[tuple[Array, Array]],
                    previous: tuple[_Point, Array] | None, point: _Point,
                    slope: Array) -> list[tuple[Array, Array]]:
        # Steps and what they changed, in units of the half range; only of positive curvature.
        if previous is None:
            return pairs
        moved = array(point.actions - previous[0].actions) / self._half
        changed = slope - previous[1]
        if np.vdot(moved, changed) <= 1e-10 * np.vdot(changed, changed):
            return pairs
        return [*pairs, (moved, changed)][-self._settings.memory:]

    def _direction(self, point: _Point, slope: Array,
                   pairs: list[tuple[Array, Array]]) -> Array:
        actions = array(point.actions)
        stuck = ((actions <= self._low) & (slope > 0)) | ((actions >= self._high) & (slope < 0))
        free = np.where(stuck, 0.0, 1.0)
        step = -free * two_loops(slope * free, [(s * free, y * free) for s, y in pairs])
        if -np.vdot(step, slope) <= 0.0:
            step = -free * slope
        # The first step of all knows no scale: a full one moves some command by its half range.
        return step if pairs else step / max(np.abs(step).max(), 1e-300)

    def _search(self, point: _Point, step: Array, slope: Array,
                objective: Objective) -> tuple[_Point | None, int]:
        """Roll out all step sizes at once; the best that meets Armijo's rule, if any does."""
        now = array(point.actions)
        # One size beyond the quasi-Newton step: it is too short where curvature falls.
        sizes = 2.0 * 0.5 ** np.arange(self._settings.step_sizes)[:, None, None]
        tried = np.clip(now + sizes * step * self._half, self._low, self._high)
        promised = ((tried - now) / self._half * slope).sum(axis=(1, 2))
        actions = torch.from_numpy(tried).to(point.actions)
        found, lost = _best(point.states[0, 0], actions, objective,
                            torch.from_numpy(point.energy + ARMIJO * promised))
        return found, lost


def two_loops(slope: Float64[Array, 'T A'], pairs: Sequence[tuple[Array, Array]]
              ) -> Float64[Array, 'T A']:
    """
    Multiply a gradient by L-BFGS's inverse Hessian (Nocedal and Wright, algorithm 7.4).

    :param pairs: steps and changes of the gradient, oldest first; pairs
        without positive curvature are passed over.
    """
    used = [(s, y, 1.0 / np.vdot(s, y)) for s, y in pairs if np.vdot(s, y) > 0.0]
    result, weights = slope.copy(), []
    for s, y, inverse in reversed(used):
        weights.append(inverse * np.vdot(s, result))
        result -= weights[-1] * y
    if used:
        s, y, inverse = used[-1]
        result /= inverse * np.vdot(y, y)
    for (s, y, inverse), weight in zip(used, reversed(weights), strict=True):
        result += s * (weight - inverse * np.vdot(y, result))
    return result


def _best(start: Tensor, actions: Tensor, objective: Objective,
          bound: Tensor | None = None) -> tuple[_Point | None, int]:
    # The best sequence within its bound, and how many are not finite.
    states = roll_out(start, actions, objective.problem.dynamics, objective.latents)
    energies = objective.energies(states, actions)
    lost = int(torch.isinf(energies).sum())
    if bound is not None:
        energies = torch.where(energies.double() <= bound.to(energies.device), energies,
                               torch.inf)
    best = int(energies.argmin())
    if not bool(torch.isfinite(energies[best])):
        return None, lost
    return _Point(actions[best], states[:, best], float(energies[best])), lost
