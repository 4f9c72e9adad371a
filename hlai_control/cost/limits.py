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


"""What a task says of limits, keep-out regions and obstacles, read for one robot; torch-free."""

import math

from hlai_control.cost.constraint_spec import (
    CONSTRAINT_KINDS,
    ConstraintSpec,
    KEEP_OUT,
    LIMIT,
    MAX_AXES,
    RATE,
)
from hlai_control.documents import suggest, unique, Value
from hlai_control.robots.manifest import RobotManifest
from hlai_control.robots.simulation import Obstacle

MAX_CLEAR_M = 1e3


def speakable(manifest: RobotManifest) -> tuple[str, ...]:
    """Return all that a task may speak of: states, commands, and where frames are."""
    layout = manifest.layout
    return layout.states + layout.actions + layout.places


def read_constraint(value: Value, manifest: RobotManifest) -> ConstraintSpec:
    """
    Read one entry of ``constraints``.

    :raises DocumentError: naming what is wrong and what is valid.
    """
    optional = ('coordinate', 'coordinates', 'low', 'high', 'centre', 'radius', 'limit')
    kind = value.section(('name', 'kind'), optional)['kind'].choice(CONSTRAINT_KINDS)
    return {LIMIT: _limit, KEEP_OUT: _keep_out, RATE: _rate}[kind](value, manifest)


def _limit(value: Value, manifest: RobotManifest) -> ConstraintSpec:
    fields = value.section(('name', 'kind', 'coordinate'), ('low', 'high'))
    layout = manifest.layout
    name = fields['coordinate'].choice(speakable(manifest))
    low, high = (fields[side].number() if side in fields else None for side in ('low', 'high'))
    is_angle = name in layout.positions and layout.angle[layout.positions.index(name)]
    if low is None and high is None or is_angle and (low is None or high is None):
        raise value.error('low, high or both; both for an angle, which has no far end',
                          'a limit without them')
    if low is not None and high is not None:
        fields['high'].number(above=low)
        if is_angle and high - low >= 2.0 * math.pi:
            raise fields['high'].error(f'less than 2 pi above low = {low:g}')
    return ConstraintSpec(fields['name'].name(), LIMIT, (name,), low, high)


def _keep_out(value: Value, manifest: RobotManifest) -> ConstraintSpec:
    fields = value.section(('name', 'kind', 'coordinates', 'centre', 'radius'))
    places = fields['coordinates'].items(1, MAX_AXES)
    names = tuple(place.choice(speakable(manifest)) for place in places)
    unique(places, names, 'coordinate')
    centre = tuple(place.number() for place in fields['centre'].items(len(names), len(names)))
    return ConstraintSpec(fields['name'].name(), KEEP_OUT, names, centre=centre,
                          radius=fields['radius'].number(above=0.0))


def read_obstacle(value: Value) -> Obstacle:
    """
    Read what an entry of ``obstacles`` says of the obstacle.

    :raises DocumentError: naming what is wrong and what is valid.
    """
    fields = value.section(('name', 'centre', 'radius', 'clear'))
    return Obstacle(fields['name'].name(),
                    tuple(part.number() for part in fields['centre'].items(2, 3)),
                    fields['radius'].number(above=0.0))


def read_clearances(value: Value, obstacle: Obstacle,
                    manifest: RobotManifest) -> tuple[ConstraintSpec, ...]:
    """
    Read what keeps parts of the robot clear of an obstacle, by how much for each.

    :param value: ``clear`` of an entry of ``obstacles``.
    :raises DocumentError: naming what is wrong and what is valid.
    """
    known, axes = speakable(manifest), 'xyz'[:len(obstacle.centre)]
    parts = {name.rpartition('.')[0] for name in known
             if all(f'{name.rpartition(".")[0]}.{axis}' in known for axis in axes)}
    found = []
    for part, clearance in value.entries().items():
        if part not in parts:
            raise clearance.error(
                suggest(part, tuple(sorted(parts))) if parts else
                f'nothing: this robot has no frame with {", ".join(axes)}', f'unknown {part!r}')
        found.append(ConstraintSpec(
            f'{obstacle.name}/{part}', KEEP_OUT, tuple(f'{part}.{axis}' for axis in axes),
            centre=obstacle.centre, radius=obstacle.radius + clearance.number(0.0, MAX_CLEAR_M)))
    if not found:
        raise value.error('one or more frames, "name: clearance"')
    return tuple(found)


def _rate(value: Value, manifest: RobotManifest) -> ConstraintSpec:
    fields = value.section(('name', 'kind', 'coordinate', 'limit'))
    name = fields['coordinate'].choice(manifest.layout.actions)
    return ConstraintSpec(fields['name'].name(), RATE, (name,),
                          limit=fields['limit'].number(above=0.0))
