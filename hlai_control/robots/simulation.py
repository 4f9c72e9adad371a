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

"""What stands in for a robot that is not there, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hlai_control.documents import Value
from hlai_control.robots.parts import Coordinate, MAX_LIMIT
from hlai_control.robots.urdf import check_joint, model_path, read_joints

GRAVITY = 9.81  # [m/s^2]


@dataclass(frozen=True)
class Obstacle:
    """
    Something that stands in the way and does not move.

    :param name: shown where it is touched.
    :param centre: of a ball, x, y and z; of a post on the ground, x and y [m].
    :param radius: [m].
    """

    name: str
    centre: tuple[float, ...]
    radius: float


@dataclass(frozen=True)
class Base:
    """
    A base on wheels that all turn, those of one side alike.

    :param left: joints of the wheels on the left.
    :param right: on the right.
    :param radius: of a wheel [m].
    :param track: distance of the sides, as its controller reckons: on a robot that
        skids as it turns, more than it is [m].
    :param effort: greatest torque of a wheel [N m].
    :param lag_s: time constant with which the controller's wheel speeds follow [s].
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    radius: float
    track: float
    effort: float
    lag_s: float


@dataclass(frozen=True)
class Simulation:
    """
    How PyBullet stands in for the robot.

    :param urdf: the model file.
    :param substeps: physics steps per control period.
    :param joint_damping: of each joint, in the URDF's order of joints named
        in the manifest [N s/m or N m s/rad].
    :param initial: initial position of each coordinate, at rest.
    :param velocity_lag_s: time constant with which joints follow velocity
        commands [s]; None: at once, as far as their torque goes.
    :param gravity: acceleration along -z [m/s^2].
    :param top_speed: speeds that joints cannot exceed [m/s or rad/s].
    :param base: how it drives; None: it stands where it is.
    """

    urdf: Path
    substeps: int
    joint_damping: tuple[tuple[str, float], ...]
    initial: tuple[float, ...]
    velocity_lag_s: float | None
    gravity: float = GRAVITY
    top_speed: tuple[tuple[str, float], ...] = ()
    base: Base | None = None


def read_simulation(root: Mapping[str, Value], folder: Path,
                    coordinates: tuple[Coordinate, ...], period_ns: int) -> Simulation:
    """
    Read a manifest's entry ``simulation``.

    :param root: the manifest's entries.
    :param folder: of the manifest.
    :param coordinates: of the robot.
    :param period_ns: the control period [ns].
    :raises DocumentError: naming what is wrong and what is valid.
    """
    needed = ('base',) if any(item.of_base for item in coordinates) else ()
    fields = root['simulation'].section(('urdf', 'step_s', 'joint_damping', 'initial', *needed),
                                        ('velocity_lag_s', 'gravity', 'top_speed'))
    urdf = model_path(fields['urdf'].text(), folder)
    joints = read_joints(fields['urdf'], urdf)
    for place, coordinate in zip(root['coordinates'].items(), coordinates, strict=True):
        if not coordinate.of_base:
            check_joint(place.entries()['joint'], coordinate.kind, joints)
    names = tuple(item.joint for item in coordinates if not item.of_base)
    damping = fields['joint_damping'].section(names)
    return Simulation(
        urdf=urdf, substeps=_substeps(fields['step_s'], period_ns),
        joint_damping=tuple((name, damping[name].number(0.0, MAX_LIMIT)) for name in names),
        initial=_initial(fields['initial'], coordinates),
        velocity_lag_s=fields['velocity_lag_s'].number_or_none(above=0.0, high=60.0)
        if 'velocity_lag_s' in fields else None,
        gravity=fields['gravity'].number(0.0, 1e3) if 'gravity' in fields else GRAVITY,
        top_speed=_top_speed(fields['top_speed'], names) if 'top_speed' in fields else (),
        base=_base(fields['base'], joints) if 'base' in fields else None)


def _base(value: Value, joints: dict[str, str]) -> Base:
    fields = value.section(('left', 'right', 'radius', 'track', 'effort', 'lag_s'))
    sides = []
    for side in ('left', 'right'):
        places = fields[side].items(least=1)
        for place in places:
            check_joint(place, 'angle', joints)
        sides.append(tuple(place.text() for place in places))
    radius, track, effort, lag_s = (fields[name].number(above=0.0, high=MAX_LIMIT)
                                    for name in ('radius', 'track', 'effort', 'lag_s'))
    return Base(sides[0], sides[1], radius, track, effort, lag_s)


def _top_speed(value: Value, joints: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    fields = value.section((), joints)
    return tuple((name, fields[name].number(above=0.0, high=MAX_LIMIT))
                 for name in joints if name in fields)


def _initial(value: Value, coordinates: tuple[Coordinate, ...]) -> tuple[float, ...]:
    fields = value.section(tuple(item.name for item in coordinates))
    return tuple(fields[item.name].number(max(item.low, -MAX_LIMIT), min(item.high, MAX_LIMIT))
                 for item in coordinates)


def _substeps(value: Value, period_ns: int) -> int:
    step_s = value.number(above=0.0)
    count = period_ns / 1e9 / step_s
    if not 1 <= round(count) <= 100_000 or abs(count - round(count)) > 1e-6 * count:
        raise value.error('a time that fits a whole number of times, 1 to 100000, into the '
                          f'control period of {period_ns / 1e9:g} s')
    return round(count)
