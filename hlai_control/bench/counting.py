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

"""How much of the world model a plan takes: calls, counted by one rule for everybody."""

from jaxtyping import Float
from torch import Tensor

from hlai_control.protocols import Dynamics, Trajectories


class CountingDynamics:
    """
    A world model that counts its use.

    One call is one state step, of all members together. Each time a reverse
    pass goes back through steps, it counts two more for each of them: so a
    Jacobian by one reverse pass over S copies of a state counts 3 S. Where
    the model differentiates itself, a Jacobian counts N = S + A.

    :param dynamics: the model.
    """

    def __init__(self, dynamics: Dynamics) -> None:
        """Begin at zero."""
        self.dynamics, self.calls = dynamics, 0

    @property
    def members(self) -> int:
        """E of the model."""
        return self.dynamics.members

    @property
    def latent_size(self) -> int:
        """Z of the model."""
        return self.dynamics.latent_size

    def step(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B S']:
        """Predict one control period ahead, and count."""
        ahead = self.dynamics.step(state, action, z)
        count = ahead.numel() // (len(ahead) * ahead.shape[-1])
        self.calls += count
        if ahead.requires_grad:
            ahead.register_hook(lambda _gradient: self._reversed(count))
        return ahead

    def whole(self, like: Tensor, count: int) -> bool:
        """Tell whether the model may do more than a step per call."""
        return isinstance(self.dynamics, Trajectories) and self.dynamics.whole(like, count)

    def follow(self, start: Float[Tensor, ' S'], base: Float[Tensor, 'K T A'],
               reference: Float[Tensor, 'G T S'], gains: Float[Tensor, 'G T A S'],
               closed: Float[Tensor, ' K'], low: Float[Tensor, ' A'], high: Float[Tensor, ' A']
               ) -> tuple[Float[Tensor, 'K T A'], Float[Tensor, 'G K T1 S']]:
        """Roll out with feedback, and count K T; only if :meth:`whole`."""
        self.calls += base.shape[0] * base.shape[1]
        return self._trajectories().follow(start, base, reference, gains, closed, low, high)

    def linearise(self, states: Float[Tensor, 'G T S'],
                  actions: Float[Tensor, 'T A']) -> Float[Tensor, 'G T S N']:
        """Differentiate each step, and count T N; only if :meth:`whole`."""
        self.calls += len(actions) * (states.shape[-1] + actions.shape[-1])
        return self._trajectories().linearise(states, actions)

    def _trajectories(self) -> Trajectories:
        assert isinstance(self.dynamics, Trajectories), 'ask whole() first'
        return self.dynamics

    def _reversed(self, count: int) -> None:
        self.calls += 2 * count
