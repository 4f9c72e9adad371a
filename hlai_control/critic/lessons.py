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

"""What plans say about the states along them: the strongest labels that there are."""

from dataclasses import dataclass

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.errors import ShapeError
from hlai_control.layout import Layout
from hlai_control.protocols import CostFunction
from hlai_control.types import Plan

# Labels kept: the world model that older ones were planned with is outdated.
CAPACITY = 8192
# Half of what is drawn is of so many newest: where the robot is, by the model of now.
NEWEST = 96


@dataclass(frozen=True)
class Lesson:
    """
    States of plans, what the plans do there, and what that costs up to their end.

    V(state) is about ``cost + share * V(end)``; so a lesson stays of use while
    V improves. Near a state the plan does ``action + gain (s - state)``.

    :param known: 1 where the plan said its gains, else 0.
    """

    state: Float[Tensor, 'B S']
    action: Float[Tensor, 'B A']
    end: Float[Tensor, 'B S']
    cost: Float[Tensor, ' B']
    share: Float[Tensor, ' B']
    gain: Float[Tensor, 'B A S']
    known: Float[Tensor, ' B']

    def nearby(self, reach: Float[Tensor, ' S'], low: Float[Tensor, ' A'],
               high: Float[Tensor, ' A'], generator: torch.Generator
               ) -> tuple[Float[Tensor, 'B S'], Float[Tensor, 'B A']]:
        """
        Say what the plans do not on but near their states: examples with a slope.

        A network that fits these has the plans' gains as its derivative, to first
        order in the reach (Czarnecki et al. 2017, *Sobolev training*, by samples).

        :param reach: standard deviations of how far beside.
        :param low: least commands.
        :param high: greatest commands.
        :returns: states, and the commands there, within the limits.
        """
        aside = reach * torch.randn(self.state.shape, generator=generator)
        aside = aside * self.known.unsqueeze(-1)
        action = self.action + (self.gain @ aside.unsqueeze(-1)).squeeze(-1)
        return self.state + aside, action.clamp(low, high)


class Lessons:
    """
    The newest labels, the oldest forgotten when full.

    :param layout: sizes of state and action.
    :param cost: the stage cost.
    :param discount: per step of a plan.
    """

    def __init__(self, layout: Layout, cost: CostFunction, discount: float) -> None:
        """Begin empty."""
        self._sizes = (layout.state_size, layout.action_size, layout.state_size, 1, 1,
                       layout.action_size * layout.state_size, 1)
        self._cost, self._discount = cost, discount
        self._rows = torch.empty(CAPACITY, sum(self._sizes))
        self._count = 0

    def __len__(self) -> int:
        """Labels held now."""
        return min(self._count, CAPACITY)

    @torch.no_grad()
    def add(self, plan: Plan) -> None:
        """Take one plan: a label for each state but the last."""
        states, end, horizon = plan.states[:-1], plan.states[-1], len(plan.actions)
        shares = self._discount ** torch.arange(horizon, 0, -1, dtype=states.dtype)
        costs, coming = self._cost.stage(states, plan.actions).tolist(), 0.0
        for t in range(horizon - 1, -1, -1):
            costs[t] = coming = costs[t] + self._discount * coming
        gains = torch.zeros(horizon, self._sizes[-2]) if plan.gains is None else (
            plan.gains.flatten(1))
        known = torch.full((horizon, 1), float(plan.gains is not None))
        rows = torch.cat([states, plan.actions, end.expand(horizon, -1),
                          torch.tensor(costs).unsqueeze(-1), shares.unsqueeze(-1), gains, known],
                         dim=-1)
        if not bool(torch.isfinite(rows).all()):
            return
        slots = (self._count + torch.arange(horizon)) % CAPACITY
        self._rows[slots] = rows
        self._count += horizon

    def sample(self, count: int, generator: torch.Generator) -> Lesson:
        """
        Draw labels with replacement: half of them of the newest, the rest of all.

        :raises ShapeError: if there are none.
        """
        if not self._count:
            raise ShapeError('no lessons yet; add a plan before sampling')
        drawn = torch.randint(len(self), (count,), generator=generator)
        newest = count // 2
        back = torch.randint(min(NEWEST, len(self)), (newest,), generator=generator)
        drawn[:newest] = (self._count - 1 - back) % CAPACITY
        rows = self._rows[drawn]
        state, action, end, cost, share, gain, known = rows.split(self._sizes, dim=-1)
        return Lesson(state, action, end, cost.squeeze(-1), share.squeeze(-1),
                      gain.unflatten(-1, (action.shape[-1], state.shape[-1])),
                      known.squeeze(-1))
