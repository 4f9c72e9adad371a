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
What planners share whose search never waits for its device.

A search is made of tensors alone. Its result stays on the device; ``to_plan``
reads what a host must know of it, all at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.given import check
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.types import Budget, Plan


@dataclass(frozen=True)
class Found:
    """
    What a search came to, still on its device.

    :param numbers: anticipated value, rejected candidates, the first command,
        then the energy before the first refinement and after each, P in
        all; float64.
    :param gains: feedback, see :class:`Plan`; None if there is none.
    :param elites: see :class:`Plan`; None if there are none.
    """

    actions: Float[Tensor, 'T A']
    states: Float[Tensor, 'T1 S']
    numbers: Float[Tensor, ' P']
    gains: Float[Tensor, 'T A S'] | None = None
    elites: Float[Tensor, 'N T A'] | None = None

    @staticmethod
    def of(problem: Problem, actions: Float[Tensor, 'T A'], states: Float[Tensor, 'T1 S'],
           progress: Sequence[Float[Tensor, '']], rejected: Tensor, *,
           gains: Float[Tensor, 'T A S'] | None = None,
           elites: Float[Tensor, 'N T A'] | None = None) -> 'Found':
        """
        Lay out a result.

        :param problem: its critic anticipates the value of the last state.
        :param states: where the actions lead, the mean over the scenarios.
        :param progress: the energy before the first refinement and after each.
        :param rejected: how many candidates were not finite.
        """
        anticipated = torch.zeros_like(progress[-1]) if problem.critic is None else (
            problem.critic.value(states[-1:])[0])  # a batch: one index alone is read by the host
        numbers = torch.stack([part.double() for part in (
            anticipated, rejected, *actions[0].unbind(), *progress)])
        return Found(actions, states, numbers, gains, elites)

    def copy(self) -> 'Found':
        """Copy all tensors."""
        gains, elites = (None if part is None else part.clone()
                         for part in (self.gains, self.elites))
        return Found(self.actions.clone(), self.states.clone(), self.numbers.clone(), gains,
                     elites)


class DevicePlanner(ABC):
    """A planner whose search never waits for its device; ``captured.py`` can record it."""

    layout: Layout

    @abstractmethod
    def resume(self, start: Float[Tensor, ' S'], warm: Plan | None) -> Any:
        """Return what the search begins with, a frozen dataclass of tensors."""

    @abstractmethod
    def search(self, start: Float[Tensor, ' S'], resumed: Any, problem: Problem,
               budget: Budget, generator: torch.Generator) -> tuple[Found, int]:
        """Refine; return the result, and how many refinements were made."""

    @final
    @torch.inference_mode(False)
    @torch.no_grad()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``, refining until the budget is spent.

        :param start: state at the moment the first command takes effect.
        :param problem: what to minimise.
        :param warm: the previous tick's plan, not yet shifted.
        :param generator: on the device of ``start``.
        :raises PlanError: if no candidate has a finite energy.
        :raises ShapeError: if axes or devices do not fit together.
        """
        check(self.layout, start, problem, warm, generator)
        start = start.clone()
        return to_plan(*self.search(start, self.resume(start, warm), problem, budget, generator))


class AtHand:
    """
    Tensors that never change, in each type and on each device that they were asked for.

    They stay where they are: a recorded search reads their addresses.

    :param tensors: of which the planner is made.
    """

    def __init__(self, *tensors: Tensor) -> None:
        """Keep them as they are."""
        self._tensors = tensors
        self._moved: dict[tuple[torch.dtype, torch.device], tuple[Tensor, ...]] = {}

    @torch.inference_mode(False)
    def like(self, tensor: Float[Tensor, '...']) -> tuple[Tensor, ...]:
        """Return them in the type and on the device of a tensor."""
        key = (tensor.dtype, tensor.device)
        if key not in self._moved:
            self._moved[key] = tuple(one.to(tensor) for one in self._tensors)
        return self._moved[key]


def to_plan(found: Found, done: int) -> Plan:
    """
    Hand a result over: the one place where the host waits for the device.

    The rest of the plan stays there, for the next tick to begin with.

    :param done: refinements made.
    :raises PlanError: if no candidate has a finite energy.
    """
    anticipated, rejected, *rest = found.numbers.tolist()
    size = found.actions.shape[1]
    first, progress = rest[:size], tuple(rest[size:])
    least = progress[-1]
    if not least < torch.inf:
        raise PlanError(f'none of {int(rejected)} candidates has a finite energy; hold the safe '
                        'command and check state, world model and critic')
    own = found.copy()  # a recorded search will write over its result
    return Plan(actions=own.actions, states=own.states, energy=least, anticipated=anticipated,
                iterations=done, rejected=int(rejected), gains=own.gains, elites=own.elites,
                progress=progress,
                first=torch.tensor(first, dtype=found.actions.dtype))
