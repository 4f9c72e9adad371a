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


"""
A task as data: ``config/tasks/*.yaml`` read for one robot; torch-free.

The goal gives each coordinate its target; a rate or an actuator that it does
not name has the target 0. The terms say what distance from it costs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
import math
from pathlib import Path
from typing import Any

from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.limits import read_clearances, read_constraint, read_obstacle, speakable
from hlai_control.cost.solved import SolvedSpec, Within
from hlai_control.cost.spec import CostSpec, KINDS, TermSpec
from hlai_control.documents import read_document, suggest, unique, Value
from hlai_control.errors import SettingsError
from hlai_control.resources import task_path
from hlai_control.robots.manifest import RobotManifest
from hlai_control.robots.simulation import Obstacle
from hlai_control.settings import GROUPS

MAX_WEIGHT = 1e6
# Each is reported at each tick, in a message that stays below 64 KB.
MAX_CONSTRAINTS = 128
# The fields that a kind needs beside name, kind, coordinate and weight.
_EXTRA = {'angle': (), 'quadratic': (), 'saturating': ('width',), 'barrier': ('limit',)}
# What keeps people safe, what is simulated, and how nodes are started is no matter of a task.
_ROOMS = tuple(name for name in GROUPS if name not in ('guard', 'simulation', 'configurator'))
_REQUIRED = ('name', 'description', 'robots', 'goal', 'discount', 'terms', 'solved')
_OPTIONAL = ('constraints', 'settings', 'visits', 'obstacles')
_COMMON = ('name', 'kind', 'coordinate', 'weight')


@dataclass(frozen=True)
class Target:
    """
    Where one coordinate shall be.

    :param coordinate: name of a state coordinate.
    :param value: its goal [m, rad, m/s or rad/s].
    """

    coordinate: str
    value: float


@dataclass(frozen=True)
class Range:
    """
    Where one position may lie.

    :param coordinate: its name.
    :param low: [m or rad].
    :param high: [m or rad].
    """

    coordinate: str
    low: float
    high: float


@dataclass(frozen=True)
class VisitSpec:
    """
    How the goal moves, see ``cost/visits.py``.

    :param every_s: for how long each goal counts [s].
    :param within: where positions are drawn; others stay where a simulation begins.
    """

    every_s: float
    within: tuple[Range, ...]


@dataclass(frozen=True)
class TaskSpec:
    """
    One task for one robot.

    :param name: ``swingup``.
    :param description: one sentence for people.
    :param path: the file that it came from.
    :param robot: name of the robot that it was read for.
    :param goal: the targets, in the file's order.
    :param cost: the terms and the discount.
    :param solved: when the task counts as solved.
    :param settings: by parameter name, in the place of their defaults.
    :param visits: how the goal moves; None: it stays.
    :param obstacles: that the simulated robot may touch; its plans keep clear of them by
        constraints of ``cost``.
    """

    name: str
    description: str
    path: Path
    robot: str
    goal: tuple[Target, ...]
    cost: CostSpec
    solved: SolvedSpec
    settings: tuple[tuple[str, object], ...] = ()
    visits: VisitSpec | None = None
    obstacles: tuple[Obstacle, ...] = ()

    def rooms(self, typed: Mapping[str, object]) -> dict[str, object]:
        """Return the task's settings under those that were typed, which count more."""
        return {**dict(self.settings), **typed}


def load_task(name_or_path: str, manifest: RobotManifest) -> TaskSpec:
    """
    Read and check a task for one robot.

    :param name_or_path: ``swingup``, or the path of a ``.yaml`` file.
    :param manifest: the robot whose coordinates the task speaks of.
    :raises UsageError: if there is no such task.
    :raises DocumentError: at the first wrong value.
    """
    path = task_path(name_or_path)
    root = read_document(path).section(_REQUIRED, _OPTIONAL)
    _check_robot(root['robots'], manifest)
    goal = _goal(root['goal'], manifest)
    name = root['name'].name()
    places = root['terms'].items(least=1)
    terms = tuple(_term(place, goal, manifest) for place in places)
    unique(tuple(place.entries()['name'] for place in places),
           tuple(term.name for term in terms), 'term name')
    obstacles, cleared = _obstacles(root, manifest)
    return TaskSpec(
        name=name,
        description=root['description'].text(),
        path=path,
        robot=manifest.name,
        goal=tuple(Target(key, value) for key, value in goal.items()),
        cost=CostSpec(name, root['discount'].number(0.0, 1.0), terms,
                      _constraints(root, manifest) + cleared),
        solved=_solved(root['solved'], goal, manifest),
        settings=_settings(root['settings']) if 'settings' in root else (),
        visits=_visits(root['visits'], manifest) if 'visits' in root else None,
        obstacles=obstacles)


def _constraints(root: Mapping[str, Value],
                 manifest: RobotManifest) -> tuple[ConstraintSpec, ...]:
    places = root['constraints'].items(1, MAX_CONSTRAINTS) if 'constraints' in root else ()
    found = tuple(read_constraint(place, manifest) for place in places)
    unique(tuple(place.entries()['name'] for place in places),
           tuple(one.name for one in found), 'constraint name')
    return found


def _obstacles(root: Mapping[str, Value], manifest: RobotManifest
               ) -> tuple[tuple[Obstacle, ...], tuple[ConstraintSpec, ...]]:
    """Return the obstacles, and the constraints that keep clear of them."""
    places = root['obstacles'].items(1, MAX_CONSTRAINTS) if 'obstacles' in root else ()
    found = tuple(read_obstacle(place) for place in places)
    unique(tuple(place.entries()['name'] for place in places),
           tuple(one.name for one in found), 'obstacle name')
    return found, tuple(
        one for place, obstacle in zip(places, found, strict=True)
        for one in read_clearances(place.entries()['clear'], obstacle, manifest))


def _settings(value: Value) -> tuple[tuple[str, object], ...]:
    found: list[tuple[str, object]] = []
    for group, room in value.section((), _ROOMS).items():
        kinds = {item.name: item for item in fields(GROUPS[group])}  # type: ignore[arg-type]
        given = {name: _setting(place, kinds[name].default, kinds[name].metadata)
                 for name, place in room.section((), tuple(kinds)).items()}
        try:
            GROUPS[group](**given)
        except SettingsError as error:
            raise room.error(str(error)) from None
        found += [(f'{group}.{name}', one) for name, one in given.items()]
    return tuple(found)


def _setting(value: Value, default: object, declared: Mapping[str, Any]) -> object:
    if isinstance(default, bool):
        return value.flag()
    if isinstance(default, str):
        return '' if '' in declared['options'] and value.is_none() else value.choice(
            declared['options'])
    if isinstance(default, int):
        return value.whole(declared['low'], declared['high'])
    return value.number(declared['low'], declared['high'])


def _check_robot(value: Value, manifest: RobotManifest) -> None:
    names = tuple(item.name() for item in value.items(least=1))
    if manifest.name not in names:
        raise value.error(f'a list with {manifest.name!r}, the robot that was asked for; '
                          'or choose another task', f'robots {", ".join(names)}')


def _goal(value: Value, manifest: RobotManifest) -> dict[str, float]:
    valid = manifest.layout.states + manifest.layout.places
    goal = {}
    for key, item in value.entries().items():
        if key not in valid:
            raise item.error(suggest(key, valid), f'unknown coordinate {key!r}')
        low, high = _range(key, manifest)
        goal[key] = item.number(low, high)
    return goal


def _range(name: str, manifest: RobotManifest) -> tuple[float, float]:
    for item in manifest.coordinates:
        if name == item.name and item.kind == 'linear':
            return item.low, item.high
        if name == item.rate:
            return -item.velocity_limit, item.velocity_limit
    return -math.inf, math.inf


def _visits(value: Value, manifest: RobotManifest) -> VisitSpec:
    fields = value.section(('every_s', 'within'))
    known = {item.name: item for item in manifest.coordinates}
    ranges = []
    for key, item in fields['within'].entries().items():
        if key not in known:
            raise item.error(suggest(key, tuple(known)), f'unknown position {key!r}')
        low, high = (end.number(known[key].low, known[key].high) for end in item.items(2, 2))
        if low >= high:
            raise item.error('the least position, then a greater one', f'[{low:g}, {high:g}]')
        ranges.append(Range(key, low, high))
    if not ranges:
        raise fields['within'].error('one or more positions, "name: [least, greatest]"')
    return VisitSpec(fields['every_s'].number(above=0.0, high=86400.0), tuple(ranges))


def _term(value: Value, goal: dict[str, float], manifest: RobotManifest) -> TermSpec:
    # The kind decides which fields are valid, so it is read before the rest.
    kind = value.section(_COMMON, ('width', 'limit'))['kind'].choice(KINDS)
    fields = value.section(_COMMON + _EXTRA[kind])
    coordinate = fields['coordinate'].choice(speakable(manifest))
    angles = tuple(item.name for item in manifest.coordinates if item.kind == 'angle')
    if kind == 'angle' and coordinate not in angles:
        raise fields['coordinate'].error(f'for the kind angle, one of {", ".join(angles)}')
    if kind != 'barrier':
        _check_goal(fields['coordinate'], coordinate, goal, manifest)
    # The dataclass knows the value of a field that this kind does not use.
    extra = {name: fields[name].number(above=0.0) for name in _EXTRA[kind]}
    return TermSpec(
        name=fields['name'].name(), kind=kind, coordinate=coordinate,
        weight=fields['weight'].number(0.0, MAX_WEIGHT),
        goal=goal.get(coordinate, 0.0), **extra)


def _check_goal(value: Value, coordinate: str, goal: dict[str, float],
                manifest: RobotManifest) -> None:
    layout = manifest.layout
    if coordinate in layout.positions + layout.places and coordinate not in goal:
        raise value.error('a position that the goal names, '
                          + suggest(coordinate, tuple(goal)), f'{coordinate!r} without a goal')


def _solved(value: Value, goal: dict[str, float], manifest: RobotManifest) -> SolvedSpec:
    fields = value.section(('within', 'hold_s'))
    layout = manifest.layout
    angles = {item.name for item in manifest.coordinates if item.kind == 'angle'}
    within = []
    for key, item in fields['within'].entries().items():
        if key not in layout.states + layout.places:
            raise item.error(suggest(key, layout.states + layout.places),
                             f'unknown coordinate {key!r}')
        _check_goal(item, key, goal, manifest)
        within.append(Within(coordinate=key, tolerance=item.number(above=0.0),
                             goal=goal.get(key, 0.0), is_angle=key in angles))
    if not within:
        raise fields['within'].error('one or more coordinates, "name: tolerance"')
    return SolvedSpec(tuple(within), fields['hold_s'].number(0.0, 3600.0))
