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
# Of many rows, as many are looked at together; fewer where many are kept.
_LEAST, _MOST = 16, 2048
# Squares of distances by matrix products are right up to this share of the squared lengths.
_ROUNDING = 1e-5


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
        place = self._place(transition.state, transition.action)
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

    def extend(self, batch: Batch) -> None:
        """
        Offer many transitions, to the same end as one after the other.

        Almost none of them are kept, and those that are certainly not need no
        more than one matrix product for many.

        :param batch: finite, of the robot's sizes, oldest first.
        """
        places = self._place(batch.state, batch.action)
        at, width = 0, _LEAST
        while at < len(places):
            ahead = places[at:at + width]
            passed = self._certainly_not(ahead)
            self._greatest = torch.cat([self._greatest.unsqueeze(0),
                                        ahead[:passed].abs()]).amax(dim=0)
            at += passed
            if passed == len(ahead):
                width = min(_MOST, 2 * width)
                continue
            self.add(Transition(batch.state[at], batch.action[at], batch.next_state[at]))
            at, width = at + 1, min(_MOST, max(_LEAST, 2 * passed))

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

    def _certainly_not(self, places: Float[Tensor, 'B P']) -> int:
        """Count the leading rows that would change neither units nor what is held."""
        if self._held < self._capacity:
            return 0
        held, rows = self._places / self._unit, places / self._unit
        lengths, squares = held.square().sum(dim=1), rows.square().sum(dim=1)
        nearest = torch.addmm(lengths, rows, held.T, alpha=-2.0).amin(dim=1) + squares
        slack = _ROUNDING * (1.0 + squares + lengths.max())
        counts = nearest + slack > self._apart.min().square()
        reached = torch.maximum(places.abs().cummax(dim=0).values, self._greatest)
        counts |= (reached > _GROWN * self._unit).any(dim=1)
        return int(counts.int().argmax()) if bool(counts.any()) else len(places)

    def _place(self, state: Float[Tensor, '*B S'],
               action: Float[Tensor, '*B A']) -> Float[Tensor, '*B P']:
        position, rate = state.split(self._count, dim=-1)
        return torch.cat([torch.where(self._turns, position.sin(), position),
                          torch.where(self._turns, position.cos(), 0.0),
                          rate, action], dim=-1)

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
