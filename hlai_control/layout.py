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
The shape of a robot's state and action, as the pure code needs it.

A state is all positions followed by all rates in the same order:
``s = [q_0 .. q_{n-1}, dq_0/dt .. dq_{n-1}/dt]``, S = 2 n. SI units throughout.
This module imports neither torch nor ROS, so that every process may use it.
"""

from dataclasses import dataclass

RATE_SUFFIX = '/rate'
STD_SUFFIX = '/std'
# Of what counts as solved, among the terms: how far it is from the goal.
DISTANCE_SUFFIX = '/distance'
# Positions on which the dynamics may depend: the number of products grows as 3^k.
_MOST = 3
MEASURED_SUFFIX = '/measured'
# What is known of a frame: where it is [m], then its axes, unit vectors, all in the base's frame.
FRAME_PARTS = ('x', 'y', 'z', *(f'{axis}_axis.{part}' for axis in 'xyz' for part in 'xyz'))

FRAME_LINK = 'frame/'


@dataclass(frozen=True)
class Frames:
    """
    Frames that move with the robot, a tool's say; where they are follows from the positions.

    :param names: ``hand``; its coordinates are ``hand.x``, ``hand.z_axis.y`` and so on.
    :param model: URDF of the links and joints from the base to them, and nothing else; each
        frame is a link, ``FRAME_LINK`` and its name.
    :param joints: of the model that move, by the names of their positions.
    """

    names: tuple[str, ...] = ()
    model: str = ''
    joints: tuple[tuple[str, str], ...] = ()

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of their coordinates, 12 each."""
        return tuple(f'{name}.{part}' for name in self.names for part in FRAME_PARTS)


@dataclass(frozen=True)
class Layout:
    """
    Names, symmetries and limits of one robot's state and action vectors.

    :param robot: name of the robot that this layout describes.
    :param positions: names of the n position coordinates, [m] or [rad].
    :param actions: names of the A actuators.
    :param period_s: control period [s].
    :param delay_ticks: whole ticks between a measurement and the moment
        at which the command answering it takes effect.
    :param angle: n flags; a true one is an angle, equal modulo 2 pi.
    :param invariant: n flags; the dynamics do not depend on a true one.
    :param mirror_positions: n signs; flipping every -1 together with the
        -1 of ``mirror_actions`` leaves the dynamics unchanged. All +1: no
        mirror symmetry.
    :param mirror_actions: A signs, see ``mirror_positions``.
    :param action_low: A lower command limits, in the actuator's unit.
    :param action_high: A upper command limits.
    :param action_units: A units of the commands, ``'N m'``; empty: not told.
    :param drives: A indices of the position on which each command acts as a
        force or torque, -1 where it is none; empty: not told.
    :param noise_std: S expected standard deviations of the sensors; NaN
        marks a coordinate that no sensor measures.
    :param frames: that tasks may speak of.
    :param heading: of a base that drives, the indices of its x, y and yaw: the rates of x and
        y are then its speeds ahead and to its left, as odometry tells them; else empty.
    """

    robot: str
    positions: tuple[str, ...]
    actions: tuple[str, ...]
    period_s: float
    delay_ticks: int
    angle: tuple[bool, ...]
    invariant: tuple[bool, ...]
    mirror_positions: tuple[float, ...]
    mirror_actions: tuple[float, ...]
    action_low: tuple[float, ...]
    action_high: tuple[float, ...]
    noise_std: tuple[float, ...]
    action_units: tuple[str, ...] = ()
    drives: tuple[int, ...] = ()
    frames: Frames = Frames()
    heading: tuple[int, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the frames' coordinates, which follow from the state."""
        return self.frames.coordinates

    @property
    def rates(self) -> tuple[str, ...]:
        """Names of the n rates, ``<position>/rate``, [m/s] or [rad/s]."""
        return tuple(name + RATE_SUFFIX for name in self.positions)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the S = 2 n state coordinates, positions first."""
        return self.positions + self.rates

    @property
    def state_units(self) -> tuple[str, ...]:
        """S units, positions first."""
        units = tuple('rad' if angle else 'm' for angle in self.angle)
        return units + tuple(unit + '/s' for unit in units)

    @property
    def state_size(self) -> int:
        """Return S, the number of state coordinates."""
        return 2 * len(self.positions)

    @property
    def action_size(self) -> int:
        """Return A, the number of actuators."""
        return len(self.actions)

    @property
    def is_blind(self) -> bool:
        """Whether no sensor measures some of the state coordinates."""
        return any(std != std for std in self.noise_std)

    @property
    def mirror_states(self) -> tuple[float, ...]:
        """S signs of the mirror symmetry, positions first."""
        return self.mirror_positions + self.mirror_positions

    @property
    def has_mirror(self) -> bool:
        """Whether the robot has a mirror symmetry at all."""
        return any(sign < 0 for sign in self.mirror_positions + self.mirror_actions)


def is_mechanism(layout: Layout) -> bool:
    """Tell whether a robot may be looked at so: all its commands are forces, few angles matter."""
    return (len(layout.drives) == layout.action_size and all(at >= 0 for at in layout.drives)
            and 0 < layout.invariant.count(False) <= _MOST)
