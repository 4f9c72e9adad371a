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

"""A cost that planners may only ask for its value, and planners whose use is counted."""

from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Float
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from hlai_control.bench.counting import CountingDynamics
from hlai_control.protocols import CostFunction, Planner, Problem
from hlai_control.types import Budget, Plan

Array = NDArray[np.float32]


class BlackBox:
    """
    A cost of which nothing but its value is known: numbers in, numbers out.

    States and actions leave torch on the way in, so that no derivative can
    pass, whatever the function is.

    :param function: of states (..., S) and actions (..., A); returns (...).
    """

    names = ('cost',)

    def __init__(self, function: Callable[[Array, Array], Array]) -> None:
        """Keep the function."""
        self._function = function

    def terms(self, state: Float[Tensor, '*B S'],
              action: Float[Tensor, '*B A']) -> Float[Tensor, '*B C']:
        """Return the value as the one term."""
        return self.stage(state, action).unsqueeze(-1)

    def stage(self, state: Float[Tensor, '*B S'],
              action: Float[Tensor, '*B A']) -> Float[Tensor, ' *B']:
        """Ask for the value."""
        found = self._function(state.detach().numpy(), action.detach().numpy())
        return torch.from_numpy(np.asarray(found, np.float32))


def values_of(cost: CostFunction) -> BlackBox:
    """Hide all of a cost but its value."""
    @torch.no_grad()
    def function(state: Array, action: Array) -> Array:
        return cost.stage(torch.from_numpy(state), torch.from_numpy(action)).numpy()
    return BlackBox(function)


class ValuesOnly:
    """
    Any planner, asked to plan for a black box.

    A planner that needs a derivative of the cost finds none.

    :param planner: makes the plans.
    """

    def __init__(self, planner: Planner) -> None:
        """Keep the planner."""
        self._planner = planner

    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """Plan as the planner does, see ``protocols.Planner``."""
        hidden = replace(problem, cost=values_of(problem.cost))
        return self._planner.plan(start, hidden, warm, budget, generator)


class Counted:
    """
    Any planner, and how often its plans called the world model.

    :param planner: makes the plans.
    :param calls: is told the calls of each plan, as ``bench/counting.py`` counts.
    """

    def __init__(self, planner: Planner, calls: Callable[[int], None]) -> None:
        """Keep both."""
        self._planner, self._calls = planner, calls

    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """Plan as the planner does, see ``protocols.Planner``."""
        counting = CountingDynamics(problem.dynamics)
        plan = self._planner.plan(start, replace(problem, dynamics=counting), warm, budget,
                                  generator)
        self._calls(counting.calls)
        return plan
