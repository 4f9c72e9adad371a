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
A robot as data: ``config/robots/*.yaml`` read into frozen dataclasses.

Everything that the rest of the package knows about a robot comes from here.
SI units throughout; times on the wire are whole nanoseconds.
"""

from dataclasses import dataclass
import math
from pathlib import Path

from hlai_control.documents import read_document, suggest, unique, Value
from hlai_control.layout import Layout, RATE_SUFFIX
from hlai_control.resources import robot_path
from hlai_control.robots.braking import Braking, read_braking
from hlai_control.robots.hardware import Controller, read_controller, read_topics, Topics
from hlai_control.robots.simulation import GRAVITY, Simulation
from hlai_control.robots.urdf import check_joint, read_joints

MAX_DELAY_TICKS = 64
MAX_LIMIT = 1e9  # far below where arithmetic with limits could overflow
KINDS = ('linear', 'angle')
INTERFACES = ('effort', 'velocity', 'position')
SAFE_COMMANDS = ('zero', 'hold')
_REQUIRED = ('name', 'description', 'rate_hz', 'delay_ticks', 'command_timeout_s',
             'safe_command', 'coordinates', 'actuators', 'mirror', 'topics', 'simulation')


@dataclass(frozen=True)
class Coordinate:
    """
    One position coordinate, and its rate.

    :param name: its name on every signal topic.
    :param joint: the joint whose position it is, in ``joint_states``.
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


@dataclass(frozen=True)
class Actuator:
    """
    One actuator, commanded through one ros2_control interface of one joint.

    :param name: its name on every signal topic.
    :param joint: the joint that it drives.
    :param interface: ``effort`` [N or N m], ``velocity``, or ``position``.
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


@dataclass(frozen=True)
class RobotManifest:
    """
    One robot.

    :param name: ``cartpole``.
    :param description: one sentence for people.
    :param path: the file that it came from.
    :param period_ns: the control period, exact [ns].
    :param delay_ticks: ticks between a measurement and the moment at which
        the command answering it takes effect.
    :param command_timeout_s: after so long without a command the controller
        sends zero [s]; None: it holds the last command for ever.
    :param safe_command: ``zero`` or ``hold``: what is sent for want of better.
    :param coordinates: the n position coordinates.
    :param actuators: the A actuators, in the order of the command message.
    :param mirror: coordinates and actuators whose common change of sign
        leaves the dynamics unchanged.
    :param topics: of the robot's drivers.
    :param controller: what takes the commands.
    :param simulation: the PyBullet stand-in.
    """

    name: str
    description: str
    path: Path
    period_ns: int
    delay_ticks: int
    command_timeout_s: float | None
    safe_command: str
    coordinates: tuple[Coordinate, ...]
    actuators: tuple[Actuator, ...]
    mirror: tuple[str, ...]
    topics: Topics
    controller: Controller
    simulation: Simulation

    @property
    def period_s(self) -> float:
        """Control period [s]."""
        return self.period_ns / 1e9

    @property
    def joints(self) -> tuple[str, ...]:
        """Joint of each coordinate."""
        return tuple(item.joint for item in self.coordinates)

    @property
    def layout(self) -> Layout:
        """Return the shape of state and action, as the pure code needs it."""
        noise = [item.noise_std for item in self.coordinates]
        noise += [item.rate_noise_std for item in self.coordinates]
        return Layout(
            robot=self.name,
            positions=tuple(item.name for item in self.coordinates),
            actions=tuple(item.name for item in self.actuators),
            period_s=self.period_s,
            delay_ticks=self.delay_ticks,
            angle=tuple(item.kind == 'angle' for item in self.coordinates),
            invariant=tuple(item.invariant for item in self.coordinates),
            mirror_positions=self._signs(tuple(item.name for item in self.coordinates)),
            mirror_actions=self._signs(tuple(item.name for item in self.actuators)),
            action_low=tuple(item.low for item in self.actuators),
            action_high=tuple(item.high for item in self.actuators),
            noise_std=tuple(math.nan if std is None else std for std in noise),
            action_units=tuple(self._unit(item) for item in self.actuators),
            drives=tuple(self.joints.index(item.joint) if item.interface == 'effort' else -1
                         for item in self.actuators))

    def _unit(self, actuator: Actuator) -> str:
        kind = next(item.kind for item in self.coordinates if item.joint == actuator.joint)
        units = {'linear': ('N', 'm/s', 'm'), 'angle': ('N m', 'rad/s', 'rad')}[kind]
        return units[INTERFACES.index(actuator.interface)]

    def _signs(self, names: tuple[str, ...]) -> tuple[float, ...]:
        return tuple(-1.0 if name in self.mirror else 1.0 for name in names)


def load_robot(name_or_path: str) -> RobotManifest:
    """
    Read and check a robot's manifest.

    :param name_or_path: ``cartpole``, or the path of a ``.yaml`` file.
    :raises UsageError: if there is no such robot.
    :raises DocumentError: at the first wrong value.
    """
    path = robot_path(name_or_path)
    document = read_document(path)
    root = document.section(_REQUIRED, ('controller',))
    coordinates = tuple(_coordinate(item) for item in root['coordinates'].items(least=1))
    actuators = tuple(_actuator(item) for item in root['actuators'].items(least=1))
    _check_names(root, coordinates, actuators)
    rate_hz = root['rate_hz'].number(0.1, 10_000.0)
    period_ns = round(1e9 / rate_hz)
    return RobotManifest(
        name=root['name'].name(),
        description=root['description'].text(),
        path=path,
        period_ns=period_ns,
        delay_ticks=root['delay_ticks'].whole(0, MAX_DELAY_TICKS),
        command_timeout_s=root['command_timeout_s'].number_or_none(above=0.0, high=3600.0),
        safe_command=_safe_command(root['safe_command'], actuators),
        coordinates=coordinates,
        actuators=actuators,
        mirror=_mirror(root['mirror'], coordinates, actuators),
        topics=read_topics(root['topics']),
        controller=read_controller(root['controller'], tuple(
            item.interface for item in actuators), period_ns / 1e9)
        if 'controller' in root else Controller(),
        simulation=_simulation(root, path, coordinates, period_ns))


def _coordinate(value: Value) -> Coordinate:
    fields = value.section(('name', 'joint', 'kind', 'limits', 'velocity_limit', 'invariant',
                            'noise_std', 'rate_noise_std'), ('braking',))
    low, high = _limits(fields['limits'], none_allowed=True)
    velocity_limit = fields['velocity_limit'].number_or_none(above=0.0, high=MAX_LIMIT)
    return Coordinate(
        name=fields['name'].name(), joint=fields['joint'].text(),
        kind=fields['kind'].choice(KINDS), low=low, high=high,
        velocity_limit=math.inf if velocity_limit is None else velocity_limit,
        invariant=fields['invariant'].flag(),
        noise_std=fields['noise_std'].number_or_none(low=0.0, high=MAX_LIMIT),
        rate_noise_std=fields['rate_noise_std'].number_or_none(low=0.0, high=MAX_LIMIT),
        braking=read_braking(fields['braking']) if 'braking' in fields else None)


def _actuator(value: Value) -> Actuator:
    fields = value.section(('name', 'joint', 'interface', 'limits', 'rate_limit'))
    low, high = _limits(fields['limits'], none_allowed=False)
    interface = fields['interface'].choice(INTERFACES)
    if interface != 'position' and not low <= 0.0 <= high:
        raise fields['limits'].error(f'limits of {interface} on both sides of 0, the safe command',
                                     f'[{low:g}, {high:g}]')
    rate_limit = fields['rate_limit'].number_or_none(above=0.0, high=MAX_LIMIT)
    return Actuator(
        name=fields['name'].name(), joint=fields['joint'].text(), interface=interface,
        low=low, high=high, rate_limit=math.inf if rate_limit is None else rate_limit)


def _limits(value: Value, none_allowed: bool) -> tuple[float, float]:
    if none_allowed and value.is_none():
        return -math.inf, math.inf
    low, high = (item.number(-MAX_LIMIT, MAX_LIMIT) for item in value.items(2, 2))
    if low >= high:
        raise value.error('the lower limit, then a greater one', f'[{low:g}, {high:g}]')
    return low, high


def _check_names(root: dict[str, Value], coordinates: tuple[Coordinate, ...],
                 actuators: tuple[Actuator, ...]) -> None:
    places = {kind: tuple(item.entries() for item in root[kind].items())
              for kind in ('coordinates', 'actuators')}
    unique(tuple(item['name'] for kind in places.values() for item in kind),
           tuple(item.name for item in coordinates + actuators), 'name')
    unique(tuple(item['joint'] for item in places['coordinates']),
           tuple(item.joint for item in coordinates), 'joint of a coordinate')
    unique(tuple(item['joint'] for item in places['actuators']),
           tuple(item.joint for item in actuators), 'joint of an actuator')
    joints = tuple(item.joint for item in coordinates)
    for place, actuator in zip(places['actuators'], actuators, strict=True):
        if actuator.joint not in joints:
            raise place['joint'].error('a joint of a coordinate: '
                                       + suggest(actuator.joint, joints))
        at = joints.index(actuator.joint)
        braking = coordinates[at].braking
        if actuator.interface == 'effort' and braking and not braking.acceleration:
            raise places['coordinates'][at]['braking'].error(
                'acceleration beside deceleration: efforts accelerate', 'none')


def _safe_command(value: Value, actuators: tuple[Actuator, ...]) -> str:
    choice = value.choice(SAFE_COMMANDS)
    position = tuple(item.interface == 'position' for item in actuators)
    if choice == 'zero' and any(position):
        raise value.error('hold; a position command of zero moves the robot')
    if choice == 'hold' and not all(position):
        raise value.error('zero; an effort or velocity that is held goes on moving the robot')
    return choice


def _mirror(value: Value, coordinates: tuple[Coordinate, ...],
            actuators: tuple[Actuator, ...]) -> tuple[str, ...]:
    valid = tuple(item.name for item in coordinates + actuators)
    items = () if value.is_none() else value.items()
    names = tuple(item.choice(valid) for item in items)
    unique(items, names, 'mirrored name')
    for place, name in zip(items, names, strict=True):
        for item in coordinates + actuators:
            if item.name == name and item.low != -item.high:
                raise place.error('a name with limits that are equal on both sides of 0',
                                  f'{name} with limits [{item.low:g}, {item.high:g}]')
    return names


def _simulation(root: dict[str, Value], path: Path, coordinates: tuple[Coordinate, ...],
                period_ns: int) -> Simulation:
    fields = root['simulation'].section(('urdf', 'step_s', 'joint_damping', 'initial'),
                                        ('velocity_lag_s', 'gravity', 'top_speed'))
    urdf = path.parent / fields['urdf'].text()
    joints = read_joints(fields['urdf'], urdf)
    for place, coordinate in zip(root['coordinates'].items(), coordinates, strict=True):
        check_joint(place.entries()['joint'], coordinate.kind, joints)
    names = tuple(item.joint for item in coordinates)
    damping = fields['joint_damping'].section(names)
    return Simulation(
        urdf=urdf, substeps=_substeps(fields['step_s'], period_ns),
        joint_damping=tuple((name, damping[name].number(0.0, MAX_LIMIT)) for name in names),
        initial=_initial(fields['initial'], coordinates),
        velocity_lag_s=fields['velocity_lag_s'].number_or_none(above=0.0, high=60.0)
        if 'velocity_lag_s' in fields else None,
        gravity=fields['gravity'].number(0.0, 1e3) if 'gravity' in fields else GRAVITY,
        top_speed=_top_speed(fields['top_speed'], names) if 'top_speed' in fields else ())


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
