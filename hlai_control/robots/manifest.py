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

from hlai_control.documents import read_document, unique, Value
from hlai_control.layout import Frames, Layout
from hlai_control.resources import robot_path
from hlai_control.robots.frames import read_frames
from hlai_control.robots.hardware import (
    Controller,
    read_controller,
    read_topics,
    standard_controller,
    Topics,
)
from hlai_control.robots.parts import (
    Actuator,
    check_parts,
    Coordinate,
    INTERFACES,
    ODOMETRY,
    PARTS,
    read_actuator,
    read_coordinate,
)
from hlai_control.robots.simulation import read_simulation, Simulation

MAX_DELAY_TICKS = 64
SAFE_COMMANDS = ('zero', 'hold')
_REQUIRED = ('name', 'description', 'rate_hz', 'delay_ticks', 'command_timeout_s',
             'safe_command', 'coordinates', 'actuators', 'mirror', 'topics', 'simulation')


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
    :param frames: that tasks may speak of.
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
    frames: Frames = Frames()

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
                         for item in self.actuators),
            frames=self.frames,
            heading=tuple(self.joints.index(ODOMETRY + part) for part in PARTS
                          if ODOMETRY + part in self.joints))

    @property
    def driven(self) -> tuple[int, ...]:
        """Index of the coordinate whose joint each actuator drives, -1 for an axis of a twist."""
        return tuple(self.joints.index(item.joint) if item.joint in self.joints else -1
                     for item in self.actuators)

    def _unit(self, actuator: Actuator) -> str:
        if actuator.interface == 'twist':
            return 'rad/s' if 'angular' in actuator.joint else 'm/s'
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
    root = document.section(_REQUIRED, ('controller', 'frames'))
    coordinates = tuple(read_coordinate(item) for item in root['coordinates'].items(least=1))
    actuators = tuple(read_actuator(item) for item in root['actuators'].items(least=1))
    check_parts(root, coordinates, actuators)
    rate_hz = root['rate_hz'].number(0.1, 10_000.0)
    period_ns = round(1e9 / rate_hz)
    simulation = read_simulation(root, path.parent, coordinates, period_ns)
    interfaces = tuple(item.interface for item in actuators)
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
        topics=read_topics(root['topics'], any(item.of_base for item in coordinates)),
        controller=read_controller(root['controller'], interfaces, period_ns / 1e9)
        if 'controller' in root else standard_controller(interfaces),
        simulation=simulation,
        frames=read_frames(root['frames'], simulation.urdf, {
            item.joint: item.name for item in coordinates}) if 'frames' in root else Frames())


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
