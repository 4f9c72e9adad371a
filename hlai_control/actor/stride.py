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

"""Plans whose steps last several control periods: a fast loop that looks far ahead."""

from dataclasses import replace

import torch
from torch import Tensor

from hlai_control.types import Plan


def moved(plan: Plan, steps: int) -> Plan:
    """
    Prepare a plan for a planner that moves the previous plan on by one step.

    :param steps: planning steps that have really passed: 0 between two of
        them, more than 1 after ticks that got no plan.
    """
    if steps <= 0:
        return unshifted(plan)
    gone = min(steps - 1, len(plan.actions) - 1)
    if gone == 0:
        return plan

    def later(rows: Tensor | None) -> Tensor | None:
        return None if rows is None else rows[gone:]

    return replace(plan, actions=plan.actions[gone:], states=plan.states[gone:],
                   gains=later(plan.gains), multipliers=later(plan.multipliers),
                   elites=None if plan.elites is None else plan.elites[:, gone:])


def unshifted(plan: Plan) -> Plan:
    """
    Put a step before a plan, for a planner that moves the previous plan on by one.

    Between two planning steps, the plan's first command is still in effect.
    """
    gains = None if plan.gains is None else torch.cat([plan.gains[:1], plan.gains])
    elites = None if plan.elites is None else torch.cat([plan.elites[:, :1], plan.elites], dim=1)
    multipliers = None if plan.multipliers is None else torch.cat(
        [plan.multipliers[:1], plan.multipliers])
    return replace(plan, actions=torch.cat([plan.actions[:1], plan.actions]),
                   states=torch.cat([plan.states[:1], plan.states]), gains=gains, elites=elites,
                   multipliers=multipliers)
