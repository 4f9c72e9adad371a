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


"""Coordinates and actuators of a robot, as its manifest says."""

from collections.abc import Mapping
from dataclasses import dataclass
import math

from hlai_control.documents import suggest, unique, Value
from hlai_control.layout import RATE_SUFFIX
from hlai_control.robots.braking import Braking, read_braking

MAX_LIMIT = 1e9  # far below where arithmetic with limits could overflow
KINDS = ('linear', 'angle')
INTERFACES = ('effort', 'velocity', 'position', 'twist')
# What odometry tells of a base, and of which kind it is.
PARTS = {'x': 'linear', 'y': 'linear', 'yaw': 'angle'}
AXES = ('linear.x', 'angular.z')
ODOMETRY, TWIST = 'odometry/', 'twist/'


@dataclass(frozen=True)
class Coordinate:
    """
    One position coordinate, and its rate.

    :param name: its name on every signal topic.
    :param joint: the joint whose position it is, in ``joint_states``; of a
        mobile base ``odometry/x``, ``odometry/y`` or ``odometry/yaw``.
    :param kind: ``linear`` [m], or ``angle`` [rad], equal modulo 2 pi.
    :param low: least position, -inf if there is no limit.
    :param high: greatest position, inf if there is no limit.
    :param velocity_limit: greatest speed, inf if there is no limit.
    :param invariant: whether the dynamics do not depend on it.
    :param noise_std: the sensor's standard deviation; None: not measured.
    :param rate_noise_std: the same of the rate; None: not measured.
    :param braking: what its actuator is sure to do; None: nothing is declared.
    """

    name: str
    joint: str
    kind: str
    low: float
    high: float
    velocity_limit: float
    invariant: bool
    noise_std: float | None
    rate_noise_std: float | None
    braking: Braking | None = None

    @property
    def rate(self) -> str:
        """Name of the rate, ``<name>/rate``."""
        return self.name + RATE_SUFFIX

    @property
    def of_base(self) -> bool:
        """Whether odometry tells it, in its own frame, rates too."""
        return self.joint.startswith(ODOMETRY)


@dataclass(frozen=True)
class Actuator:
    """
    One actuator: one ros2_control interface of one joint, or one axis of a twist.

    :param name: its name on every signal topic.
    :param joint: the joint that it drives; of a mobile base ``twist/linear.x`` [m/s]
        or ``twist/angular.z`` [rad/s].
    :param interface: ``effort`` [N or N m], ``velocity``, ``position``, or ``twist``.
    :param low: least command.
    :param high: greatest command.
    :param rate_limit: greatest change of the command per second, inf: none.
    """

    name: str
    joint: str
    interface: str
    low: float
    high: float
    rate_limit: float


def read_coordinate(value: Value) -> Coordinate:
    """
    Read one entry of ``coordinates``.

    :raises DocumentError: naming what is wrong and what is valid.
    """
    source = 'odometry' if 'odometry' in value.entries() else 'joint'
    fields = value.section(('name', source, 'kind', 'limits', 'velocity_limit', 'invariant',
                            'noise_std', 'rate_noise_std'), ('braking',))
    low, high = _limits(fields['limits'], none_allowed=True)
    velocity_limit = fields['velocity_limit'].number_or_none(above=0.0, high=MAX_LIMIT)
    joint = fields[source].text() if source == 'joint' else ODOMETRY + fields[source].choice(
        tuple(PARTS))
    kinds = KINDS if source == 'joint' else (PARTS[joint.removeprefix(ODOMETRY)],)
    if source == 'odometry':
        for field in ('noise_std', 'rate_noise_std'):
            if fields[field].is_none():
                raise fields[field].error('a number: odometry tells places and speeds')
    return Coordinate(
        name=fields['name'].name(), joint=joint,
        kind=fields['kind'].choice(kinds), low=low, high=high,
        velocity_limit=math.inf if velocity_limit is None else velocity_limit,
        invariant=fields['invariant'].flag(),
        noise_std=fields['noise_std'].number_or_none(low=0.0, high=MAX_LIMIT),
        rate_noise_std=fields['rate_noise_std'].number_or_none(low=0.0, high=MAX_LIMIT),
        braking=read_braking(fields['braking']) if 'braking' in fields else None)


def read_actuator(value: Value) -> Actuator:
    """
    Read one entry of ``actuators``.

    :raises DocumentError: naming what is wrong and what is valid.
    """
    if INTERFACES[-1] in value.entries():
        fields = value.section(('name', 'twist', 'limits', 'rate_limit'))
        interface, joint = 'twist', TWIST + fields['twist'].choice(AXES)
    else:
        fields = value.section(('name', 'joint', 'interface', 'limits', 'rate_limit'))
        interface, joint = fields['interface'].choice(INTERFACES[:-1]), fields['joint'].text()
    low, high = _limits(fields['limits'], none_allowed=False)
    if interface != 'position' and not low <= 0.0 <= high:
        raise fields['limits'].error(f'limits of {interface} on both sides of 0, the safe command',
                                     f'[{low:g}, {high:g}]')
    rate_limit = fields['rate_limit'].number_or_none(above=0.0, high=MAX_LIMIT)
    return Actuator(
        name=fields['name'].name(), joint=joint, interface=interface,
        low=low, high=high, rate_limit=math.inf if rate_limit is None else rate_limit)


def _limits(value: Value, none_allowed: bool) -> tuple[float, float]:
    if none_allowed and value.is_none():
        return -math.inf, math.inf
    low, high = (item.number(-MAX_LIMIT, MAX_LIMIT) for item in value.items(2, 2))
    if low >= high:
        raise value.error('the lower limit, then a greater one', f'[{low:g}, {high:g}]')
    return low, high


def check_parts(root: Mapping[str, Value], coordinates: tuple[Coordinate, ...],
                actuators: tuple[Actuator, ...]) -> None:
    """
    Check that names and joints are told once, and that actuators fit the coordinates.

    :param root: with the entries ``coordinates`` and ``actuators`` that they come from.
    :raises DocumentError: at the first that does not fit.
    """
    places = {kind: tuple(item.entries() for item in root[kind].items())
              for kind in ('coordinates', 'actuators')}
    unique(tuple(item['name'] for kind in places.values() for item in kind),
           tuple(item.name for item in coordinates + actuators), 'name')
    unique(tuple(item.get('joint') or item['odometry'] for item in places['coordinates']),
           tuple(item.joint for item in coordinates), 'joint of a coordinate')
    unique(tuple(item.get('joint') or item['twist'] for item in places['actuators']),
           tuple(item.joint for item in actuators), 'joint of an actuator')
    joints = tuple(item.joint for item in coordinates)
    told = [item.joint.removeprefix(ODOMETRY) for item in coordinates if item.of_base]
    if told and len(told) < len(PARTS):
        raise root['coordinates'].error(f'all of {", ".join(PARTS)} from odometry, or none',
                                        f'{", ".join(told)} alone')
    for place, actuator in zip(places['actuators'], actuators, strict=True):
        if actuator.interface == 'twist':
            if actuators[0].interface != 'twist' or not any(one.of_base for one in coordinates):
                raise place['twist'].error('all actuators axes of a twist, and coordinates that '
                                           'odometry tells')
            continue
        if actuator.joint not in joints:
            raise place['joint'].error('a joint of a coordinate: '
                                       + suggest(actuator.joint, joints))
        at = joints.index(actuator.joint)
        braking = coordinates[at].braking
        if actuator.interface == 'effort' and braking and not braking.acceleration:
            raise places['coordinates'][at]['braking'].error(
                'acceleration beside deceleration: efforts accelerate', 'none')
