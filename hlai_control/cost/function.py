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


"""The cost of a task: differentiable, at least zero, with nothing in it learned."""

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.cost import terms
from hlai_control.cost.kinematics import Kinematics
from hlai_control.cost.spec import CostSpec, KINDS, TermSpec
from hlai_control.errors import SettingsError
from hlai_control.layout import Layout


class TaskCost(nn.Module):
    """
    Sum of a task's weighted terms, as ``protocols.CostFunction`` states.

    Terms of one kind are computed together, as columns of one tensor; that
    keeps a planner's inner loop short. The numbers live in buffers, so that
    ``to(device)`` moves them, and there is no parameter.

    :param layout: names of the coordinates.
    :param spec: the terms.
    :raises SettingsError: if a term names an unknown coordinate, or is
        quadratic in an angle.
    """

    angle_index: Tensor
    angle_goal: Tensor
    angle_weight: Tensor
    quadratic_index: Tensor
    quadratic_goal: Tensor
    quadratic_weight: Tensor
    saturating_index: Tensor
    saturating_goal: Tensor
    saturating_weight: Tensor
    saturating_width: Tensor
    saturating_turn: Tensor
    barrier_index: Tensor
    barrier_weight: Tensor
    barrier_limit: Tensor

    def __init__(self, layout: Layout, spec: CostSpec) -> None:
        """Resolve each term's coordinate and group the terms by kind."""
        super().__init__()
        self._names = tuple(term.name for term in spec.terms)
        self.discount, self._size = spec.discount, layout.state_size
        self._places = places = tuple(name for name in layout.places if any(
            term.coordinate == name for term in spec.terms))
        self._kinematics = Kinematics(layout, places) if places else None
        columns = layout.states + layout.actions + places
        turns = layout.angle + (False,) * (len(columns) - len(layout.angle))
        for term in spec.terms:
            _check(term, layout, columns, turns)
        groups = [[term for term in spec.terms if term.kind == kind] for kind in KINDS]
        order = [term.name for group in groups for term in group]
        self._order = tuple(order.index(name) for name in self._names)
        self._present = tuple(bool(group) for group in groups)
        for kind, group in zip(KINDS, groups, strict=True):
            self._add(kind, 'index', [columns.index(term.coordinate) for term in group])
            self._add(kind, 'goal', [term.goal for term in group])
            self._add(kind, 'weight', [term.weight for term in group])
            self._add(kind, 'limit', [term.limit for term in group])
            self._add(kind, 'width', [term.width for term in group])
        self._add('saturating', 'turn',
                  [turns[columns.index(term.coordinate)] for term in groups[2]])

    def _add(self, kind: str, name: str, values: list[int] | list[float] | list[bool]) -> None:
        dtype = {'index': torch.long, 'turn': torch.bool}.get(name, torch.float32)
        self.register_buffer(f'{kind}_{name}', torch.tensor(values, dtype=dtype))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the C terms, in the order of the task."""
        return self._names

    def fits(self, other: 'TaskCost') -> bool:
        """Whether :meth:`take` can take another cost: as many terms of each kind, in one order."""
        own, theirs = self.state_dict(), other.state_dict()
        return self._order == other._order and self._places == other._places and all(
            own[name].shape == theirs[name].shape for name in own)

    def take(self, other: 'TaskCost') -> None:
        """
        Take another cost's numbers in place, for what reads them where they are.

        :param other: one that :meth:`fits`.
        """
        self.load_state_dict(other.state_dict())
        self._names, self.discount = other._names, other.discount

    def terms(self, state: Float[Tensor, '*B S'],
              action: Float[Tensor, '*B A']) -> Float[Tensor, '*B C']:
        """
        Weigh each term, in the order of ``names``.

        :param state: states, SI units.
        :param action: the commands in effect at those states.
        :returns: costs per control period, each at least zero.
        """
        parts = self._parts(self._columns(state, action))
        return torch.cat(parts, dim=-1)[..., list(self._order)]

    def stage(self, state: Float[Tensor, '*B S'],
              action: Float[Tensor, '*B A']) -> Float[Tensor, ' *B']:
        """
        Sum the terms; a state that is not finite never costs a finite amount.

        :param state: states, SI units.
        :param action: the commands in effect at those states.
        :returns: cost per control period.
        """
        columns = self._columns(state, action)
        # 0 * x is 0, or NaN for NaN and inf: also coordinates without a term count.
        return torch.cat([*self._parts(columns), columns * 0.0], dim=-1).sum(dim=-1)

    def _columns(self, state: Tensor, action: Tensor) -> Tensor:
        if self._kinematics is None:
            return torch.cat([state, action], dim=-1)
        return torch.cat([state, action, self._kinematics.of(state)], dim=-1)

    def expansion(self, state: Float[Tensor, 'B S'], action: Float[Tensor, 'B A']
                  ) -> tuple[Float[Tensor, 'B N'], Float[Tensor, 'B N N']]:
        """
        Differentiate :meth:`stage` twice: each term looks at one coordinate.

        Of terms that look at frames the Hessian is Gauss and Newton's: as if frames moved
        along straight lines.

        :param state: states, SI units.
        :param action: the commands in effect at those states.
        :returns: gradient and Hessian with regard to the state and then the action.
        """
        if self._kinematics is None:
            slope, curve = self._bend(torch.cat([state, action], dim=-1))
            return slope, torch.diag_embed(curve)
        places, moved = self._kinematics.expansion(state)
        size, beside = self._size, state.shape[-1] + action.shape[-1]
        slope, curve = self._bend(torch.cat([state, action, places], dim=-1))
        gradient, hessian = slope[:, :beside].clone(), torch.diag_embed(curve[:, :beside])
        gradient[:, :size] += torch.einsum('bp,bps->bs', slope[:, beside:], moved)
        hessian[:, :size, :size] += torch.einsum(
            'bps,bp,bpt->bst', moved, curve[:, beside:], moved)
        return gradient, hessian

    def _bend(self, both: Tensor) -> tuple[Tensor, Tensor]:
        index, slopes, curves = zip(*self._bends(both), strict=True)
        where = torch.cat(index)
        slope = torch.zeros_like(both).index_add(1, where, torch.cat(slopes, dim=1))
        curve = torch.zeros_like(both).index_add(1, where, torch.cat(curves, dim=1))
        return slope, curve

    def _bends(self, both: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        # Of each kind: its coordinates, and the weighed derivatives of its terms.
        found = []
        if self._present[0]:
            x = both[:, self.angle_index]
            found.append((self.angle_index, self.angle_weight,
                          terms.bend_angle(x, self.angle_goal)))
        if self._present[1]:
            x = both[:, self.quadratic_index]
            found.append((self.quadratic_index, self.quadratic_weight,
                          terms.bend_quadratic(x, self.quadratic_goal)))
        if self._present[2]:
            x = both[:, self.saturating_index]
            turned = terms.bend_angle(x, self.saturating_goal)
            straight = terms.bend_quadratic(x, self.saturating_goal)
            slope, curve = (torch.where(self.saturating_turn, 2.0 * one, other)
                            for one, other in zip(turned, straight, strict=True))
            found.append((self.saturating_index, self.saturating_weight, terms.bend_saturating(
                self._squared(x), slope, curve, self.saturating_width)))
        if self._present[3]:
            x = both[:, self.barrier_index]
            found.append((self.barrier_index, self.barrier_weight,
                          terms.bend_barrier(x, self.barrier_limit)))
        return [(index, weight * slope, weight * curve)
                for index, weight, (slope, curve) in found]

    def _parts(self, both: Float[Tensor, '*B N']) -> list[Tensor]:
        parts = []
        if self._present[0]:
            x = both[..., self.angle_index]
            parts.append(terms.angle(x, self.angle_goal) * self.angle_weight)
        if self._present[1]:
            x = both[..., self.quadratic_index]
            parts.append(terms.quadratic(x, self.quadratic_goal) * self.quadratic_weight)
        if self._present[2]:
            squared = self._squared(both[..., self.saturating_index])
            parts.append(terms.saturating(squared, self.saturating_width)
                         * self.saturating_weight)
        if self._present[3]:
            x = both[..., self.barrier_index]
            parts.append(terms.barrier(x, self.barrier_limit) * self.barrier_weight)
        return parts

    def _squared(self, x: Float[Tensor, '*B N']) -> Float[Tensor, '*B N']:
        return torch.where(self.saturating_turn, 2.0 * terms.angle(x, self.saturating_goal),
                           terms.quadratic(x, self.saturating_goal))


def _check(term: TermSpec, layout: Layout, columns: tuple[str, ...],
           turns: tuple[bool, ...]) -> None:
    if term.coordinate not in columns:
        valid = layout.states + layout.actions + layout.places
        raise SettingsError(f'term {term.name!r}: coordinate {term.coordinate!r} is not one of '
                            f'{", ".join(valid)}')
    if term.kind == 'quadratic' and turns[columns.index(term.coordinate)]:
        raise SettingsError(f'term {term.name!r}: {term.coordinate!r} is an angle, equal after '
                            'whole turns; use kind angle or saturating')
