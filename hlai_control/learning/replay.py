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

"""Memory of what the robot did: the newest in order, and a fair sample of all that is older."""

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
import torch
from torch import Tensor

from hlai_control.errors import ShapeError, SignalError
from hlai_control.layout import Layout
from hlai_control.learning.spans import alone, following, Spans
from hlai_control.types import Batch, Transition

_CHUNK = 1024
# Older rows kept at most: as many as fill a million updates' batches with few repeats.
_OLDER = 50_000


@runtime_checkable
class Archive(Protocol):
    """Where all transitions lie, the ones that memory no longer holds included."""

    def at(self, numbers: list[int]) -> Batch:
        """
        Return single transitions.

        :param numbers: from 0, the first one ever; any that is missing is left out.
        """


class Replay:
    """
    Transitions in preallocated rows: constant memory and time, however many there have been.

    The newest lie in a ring. What leaves it enters a pool that is, at any
    time, a uniform sample of everything older (algorithm R: Vitter 1985,
    *Random sampling with a reservoir*); so draws are uniform over all that
    ever was, and the first minutes count as much as any others. With an
    archive, each new transition also has one row of the pool replaced by one
    from the disk, so that over the hours all of it is seen again.

    :param layout: sizes of state and action.
    :param capacity: newest rows at most.
    :param older: rows of the pool at most.
    :param archive: where older rows are read; None: memory is all there is.
    """

    def __init__(self, layout: Layout, capacity: int = 100_000, older: int = _OLDER,
                 archive: Archive | None = None) -> None:
        """Begin empty."""
        self._sizes = (layout.state_size, layout.action_size, layout.state_size)
        self._capacity, self._older, self._archive = capacity, older, archive
        width = sum(self._sizes)
        self._rows = torch.empty(min(_CHUNK, capacity), width)
        self._pool = torch.empty(min(_CHUNK, older), width)
        # Rows before the first one that counts are as if they had never been.
        self._count = self._first = 0
        # Its own: what the learners draw does not depend on how much is forgotten.
        self._generator = torch.Generator().manual_seed(0)

    def __len__(self) -> int:
        """Transitions held now, the pool's included."""
        return min(self._count - self._first, self._capacity) + self._pooled

    @property
    def total(self) -> int:
        """Transitions ever added, those no longer held included."""
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
        self._append(torch.cat(parts).unsqueeze(0))
        self._refresh()

    def extend(self, batch: Batch) -> None:
        """
        Append many transitions, oldest first, as if one after the other.

        The archive is not read: who has many at hand is reading it.

        :raises SignalError: if a number in it is not finite; then none is added.
        :raises ShapeError: if its sizes are not the robot's.
        """
        parts = (batch.state, batch.action, batch.next_state)
        found = tuple(part.shape[-1] for part in parts)
        if found != self._sizes:
            raise ShapeError(f'transitions have sizes {found}; valid: {self._sizes}')
        self._append(torch.cat(parts, dim=-1))

    def forget(self, keep: int) -> None:
        """
        Begin anew, but for the newest rows; ``total`` goes on counting.

        :param keep: how many at most.
        """
        self._first = max(self._first, self._count - min(keep, self._capacity))

    def latest(self, count: int) -> Batch:
        """
        Newest transitions, oldest of them first.

        :param count: how many at most.
        """
        first = max(self._first, self._count - min(count, self._capacity))
        return self._batch(self._rows[torch.arange(first, self._count) % self._capacity])

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """
        Draw transitions uniformly over all that were ever added, with replacement.

        :param count: rows to draw.
        :param generator: the only source of randomness.
        :raises ShapeError: if nothing has been added yet.
        """
        return self._batch(self._drawn(count, generator)[0])

    def spans(self, count: int, length: int, generator: torch.Generator) -> Spans:
        """
        Draw the same transitions as :meth:`sample`, each with those that followed it.

        Of what has left the newest rows, nobody knows any more what followed.

        :param count: rows to draw.
        :param length: L, how many steps at most.
        :param generator: the only source of randomness.
        :raises ShapeError: if nothing has been added yet.
        """
        found, drawn, is_old = self._drawn(count, generator)
        first = alone(self._batch(found), length)
        if length == 1:
            return first
        numbers = (drawn.unsqueeze(1) + torch.arange(length)).clamp_max(self._count - 1)
        rows = self._batch(self._rows[numbers.flatten() % self._capacity])
        met = following(rows, torch.arange(count) * length, length)
        exists = (numbers[:, 1:] > numbers[:, :-1]) & ~is_old.unsqueeze(1)
        joined = met.joined.clone()
        joined[:, 1:] &= exists
        old = is_old[:, None, None]
        return Spans(first.state, torch.where(old, first.action, met.action),
                     torch.where(old, first.ahead, met.ahead), joined)

    def _drawn(self, count: int, generator: torch.Generator
               ) -> tuple[Float[Tensor, 'B R'], Int[Tensor, ' B'], Bool[Tensor, ' B']]:
        # Rows, their numbers, and whether they were taken from the pool.
        if self._count == self._first:
            raise ShapeError('replay is empty; add a transition before sampling')
        drawn = torch.randint(self._first, self._count, (count,), generator=generator)
        found = self._rows[drawn % self._capacity]
        is_old = drawn < self._first + self._left
        if self._left:
            slots = torch.randint(self._pooled, (count,), generator=generator)
            found[is_old] = self._pool[slots[is_old]]
        return found, drawn, is_old

    @property
    def _left(self) -> int:
        """Rows that have left the ring; none count if there is no pool to hold any."""
        gone = self._count - self._capacity - self._first
        return max(0, gone) if self._older else 0

    @property
    def _pooled(self) -> int:
        return min(self._left, self._older)

    def _append(self, rows: Float[Tensor, 'B R']) -> None:
        if not bool(torch.isfinite(rows).all()):
            raise SignalError('transition is not finite')
        for part in rows.split(self._capacity):
            self._retire(len(part))
            numbers = torch.arange(self._count, self._count + len(part))
            self._rows = _grown(self._rows, self._count + len(part), self._capacity)
            self._rows[numbers % self._capacity] = part
            self._count += len(part)

    def _retire(self, coming: int) -> None:
        """Offer the pool those rows whose place will be taken."""
        left = self._count + coming - self._capacity - self._first
        first = self._left
        if left <= first or not self._older:
            return
        numbers = torch.arange(first, left)
        # Row number j stays with probability (size of the pool) / (j + 1).
        drawn = torch.rand(len(numbers), generator=self._generator, dtype=torch.float64)
        slots = torch.where(numbers < self._older, numbers, (drawn * (numbers + 1)).long())
        self._pool = _grown(self._pool, left, self._older)
        kept = slots < self._older
        # Of several rows for one place the last one gets it: numpy promises that, torch does not.
        self._pool.numpy()[slots[kept].numpy()] = self._rows[
            (self._first + numbers[kept]) % self._capacity].numpy()

    def _refresh(self) -> None:
        """Replace one row of a full pool by any one that is older than the ring."""
        if self._archive is None or self._left <= self._older:
            return
        number, slot = (torch.rand(2, generator=self._generator, dtype=torch.float64)
                        * torch.tensor([self._left, self._older])).long().tolist()
        found = self._archive.at([self._first + number])
        row = torch.cat([found.state, found.action, found.next_state], dim=-1)
        if len(row) and bool(torch.isfinite(row).all()):
            self._pool[slot] = row[0]

    def _batch(self, rows: Float[Tensor, 'B R']) -> Batch:
        return Batch(*rows.split(self._sizes, dim=-1))


def _grown(rows: Float[Tensor, 'N R'], needed: int, limit: int) -> Float[Tensor, 'M R']:
    """Return rows with room for as many as needed, up to a limit."""
    needed = min(needed, limit)
    if needed <= len(rows):
        return rows
    size = min(limit, max(needed, 2 * len(rows)))
    return torch.cat([rows, rows.new_empty(size - len(rows), rows.shape[1])])
