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

"""An imagined robot that the policy moves: where it comes, its teacher should have plans."""

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.learning.scattered import Memory, scattered
from hlai_control.protocols import Dynamics, PolicyFunction
from hlai_control.types import Plan

# Ticks until it begins anew: as long as a swing takes.
LENGTH = 40


class Dream:
    """
    One imagined motion, a step per call, begun anew every :data:`LENGTH` steps.

    What a policy meets when it acts are the states that its own mistakes lead
    to, which no plan from elsewhere goes through. So the teacher is asked there
    (Ross, Gordon and Bagnell 2011, *A reduction of imitation learning and
    structured prediction to no-regret online learning*), in imagination.

    :param state_size: S.
    """

    def __init__(self, state_size: int) -> None:
        """Begin with the first step."""
        self._size, self._age = state_size, LENGTH
        self._state = torch.zeros(state_size)
        self.plan: Plan | None = None

    @torch.no_grad()
    def step(self, dynamics: Dynamics, policy: PolicyFunction, memory: Memory,
             generator: torch.Generator) -> Float[Tensor, ' S']:
        """
        Go on by one tick under the policy; the teacher's plan there is kept in ``plan``.

        :param memory: what the robot did, from which to begin anew.
        """
        ahead = self._state
        if self._age < LENGTH:
            wide = ahead.expand(dynamics.members, -1)
            ahead = dynamics.step(wide, policy.action(ahead)).mean(dim=0)
        if self._age >= LENGTH or not bool(torch.isfinite(ahead).all()):
            ahead, self._age, self.plan = scattered(memory, 1, self._size, generator)[0], 0, None
        self._state, self._age = ahead, self._age + 1
        return ahead
