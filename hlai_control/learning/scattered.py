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

"""Where to imagine from: near what the robot did, and wherever its coordinates have been."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.types import Batch

# Share of the states whose coordinates are drawn each on its own.
_SCATTERED = 0.7


@runtime_checkable
class Memory(Protocol):
    """What the robot did: all of it, or what differs."""

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """Draw transitions uniformly, with replacement."""


def scattered(memory: Memory, count: int, size: int,
              generator: torch.Generator) -> Float[Tensor, 'B S']:
    """
    Draw states to imagine from.

    A robot that has solved its task stays where it is, and so does its memory:
    what it would do elsewhere could hardly be learned. So most states are put
    together anew, each coordinate from another moment: their box is filled, of
    which the robot's own motion is but a line. The rest are as they were.

    :param memory: what the robot did.
    :param count: B.
    :param size: S.
    :raises ShapeError: if the memory is empty.
    """
    rows = memory.sample(count * size, generator).state.view(count, size, size)
    anew = torch.rand(count, 1, generator=generator) < _SCATTERED
    return torch.where(anew, rows.diagonal(dim1=1, dim2=2), rows[:, 0])
