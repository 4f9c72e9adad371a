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


"""Memory of what the robot did: transitions in order, the oldest forgotten when full."""

from jaxtyping import Int
import torch
from torch import Tensor

from hlai_control.errors import ShapeError, SignalError
from hlai_control.layout import Layout
from hlai_control.types import Batch, Transition

_CHUNK = 1024


class Replay:
    """
    Transitions in preallocated rows that grow in chunks up to a bound.

    :param layout: sizes of state and action.
    :param capacity: rows at most; the oldest row then makes room.
    """

    def __init__(self, layout: Layout, capacity: int = 100_000) -> None:
        """Begin empty."""
        self._sizes = (layout.state_size, layout.action_size, layout.state_size)
        self._capacity = capacity
        self._rows = torch.empty(min(_CHUNK, capacity), sum(self._sizes))
        self._count = 0

    def __len__(self) -> int:
        """Transitions held now."""
        return min(self._count, self._capacity)

    @property
    def total(self) -> int:
        """Transitions ever added, forgotten ones included."""
        return self._count

    def add(self, transition: Transition) -> None:
        """
        Append one transition.

        :raises SignalError: if a number in it is not finite.
        :raises ShapeError: if its sizes are not the robot's.
        """
        parts = (transition.state, transition.action, transition.next_state)
        found = tuple(part.numel() for part in parts)
        if found != self._sizes:
            raise ShapeError(f'transition has sizes {found}; valid: {self._sizes}')
        row = torch.cat(parts)
        if not bool(torch.isfinite(row).all()):
            raise SignalError('transition is not finite')
        slot = self._count % self._capacity
        if slot == len(self._rows):
            more = min(max(_CHUNK, slot), self._capacity - slot)
            self._rows = torch.cat([self._rows, torch.empty(more, sum(self._sizes))])
        self._rows[slot] = row
        self._count += 1

    def latest(self, count: int) -> Batch:
        """
        Newest transitions, oldest of them first.

        :param count: how many at most.
        """
        first = self._count - min(count, len(self))
        return self._batch(torch.arange(first, self._count) % self._capacity)

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """
        Draw transitions uniformly, with replacement.

        :param count: rows to draw.
        :param generator: the only source of randomness.
        :raises ShapeError: if nothing has been added yet.
        """
        if not self._count:
            raise ShapeError('replay is empty; add a transition before sampling')
        return self._batch(torch.randint(len(self), (count,), generator=generator))

    def _batch(self, rows: Int[Tensor, ' B']) -> Batch:
        return Batch(*self._rows[rows].split(self._sizes, dim=-1))
