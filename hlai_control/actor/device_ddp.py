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

"""The second-order planner that stays on its device, for a CUDA graph."""

from dataclasses import dataclass, replace

from jaxtyping import Bool, Float, Int
import torch
from torch import Tensor

from hlai_control.actor.ddp import FACTOR, FIRST, follow, KEPT, LAST, SETTLED
from hlai_control.actor.device_riccati import device_backward, device_projected, Local
from hlai_control.actor.given import shifted
from hlai_control.actor.objective import (
    gradient_and_hessian,
    jacobians,
    MeanDynamics,
    Objective,
    points,
)
from hlai_control.actor.searching import AtHand, DevicePlanner, Found
from hlai_control.errors import SettingsError
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import DdpSettings
from hlai_control.types import Budget, Plan


@dataclass(frozen=True)
class Reference:
    """
    What the first trajectories follow: the previous plan, moved on by one tick.

    :param actions: its commands; the middle of the limits without one.
    :param states: at which the feedback is zero.
    :param gains: zero without any.
    """

    actions: Float[Tensor, 'T A']
    states: Float[Tensor, 'T S']
    gains: Float[Tensor, 'T A S']


@dataclass(frozen=True)
class _Stand:
    """Where the refinement stands; tensors only, so that nothing waits for the device."""

    actions: Float[Tensor, 'T A']
    states: Float[Tensor, '1 T1 S']
    gains: Float[Tensor, 'T A S']
    energy: Float[Tensor, '']
    damping: Float[Tensor, '']
    settled: Bool[Tensor, '']
    rejected: Int[Tensor, '']


class DeviceDdpPlanner(DevicePlanner):
    """
    :class:`DdpPlanner` on the mean of the members, in tensor operations alone.

    Same steps, same damping, same line search; a decision is a choice between
    two results, both of which are computed, and all refinements of the budget
    are made, the last of them without effect once nothing is gained. On a CPU
    :class:`DdpPlanner` is much faster; this one is for ``captured.py``.

    :param layout: limits of the commands.
    :param horizon: T.
    :param settings: step sizes.
    :raises SettingsError: if members are to be followed one by one.
    """

    def __init__(self, layout: Layout, horizon: int,
                 settings: DdpSettings | None = None) -> None:
        """Keep the limits."""
        settings = settings or DdpSettings()
        if not settings.merge:
            raise SettingsError('DdpSettings.merge = False: on a device, plans are made on the '
                                'mean of the members alone; valid: True, or the planner ddp')
        self.layout, self._horizon = layout, horizon
        limits = torch.tensor([layout.action_low, layout.action_high], dtype=torch.float64)
        self._at_hand = AtHand(limits, 0.5 ** torch.arange(settings.step_sizes))

    def resume(self, start: Float[Tensor, ' S'], warm: Plan | None) -> Reference:
        """Move the previous plan on by one tick."""
        limits, horizon = self._at_hand.like(start)[0], self._horizon
        size = limits.shape[1]
        gains = start.new_zeros(horizon, size, len(start))
        if warm is None:
            return Reference(limits.mean(dim=0).expand(horizon, -1),
                             start.expand(horizon, -1), gains)
        if warm.gains is not None:
            gains = shifted(warm.gains.flatten(1), horizon).to(start).view_as(gains)
        return Reference(shifted(warm.actions, horizon).to(start),
                         shifted(warm.states, horizon).to(start), gains)

    def search(self, start: Float[Tensor, ' S'], resumed: Reference, problem: Problem,
               budget: Budget, generator: torch.Generator) -> tuple[Found, int]:
        """
        Refine without ever waiting for the device.

        :returns: the result, and how many refinements were made.
        :raises SettingsError: if the problem's risk looks at single scenarios.
        """
        return self.search_among(start, resumed, start.new_empty(0, *resumed.actions.shape),
                                 problem, budget)

    @torch.inference_mode(False)
    @torch.no_grad()
    def search_among(self, start: Float[Tensor, ' S'], resumed: Reference,
                     noise: Float[Tensor, 'K T A'], problem: Problem, budget: Budget
                     ) -> tuple[Found, int]:
        """
        Refine the best of the first trajectories and of some around them.

        :param noise: added to the commands of the reference.
        :returns: the result, and how many refinements were made.
        :raises SettingsError: if the problem's risk looks at single scenarios.
        """
        if problem.risk.tail != 1.0 or problem.risk.latents:
            raise SettingsError('a risk over single scenarios: on a device, plans are made on the '
                                'mean of the members alone; valid: tail = 1 and latents = 0, or '
                                'another planner')
        objective = Objective(replace(problem, dynamics=MeanDynamics(problem.dynamics)))
        stand, done = self._begin(start, resumed, noise, objective), 0
        progress = [stand.energy]
        while done < budget.iterations and not (done and budget.expired()):
            stand = self._refined(stand, objective)
            progress.append(stand.energy)
            done += 1
        return Found.of(problem, stand.actions, stand.states[0], progress, stand.rejected,
                        gains=stand.gains), done

    def _begin(self, start: Tensor, reference: Reference, noise: Tensor,
               objective: Objective) -> _Stand:
        """
        Roll out the reference with its gains and without, doing nothing, and the noise.

        The best of them is where refinement begins.
        """
        middle = self._at_hand.like(start)[0].mean(dim=0).expand(self._horizon, -1)
        base = torch.cat([torch.stack([reference.actions, reference.actions, middle]),
                          reference.actions + noise])
        closed = torch.cat([start.new_ones(1), start.new_zeros(2), start.new_ones(len(noise))])
        actions, states, energy, first, lost = self._tried(
            start, base, reference.states.unsqueeze(0), reference.gains.unsqueeze(0), closed,
            objective)
        gains = closed.index_select(0, first)[:, None, None] * reference.gains
        return _Stand(actions, states, gains, energy, start.new_zeros(()),
                      ~torch.isfinite(energy), lost)

    def _refined(self, stand: _Stand, objective: Objective) -> _Stand:
        """Step once; what is no better leaves everything as it is but for the damping."""
        limits, sizes = self._at_hand.like(stand.actions)
        policy = device_backward(expanded(stand.actions, stand.states, objective),
                                 limits[0] - stand.actions, limits[1] - stand.actions,
                                 stand.damping)
        base = stand.actions + sizes[:, None, None] * policy.steps
        actions, states, energy, _, lost = self._tried(
            stand.states[0, 0], base, stand.states[:, :-1], policy.gains.unsqueeze(0),
            torch.ones_like(sizes), objective, stand.energy + KEPT * policy.promised)
        going = ~stand.settled
        better = going & policy.convex & (energy <= stand.energy)
        damping = stand.damping
        slight = stand.energy - energy <= SETTLED * (energy.abs() + SETTLED)
        stuck = going & ~better & (FACTOR * damping > LAST)
        relaxed = torch.where(damping > FIRST, damping / FACTOR, 0.0)
        return _Stand(
            torch.where(better, actions, stand.actions),
            torch.where(better, states, stand.states),
            torch.where(better, policy.gains, stand.gains),
            torch.where(better, energy, stand.energy),
            torch.where(better, relaxed, (FACTOR * damping).clamp_min(FIRST)),
            stand.settled | stuck | better & (damping == 0.0) & slight,
            stand.rejected + torch.where(going & policy.convex, lost, 0))

    def _tried(self, start: Tensor, base: Tensor, reference: Tensor, gains: Tensor,
               closed: Tensor, objective: Objective, enough: Tensor | float = -torch.inf
               ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        # The first trajectory if that is enough, else the best: commands, states, energy, its
        # index; how many lost.
        low, high = self._at_hand.like(start)[0].unbind()
        actions, states = follow(start, base, reference, gains, closed, (low, high), objective)
        energies = objective.energies(states, actions)
        first = torch.where(energies[:1] <= enough, 0, energies.argmin(dim=0, keepdim=True))
        return (actions.index_select(0, first)[0], states.index_select(1, first)[:, 0],
                energies.index_select(0, first)[0], first, torch.isinf(energies).sum())


def expanded(actions: Float[Tensor, 'T A'], states: Float[Tensor, '1 T1 S'],
             objective: Objective) -> Local:
    """Expand the energy along a trajectory; the terminal value goes into the last step."""
    horizon, size = len(actions), states.shape[-1]
    stage, last = points(states, actions)
    gradient, hessian = gradient_and_hessian(objective.stage(size), stage)
    last_gradient, last_hessian = gradient_and_hessian(objective.terminal(size), last)
    both = device_projected(torch.cat([hessian, last_hessian]))
    powers = objective.problem.discount ** torch.arange(
        horizon + 1, dtype=actions.dtype, device=actions.device)
    forward = jacobians(objective.problem.dynamics, states[:, :-1], actions)[0]
    gradient, hessian = gradient * powers[:-1, None], both[:-1] * powers[:-1, None, None]
    # It may look at the last action, too, which passes through unchanged.
    same = torch.eye(forward.shape[-1], dtype=actions.dtype, device=actions.device)
    step = torch.cat([forward[-1], same[size:]])
    own = powers[-1] * last_gradient[0] @ step
    bent = powers[-1] * step.mT @ both[-1] @ step
    return Local(forward, torch.cat([gradient[:-1], (gradient[-1] + own).unsqueeze(0)]),
                 torch.cat([hessian[:-1], (hessian[-1] + bent).unsqueeze(0)]))
