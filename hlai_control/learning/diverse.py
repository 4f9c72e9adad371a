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


"""Memory of what differs: a few hundred transitions, as far apart as what was ever seen allows."""

from math import inf

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.types import Batch, Transition

# Scales grow with what is seen; distances are measured anew once one has grown by so much.
_GROWN = 1.1


class DiverseMemory:
    """
    Keeps the transitions that lie farthest apart in state and action.

    A robot that stands still adds thousands of rows that say the same; drawn
    uniformly, the few seconds in which it learned how it moves are lost among
    them. So a new row is kept if it is farther from its nearest neighbour
    than the closest two that are held are from each other, and one of those
    two makes room: farthest-point selection (Gonzalez 1985, *Clustering to
    minimize the maximum intercluster distance*), one row at a time.

    Distances count each coordinate in units of the greatest value seen, an
    angle by its sine and cosine. The cost of a row does not grow with how
    many there have been.

    :param layout: the robot.
    :param capacity: rows held at most, 2 or more.
    """

    def __init__(self, layout: Layout, capacity: int) -> None:
        """Begin empty."""
        self._count, self._capacity = len(layout.positions), capacity
        self._turns = torch.tensor(layout.angle)
        self._sizes = (layout.state_size, layout.action_size, layout.state_size)
        self._rows = torch.empty(capacity, sum(self._sizes))
        seen = 3 * self._count + layout.action_size
        self._places = torch.empty(capacity, seen)
        self._apart = torch.full((capacity, capacity), inf)
        self._greatest = torch.full((seen,), torch.finfo(torch.float32).tiny)
        self._unit = self._greatest.clone()
        self._held = 0

    def __len__(self) -> int:
        """Transitions held now."""
        return self._held

    def add(self, transition: Transition) -> None:
        """
        Keep one transition if it differs enough from those held.

        :param transition: finite, of the robot's sizes.
        """
        place = self._place(transition)
        self._rescale(place)
        apart = torch.full((self._capacity,), inf)
        apart[:self._held] = torch.linalg.vector_norm(
            (self._places[:self._held] - place) / self._unit, dim=1)
        slot = self._slot(apart)
        if slot is None:
            return
        apart[slot] = inf
        self._places[slot] = place
        self._rows[slot] = torch.cat([
            transition.state, transition.action, transition.next_state])
        self._apart[slot], self._apart[:, slot] = apart, apart
        self._held = max(self._held, slot + 1)

    def all(self) -> Batch:
        """Return what is held, in no particular order."""
        return self._batch(self._rows[:self._held])

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """
        Draw transitions uniformly, with replacement.

        :param count: rows to draw; something must be held.
        :param generator: the only source of randomness.
        """
        drawn = torch.randint(self._held, (count,), generator=generator)
        return self._batch(self._rows[drawn])

    def _place(self, transition: Transition) -> Float[Tensor, ' P']:
        position, rate = transition.state.split(self._count)
        return torch.cat([torch.where(self._turns, position.sin(), position),
                          torch.where(self._turns, position.cos(), 0.0),
                          rate, transition.action])

    def _rescale(self, place: Float[Tensor, ' P']) -> None:
        self._greatest = torch.maximum(self._greatest, place.abs())
        if not bool((self._greatest > _GROWN * self._unit).any()):
            return
        self._unit = self._greatest.clone()
        held = self._places[:self._held] / self._unit
        apart = torch.cdist(held, held, compute_mode='donot_use_mm_for_euclid_dist')
        self._apart[:self._held, :self._held] = apart.fill_diagonal_(inf)

    def _slot(self, apart: Float[Tensor, ' N']) -> int | None:
        """Say whose place a row takes that lies so far from those held; None: nobody's."""
        if self._held < self._capacity:
            return self._held
        one, other = divmod(int(self._apart.argmin()), self._capacity)
        if not bool(apart.min() > self._apart[one, other]):
            return None
        # Of the two, the one that is nearer to the rest says less.
        to_rest = self._apart[[one, other]].topk(2, dim=1, largest=False).values[:, 1]
        return one if bool(to_rest[0] <= to_rest[1]) else other

    def _batch(self, rows: Float[Tensor, 'B R']) -> Batch:
        return Batch(*rows.split(self._sizes, dim=-1))
