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
States that also carry the command sent last, and the time in steps.

With them a bound on the change of a command is one on state and action, and
what changes with time is a function of the state: no planner need know of it.
"""

from dataclasses import dataclass

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.protocols import Dynamics, follows


class CarriedLayout(Layout):
    """A robot whose state also says the command sent last, and the time in steps."""

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the coordinates; the last command's and the time's come last."""
        return (*super().states, *(f'{name}/last' for name in self.actions), 'time')

    @property
    def state_size(self) -> int:
        """Return the number of coordinates, S + A + 1."""
        return super().state_size + self.action_size + 1


@dataclass(frozen=True)
class CarriedDynamics:
    """
    A world model that takes the command and the time along.

    :param inner: the robot's own.
    """

    inner: Dynamics

    @property
    def members(self) -> int:
        """E, the number of ensemble members."""
        return self.inner.members

    @property
    def latent_size(self) -> int:
        """Z, the number of components of z."""
        return self.inner.latent_size

    def step(self, state: Float[Tensor, 'E *B N'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B N']:
        """Predict one control period ahead."""
        own, _, time = split(state, action.shape[-1])
        return torch.cat([self.inner.step(own, action, z),
                          action.expand(*state.shape[:-1], -1), time.unsqueeze(-1) + 1.0], dim=-1)

    def whole(self, like: Tensor, count: int) -> bool:
        """Tell whether :meth:`follow` and :meth:`linearise` may be called."""
        return follows(self.inner) and self.inner.whole(like, count)

    def follow(self, start: Float[Tensor, ' N'], base: Float[Tensor, 'K T A'],
               reference: Float[Tensor, 'G T N'], gains: Float[Tensor, 'G T A N'],
               closed: Float[Tensor, ' K'], low: Float[Tensor, ' A'], high: Float[Tensor, ' A']
               ) -> tuple[Float[Tensor, 'K T A'], Float[Tensor, 'G K T1 N']]:
        """Roll out with feedback, see ``protocols.Trajectories``."""
        assert follows(self.inner), 'ask whole() first'
        return self.inner.follow(start, base, reference, gains, closed, low, high)

    def linearise(self, states: Float[Tensor, 'G T N'],
                  actions: Float[Tensor, 'T A']) -> Float[Tensor, 'G T N M']:
        """Differentiate each step, see ``protocols.Trajectories``."""
        assert follows(self.inner), 'ask whole() first'
        size, total = actions.shape[-1], states.shape[-1]
        own = total - size - 1
        found = self.inner.linearise(states[..., :own].contiguous(), actions)
        made = found.new_zeros(*states.shape, total + size)
        made[..., :own, :own], made[..., :own, total:] = found[..., :own], found[..., own:]
        made[..., own:-1, total:] = torch.eye(size, dtype=found.dtype, device=found.device)
        made[..., -1, total - 1] = 1.0
        return made


def split(carried: Float[Tensor, '*B N'], actions: int) -> tuple[Tensor, Tensor, Tensor]:
    """
    Take a carried state apart: the robot's own state, its last command, and the time.

    :param actions: A.
    """
    return (carried[..., :-1 - actions], carried[..., -1 - actions:-1], carried[..., -1])
