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

"""TD(lambda): what a roll-out says that each of its states is worth."""

from jaxtyping import Float
import torch
from torch import Tensor


def lambda_returns(stages: Float[Tensor, 'T ...'], ahead: Float[Tensor, 'T ...'], discount: float,
                   trace: float) -> Float[Tensor, 'T ...']:
    """
    Add up what a roll-out cost and what its end is worth, from each of its states.

    G[t] = c[t] + discount ((1 - trace) V(s[t+1]) + trace G[t+1]), and G[T] is
    V(s[T]) (Sutton and Barto 2018, eq. 12.18 read backwards). Along imagined
    steps this is model-based value expansion (Feinberg et al. 2018), weighed
    over all lengths.

    :param stages: cost c[t] of each step.
    :param ahead: value V(s[t+1]) of the state that each step leads to.
    :param discount: per step.
    :param trace: lambda; 0: one step and then the value, 1: the value at the end only.
    :returns: the target of each state s[0] .. s[T-1].
    """
    coming, returns = ahead[-1], list[Tensor]()
    for t in range(len(stages) - 1, -1, -1):
        coming = stages[t] + discount * torch.lerp(ahead[t], coming, trace)
        returns.insert(0, coming)
    return torch.stack(returns)
