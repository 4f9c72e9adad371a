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

"""The constraints of a task: differentiable, satisfied where they are not above zero."""

from dataclasses import dataclass
from math import pi

from jaxtyping import Float, Int
import torch
from torch import Tensor

from hlai_control.cost.constraint_spec import ConstraintSpec, KEEP_OUT, LIMIT, RATE
from hlai_control.cost.kinematics import Kinematics
from hlai_control.cost.spec import CostSpec
from hlai_control.errors import SettingsError
from hlai_control.layout import Layout

# Rounds the tip of the cone abs(x - centre), as a fraction of the radius.
_TIP = 1e-3


@dataclass(frozen=True)
class _Axis:
    """One coordinate, measured from a centre; ``turn``: equal after so much, 0: never."""

    index: int
    centre: float
    turn: float

    def distance(self, columns: Tensor) -> Tensor:
        away = columns[..., self.index] - self.centre
        return away - self.turn * torch.round(away / self.turn) if self.turn else away


@dataclass(frozen=True)
class _Side:
    """At most ``half`` away from the centre, to the side of ``sign``."""

    axis: _Axis
    sign: float
    half: float
    unit: float


@dataclass(frozen=True)
class _Sides:
    """
    All sides at once, one number each: a plan measures them many times.

    :param index: where its coordinate stands.
    :param turn: equal after so much, 0: never.
    :param slope: its sign, divided by its unit.
    :param edge: its half, divided by its unit.
    """

    index: Int[Tensor, ' N']
    centre: Float[Tensor, ' N']
    turn: Float[Tensor, ' N']
    slope: Float[Tensor, ' N']
    edge: Float[Tensor, ' N']
    turns: bool

    @staticmethod
    @torch.inference_mode(False)
    def of(sides: tuple[_Side, ...], like: Tensor) -> '_Sides':
        """Lay them out in the type and on the device of a tensor."""
        def column(*numbers: float) -> Tensor:
            return torch.tensor(numbers, dtype=like.dtype, device=like.device)
        turn = [one.axis.turn for one in sides]
        return _Sides(
            torch.tensor([one.axis.index for one in sides], dtype=torch.long, device=like.device),
            column(*(one.axis.centre for one in sides)), column(*turn),
            column(*(one.sign / one.unit for one in sides)),
            column(*(one.half / one.unit for one in sides)), any(turn))

    def values(self, columns: Float[Tensor, '*B M']) -> Float[Tensor, '*B N']:
        away = columns.index_select(-1, self.index) - self.centre
        if self.turns:
            away = away - self.turn * torch.round(away / torch.where(
                self.turn > 0.0, self.turn, 1.0))
        return away * self.slope - self.edge

    def slopes(self, width: int) -> Float[Tensor, 'N M']:
        made = self.slope.new_zeros(len(self.slope), width)
        return made.scatter(1, self.index.unsqueeze(1), self.slope.unsqueeze(1))


@dataclass(frozen=True)
class _Region:
    """At least ``unit``, the radius, away from the centre of all axes."""

    axes: tuple[_Axis, ...]
    unit: float

    def value(self, columns: Tensor) -> Tensor:
        return 1.0 - self._root(columns)

    def fill(self, row: Tensor, columns: Tensor) -> None:
        root = self._root(columns) * (1.0 + _TIP ** 2) * self.unit ** 2
        for axis in self.axes:
            row[..., axis.index] = -axis.distance(columns) / root

    def _root(self, columns: Tensor) -> Tensor:
        tip = (_TIP * self.unit) ** 2
        squared = sum((axis.distance(columns).square() for axis in self.axes),
                      torch.full((), tip, dtype=columns.dtype, device=columns.device))
        return (squared / (self.unit ** 2 + tip)).sqrt()


class TaskConstraints:
    """
    A task's constraints, as ``protocols.ConstraintFunction`` states.

    Each is a signed distance from its edge, divided by a unit that makes it
    of order one: the half range of a limit (one-sided: its own size, 1 where
    that is 0), a region's radius, the change that a rate allows in one control
    period. Limits with two sides, and rates, are two: ``<name>.low`` and
    ``<name>.high``. Regions come last. Angles are compared modulo 2 pi.

    :param layout: names of the coordinates, and the control period.
    :param specs: one or more.
    :raises SettingsError: if one names an unknown coordinate, or limits an
        angle to one side, or to a turn and more.
    """

    def __init__(self, layout: Layout, specs: tuple[ConstraintSpec, ...]) -> None:
        """Resolve each coordinate."""
        size, names = layout.state_size, layout.states + layout.actions
        self._beside = size + 2 * layout.action_size
        places = tuple(name for name in layout.places
                       if any(name in spec.coordinates for spec in specs))
        self._kinematics = Kinematics(layout, places) if places else None
        regions: list[tuple[str, _Region, bool, float]] = []
        sides: list[tuple[str, _Side, bool, float]] = []
        for spec in specs:
            check(spec, layout)
            at = [self._beside + places.index(name) if name in places else names.index(name)
                  for name in spec.coordinates]
            of_state = all(i < size or i >= self._beside for i in at)
            if spec.kind == KEEP_OUT:
                axes = tuple(_axis(i, centre, layout)
                             for i, centre in zip(at, spec.centre, strict=True))
                regions.append((spec.name, _Region(axes, spec.radius), of_state, spec.radius))
                continue
            for side, part, unit in _sides(spec, at[0], layout):
                sides.append((f'{spec.name}.{side}', part, of_state, unit))
        self.names, _, self.of_state, self.units = (
            tuple(column) for column in zip(*sides, *regions, strict=True))
        self._sides, self._regions = (tuple(one[1] for one in sides),
                                      tuple(one[1] for one in regions))
        self._at_hand: dict[tuple[torch.dtype, torch.device], _Sides] = {}

    def values(self, state: Float[Tensor, '*B S'], action: Float[Tensor, '*B A'],
               previous: Float[Tensor, '*B A']) -> Float[Tensor, '*B G']:
        """
        Measure each, above 0 where it is violated; NaN for NaN.

        :param state: states, SI units.
        :param action: the commands in effect at those states.
        :param previous: the commands one control period before.
        """
        columns = torch.cat([state, action, action - previous, *(
            () if self._kinematics is None else (self._kinematics.of(state),))], dim=-1)
        found = self._sides_like(columns).values(columns)
        if not self._regions:
            return found
        return torch.cat([found, *(region.value(columns).unsqueeze(-1)
                                   for region in self._regions)], dim=-1)

    def slopes(self, state: Float[Tensor, 'B S'], action: Float[Tensor, 'B A'],
               previous: Float[Tensor, 'B A']) -> Float[Tensor, 'B G M']:
        """
        Differentiate :meth:`values` with regard to state, action and previous, in this order.

        :param state: states, SI units.
        :param action: the commands in effect at those states.
        :param previous: the commands one control period before.
        """
        columns, size = torch.cat([state, action, action - previous], dim=-1), action.shape[-1]
        if self._kinematics is not None:
            places, moved = self._kinematics.expansion(state)
            columns = torch.cat([columns, places], dim=-1)
        made = columns.new_zeros(len(columns), len(self.names), columns.shape[-1])
        made[:, :len(self._sides)] = self._sides_like(columns).slopes(columns.shape[-1])
        for at, region in enumerate(self._regions, len(self._sides)):
            region.fill(made[:, at], columns)
        if self._kinematics is not None:
            made, beside = made[..., :self._beside], made[..., self._beside:]
            made[..., :state.shape[-1]] += beside @ moved
        change = made[..., -size:].clone()
        made[..., -2 * size:-size] += change
        made[..., -size:] = -change
        return made

    def _sides_like(self, columns: Tensor) -> _Sides:
        key = (columns.dtype, columns.device)
        if key not in self._at_hand:
            self._at_hand[key] = _Sides.of(self._sides, columns)
        return self._at_hand[key]


def task_constraints(layout: Layout, spec: CostSpec) -> TaskConstraints | None:
    """
    Return the constraints of a task's specification, None if it has none.

    :param layout: the robot.
    :raises SettingsError: as :class:`TaskConstraints`.
    """
    return TaskConstraints(layout, spec.constraints) if spec.constraints else None


def check(spec: ConstraintSpec, layout: Layout) -> None:
    """
    Check what a specification alone does not know: the robot.

    :raises SettingsError: naming the constraint, what was found and what is valid.
    """
    valid = (layout.actions if spec.kind == RATE
             else layout.states + layout.actions + layout.places)
    for name in spec.coordinates:
        if name not in valid:
            raise SettingsError(f'constraint {spec.name!r}: coordinate {name!r} is not one of '
                                f'{", ".join(valid)}')
    angles = [name for name, turns in zip(layout.positions, layout.angle, strict=True) if turns]
    if spec.kind == LIMIT and spec.coordinates[0] in angles:
        if spec.low is None or spec.high is None or spec.high - spec.low >= 2.0 * pi:
            raise SettingsError(
                f'constraint {spec.name!r}: {spec.coordinates[0]!r} is an angle, equal after '
                'whole turns; valid: low and high, less than 2 pi apart')


def _axis(index: int, centre: float, layout: Layout) -> _Axis:
    turns = index < len(layout.angle) and layout.angle[index]
    return _Axis(index, centre, 2.0 * pi if turns else 0.0)


def _sides(spec: ConstraintSpec, index: int,
           layout: Layout) -> list[tuple[str, _Side, float]]:
    """Return the sides of a limit or a rate, each with the unit of its value."""
    if spec.kind == RATE:
        change = spec.limit * layout.period_s
        axis = _Axis(index + layout.action_size, 0.0, 0.0)  # the columns of changes
        return [(side, _Side(axis, sign, change, change), spec.limit)
                for side, sign in (('low', -1.0), ('high', 1.0))]
    if spec.low is not None and spec.high is not None:
        centre, half = 0.5 * (spec.low + spec.high), 0.5 * (spec.high - spec.low)
        axis = _axis(index, centre, layout)
        return [(side, _Side(axis, sign, half, half), half)
                for side, sign in (('low', -1.0), ('high', 1.0))]
    sides = (('low', spec.low, -1.0), ('high', spec.high, 1.0))
    return [(side, _Side(_Axis(index, edge, 0.0), sign, 0.0, abs(edge) or 1.0),
             abs(edge) or 1.0) for side, edge, sign in sides if edge is not None]
