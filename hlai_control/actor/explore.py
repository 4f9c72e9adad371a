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


"""The first ticks: random pushes within limits, so that there is something to learn from."""

from dataclasses import replace

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.given import check, last_command, shifted
from hlai_control.actor.rollout import energy, roll_out
from hlai_control.actor.searching import AtHand, Found, to_plan
from hlai_control.actor.within import reachable
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget, Plan

# Share of a push that carries over into the next tick.
_CARRY = 0.5


class Explorer:
    """
    A planner that follows a random, coloured sequence, whatever the energy.

    Successive plans continue each other: each is the previous one moved on
    by one tick, with one new push at its end. It keeps to constraints on
    commands (``within.py``); those on states need a world model.

    :param layout: limits of the commands.
    :param settings: the horizon.
    :param amplitude: standard deviation, as a fraction of the half range.
    """

    def __init__(self, layout: Layout, settings: PlannerSettings,
                 amplitude: float = 1.0) -> None:
        """Keep the limits."""
        self._layout, self._horizon, self._amplitude = layout, settings.horizon, amplitude
        self._limits = AtHand(torch.tensor(layout.action_low), torch.tensor(layout.action_high))

    @torch.inference_mode()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Continue the random sequence of ``warm``, or begin one.

        :param start: state at the moment the first command takes effect.
        :param warm: the previous tick's plan, not yet shifted.
        :param budget: not needed; there is nothing to refine.
        :param generator: on the device of ``start``.
        :raises PlanError: if the energy is not finite.
        :raises ShapeError: if axes or devices do not fit together.
        """
        check(self._layout, start, problem, warm, generator)
        low, high = self._limits.like(start)
        scale, middle = 0.5 * (high - low) * self._amplitude, 0.5 * (high + low)
        if warm is None:
            pushes = [self._push(middle, middle, scale, generator)]
            while len(pushes) < self._horizon:
                pushes.append(self._push(pushes[-1], middle, scale, generator))
            actions = torch.stack(pushes)
        else:
            actions = shifted(warm.actions, self._horizon).clone()
            actions[-1] = self._push(actions[-1], middle, scale, generator)
        last = last_command(start, problem, warm, len(low)).clamp(low, high)
        actions = reachable(torch.minimum(torch.maximum(actions, low), high), last, start,
                            problem.constraints)
        states = roll_out(start, actions.unsqueeze(0), problem.dynamics)
        total = energy(states, actions.unsqueeze(0), problem)
        mean = states.mean(dim=0)[0]
        found = Found.of(problem, actions, mean, [total[0]], total.new_zeros(()))
        return replace(to_plan(found, 1), progress=())  # nothing was refined

    def _push(self, last: Tensor, middle: Tensor, scale: Tensor,
              generator: torch.Generator) -> Tensor:
        fresh = torch.randn(last.shape, generator=generator, device=last.device,
                            dtype=last.dtype)
        return (middle + _CARRY * (last - middle)
                + scale * (1.0 - _CARRY ** 2) ** 0.5 * fresh)
