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

"""World models whose whole trajectories are compiled loops, on a CPU."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from hlai_control.world_model.trajectories import CompiledTrajectories


class Looped:
    """Base of those that have loops; see ``protocols.Trajectories``."""

    @abstractmethod
    def loops(self) -> 'CompiledTrajectories':
        """Return the compiled loops with the weights of now."""

    def follow(self, start: Float[Tensor, ' S'], base: Float[Tensor, 'K T A'],
               reference: Float[Tensor, 'G T S'], gains: Float[Tensor, 'G T A S'],
               closed: Float[Tensor, ' K'], low: Float[Tensor, ' A'], high: Float[Tensor, ' A']
               ) -> tuple[Float[Tensor, 'K T A'], Float[Tensor, 'G K T1 S']]:
        """Roll out with feedback, see ``protocols.Trajectories``."""
        return self.loops().follow(start, base, reference, gains, closed, low, high)

    def linearise(self, states: Float[Tensor, 'G T S'],
                  actions: Float[Tensor, 'T A']) -> Float[Tensor, 'G T S N']:
        """Differentiate each step, see ``protocols.Trajectories``."""
        return self.loops().linearise(states, actions)
