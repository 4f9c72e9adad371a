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

"""The gradient planner that stays on its device, for a CUDA graph."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
import torch
from torch import Tensor

from hlai_control.actor.adjoint import ARMIJO, FLAT
from hlai_control.actor.given import shifted
from hlai_control.actor.objective import gradients, jacobians, Objective, points
from hlai_control.actor.risk import draw_latents, risk_weights
from hlai_control.actor.rollout import roll_out, scenario_energies
from hlai_control.actor.searching import AtHand, DevicePlanner, Found
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import AdjointSettings
from hlai_control.types import Budget, Plan


@dataclass(frozen=True)
class Beginnings:
    """What the descent may begin with: the previous plan, moved on, and the middle."""

    actions: Float[Tensor, '2 T A']


@dataclass(frozen=True)
class _Best:
    """The best of several sequences; ``lost`` were not finite."""

    actions: Float[Tensor, 'T A']
    states: Float[Tensor, 'E T1 S']
    energy: Float[Tensor, '']
    lost: Int[Tensor, '']


@dataclass(frozen=True)
class _Stand:
    """
    Where the descent stands; tensors only, so that nothing waits for the device.

    :param before: the commands of the point before, in which ``slope`` holds.
    :param slope: per half range of the commands.
    :param stepped: whether this point is another than that one.
    :param steps: the memory, oldest first; zero where there is nothing yet.
    :param changes: of the slope along them.
    """

    best: _Best
    before: Float[Tensor, 'T A']
    slope: Float[Tensor, 'T A']
    stepped: Bool[Tensor, '']
    steps: Float[Tensor, 'M T A']
    changes: Float[Tensor, 'M T A']
    settled: Bool[Tensor, '']


class DeviceAdjointPlanner(DevicePlanner):
    """
    :class:`AdjointPlanner` in tensor operations alone.

    Same directions, same line search, same memory; a decision is a choice
    between two results, and all refinements of the budget are made, the last
    of them without effect once nothing is gained. On a CPU
    :class:`AdjointPlanner` is faster; this one is for ``captured.py``.

    :param layout: limits of the commands.
    :param horizon: T.
    :param settings: memory and step sizes.
    """

    def __init__(self, layout: Layout, horizon: int,
                 settings: AdjointSettings | None = None) -> None:
        """Keep the limits."""
        settings = settings or AdjointSettings()
        self.layout, self._horizon, self._memory = layout, horizon, settings.memory
        low, high = (torch.tensor(side, dtype=torch.float64)
                     for side in (layout.action_low, layout.action_high))
        # One size beyond the quasi-Newton step, as on the CPU.
        sizes = 2.0 * 0.5 ** torch.arange(settings.step_sizes)[:, None, None]
        self._at_hand = AtHand(low, high, 0.5 * (high - low), sizes)

    def resume(self, start: Float[Tensor, ' S'], warm: Plan | None) -> Beginnings:
        """Move the previous plan on by one tick."""
        low, _, half, _ = self._at_hand.like(start)
        middle = (low + half).expand(self._horizon, -1)
        first = middle if warm is None else shifted(warm.actions, self._horizon).to(start.dtype)
        return Beginnings(torch.stack([first, middle]))

    @torch.inference_mode(False)
    @torch.no_grad()
    def search(self, start: Float[Tensor, ' S'], resumed: Beginnings, problem: Problem,
               budget: Budget, generator: torch.Generator) -> tuple[Found, int]:
        """
        Descend without ever waiting for the device.

        :returns: the result, and how many refinements were made.
        """
        objective = Objective(problem, draw_latents(problem, self._horizon, start, generator))
        none = start.new_full((), torch.inf, dtype=torch.float64)
        best = _best(start, resumed.actions, objective, none)
        zero = torch.zeros_like(best.actions)
        memory = zero.expand(self._memory, -1, -1)
        stand = _Stand(best, best.actions, zero, torch.zeros_like(best.lost, dtype=torch.bool),
                       memory, memory, ~torch.isfinite(best.energy))
        done, progress = 0, [best.energy]
        while done < budget.iterations and not (done and budget.expired()):
            stand = self._refined(stand, objective)
            progress.append(stand.best.energy)
            done += 1
        best = stand.best
        return Found.of(problem, best.actions, best.states.mean(dim=0), progress, best.lost), done

    def _refined(self, stand: _Stand, objective: Objective) -> _Stand:
        """Step once; where nothing is better the memory is forgotten, or the descent over."""
        low, high, half, sizes = self._at_hand.like(stand.before)
        now = stand.best
        slope = device_costates(now.states, now.actions, objective)[1] * half
        steps, changes = _remembered(stand, slope, half)
        known = ((steps * changes).sum(dim=(1, 2)) > 0.0).any()
        stuck = ((now.actions <= low) & (slope > 0.0)) | ((now.actions >= high) & (slope < 0.0))
        step = _direction(slope, (~stuck).to(slope.dtype), steps, changes)
        step = torch.where(known, step, step / step.abs().max().clamp_min(1e-30))
        going = (~stand.settled & torch.isfinite(slope).all()
                 & (-(step * slope).sum() > FLAT * (now.energy.abs() + FLAT)))
        tried = torch.clamp(now.actions + sizes * step * half, low, high)
        promised = ((tried - now.actions) / half * slope).sum(dim=(1, 2))
        found = _best(now.states[0, 0], tried, objective,
                      now.energy.double() + ARMIJO * promised.double())
        better = going & torch.isfinite(found.energy)
        best = _Best(torch.where(better, found.actions, now.actions),
                     torch.where(better, found.states, now.states),
                     torch.where(better, found.energy, now.energy),
                     now.lost + torch.where(going, found.lost, 0))
        kept = (better | ~going).to(slope.dtype)
        return _Stand(best, now.actions, slope, better, kept * steps, kept * changes,
                      ~going | ~better & ~known)


def device_costates(states: Float[Tensor, 'E T1 S'], actions: Float[Tensor, 'T A'],
                    objective: Objective
                    ) -> tuple[Float[Tensor, 'E T1 S'], Float[Tensor, 'T A']]:
    """
    Run the adjoint equations backwards along a trajectory; see ``adjoint.costates``.

    :param states: what follows from the actions.
    :returns: the multipliers lambda[t], and d F / d a.
    """
    (members, _, size), horizon = states.shape, len(actions)
    problem, (stage, last) = objective.problem, points(states, actions)
    tail = problem.risk.tail
    share = states.new_full((members,), 1.0 / members) if tail == 1.0 else risk_weights(
        scenario_energies(states.unsqueeze(1), actions.unsqueeze(0), problem), tail)[:, 0]
    counted = share.unsqueeze(-1) * problem.discount ** torch.arange(
        horizon + 1, dtype=states.dtype, device=states.device)
    paid = gradients(objective.stage(size), stage).unflatten(0, (members, horizon))
    paid = paid * counted[:, :-1, None]
    ended = gradients(objective.terminal(size), last) * counted[:, -1:]
    steps = jacobians(problem.dynamics, states[:, :-1], actions, objective.latents)
    multipliers, by_action = [-ended[:, :size]], list[Tensor]()
    for t in range(horizon - 1, -1, -1):
        back = (multipliers[-1].unsqueeze(1) @ steps[:, t])[:, 0]
        multipliers.append(back[:, :size] - paid[:, t, :size])
        by_action.append((paid[:, t, size:] - back[:, size:]).sum(dim=0))
    by_action[0] = by_action[0] + ended[:, size:].sum(dim=0)
    return torch.stack(multipliers[::-1], dim=1), torch.stack(by_action[::-1])


def device_two_loops(slope: Float[Tensor, 'T A'], steps: Float[Tensor, 'M T A'],
                     changes: Float[Tensor, 'M T A']) -> Float[Tensor, 'T A']:
    """
    Multiply a gradient by L-BFGS's inverse Hessian; see ``adjoint.two_loops``.

    :param steps: oldest first; pairs without positive curvature are passed over.
    :param changes: of the gradient along them.
    """
    curved = (steps * changes).sum(dim=(1, 2))
    inverse = torch.where(curved > 0.0, 1.0 / curved, 0.0)
    scales = inverse * changes.square().sum(dim=(1, 2))
    result, weights, scale = slope, list[Tensor](), torch.ones_like(scales[0])
    for i in range(len(steps) - 1, -1, -1):
        weights.append(inverse[i] * (steps[i] * result).sum())
        result = result - weights[-1] * changes[i]
    for i in range(len(steps)):  # that of the newest pair counts
        scale = torch.where(curved[i] > 0.0, scales[i], scale)
    result = result / scale
    for i, weight in enumerate(reversed(weights)):
        result = result + steps[i] * (weight - inverse[i] * (changes[i] * result).sum())
    return result


def _direction(slope: Tensor, free: Tensor, steps: Tensor, changes: Tensor) -> Tensor:
    step = -free * device_two_loops(slope * free, steps * free, changes * free)
    return torch.where((step * slope).sum() >= 0.0, -free * slope, step)


def _remembered(stand: _Stand, slope: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    # Steps and what they changed, in units of the half range; only of positive curvature.
    moved, changed = (stand.best.actions - stand.before) / half, slope - stand.slope
    new = stand.stepped & ((moved * changed).sum() > 1e-10 * changed.square().sum())
    return (torch.where(new, torch.cat([stand.steps[1:], moved.unsqueeze(0)]), stand.steps),
            torch.where(new, torch.cat([stand.changes[1:], changed.unsqueeze(0)]),
                        stand.changes))


def _best(start: Tensor, actions: Tensor, objective: Objective, bound: Tensor) -> _Best:
    # The best sequence within its bound; its energy is infinite if there is none.
    states = roll_out(start, actions, objective.problem.dynamics, objective.latents)
    energies = objective.energies(states, actions)
    held = torch.where(energies.double() <= bound, energies, torch.inf)
    first = held.argmin(dim=0, keepdim=True)
    return _Best(actions.index_select(0, first)[0], states.index_select(1, first)[:, 0],
                 held.index_select(0, first)[0], torch.isinf(energies).sum())
