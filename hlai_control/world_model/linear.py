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


"""A known linear model behind the same protocol, for checks and for a first graph run."""

from jaxtyping import Float
from torch import nn, Tensor

from hlai_control.errors import ShapeError


class LinearDynamics(nn.Module):
    """
    s' = A s + B a, one member, nothing latent.

    :param transition: A.
    :param control: B.
    :raises ShapeError: if the two do not fit together.
    """

    transition: Tensor
    control: Tensor

    def __init__(self, transition: Float[Tensor, 'S S'], control: Float[Tensor, 'S A']) -> None:
        """Keep both as buffers, so that ``to(device)`` moves them."""
        super().__init__()
        size = transition.shape[-1]
        if transition.shape != (size, size) or control.shape[0] != size:
            raise ShapeError(f'A has shape {tuple(transition.shape)} and B '
                             f'{tuple(control.shape)}; valid: (S, S) and (S, A)')
        self.register_buffer('transition', transition)
        self.register_buffer('control', control)

    @property
    def members(self) -> int:
        """E = 1."""
        return 1

    @property
    def latent_size(self) -> int:
        """Z = 0: the model is exact."""
        return 0

    def step(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B S']:
        """Predict one control period ahead; there is no z to use."""
        return state @ self.transition.T + action @ self.control.T
