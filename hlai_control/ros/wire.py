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


"""Commands as the messages that a robot's controllers take, and back; no torch."""

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Twist, TwistStamped
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from hlai_control.errors import SignalError
from hlai_control.readings import named_values
from hlai_control.robots.hardware import Reference, Streaming
from hlai_control.robots.manifest import RobotManifest
from hlai_control.robots.parts import TWIST
from hlai_control.ros.odometry import CHILD_FRAME
from hlai_control.ros.peers import Peers
from hlai_control.ros.qos import CONTROL
from hlai_control.ros.signals import ns_to_stamp


class Wire(Protocol):
    """
    One kind of command message.

    :param message: its ROS type.
    """

    message: type[Any]

    def encode(self, values: Sequence[float], places: Sequence[float], elapsed_s: float,
               stamp: Time) -> Any:
        """
        Make the message.

        :param values: A finite commands.
        :param places: measured position of each coordinate, NaN: unknown; empty: of all.
        :param elapsed_s: since the previous message.
        :param stamp: the time at which it is sent.
        :returns: None if there is nothing yet that could be said.
        """

    def decode(self, message: Any, places: Sequence[float]) -> tuple[float, ...]:
        """
        Read it as a simulated controller does.

        :param places: position of each coordinate.
        :raises SignalError: if a controller would refuse it.
        """


class ForwardWire:
    """``forward_command_controller``: numbers in the order of its joints."""

    message = Float64MultiArray

    def __init__(self, manifest: RobotManifest) -> None:
        """Keep how many there are."""
        self._count = len(manifest.actuators)

    def encode(self, values: Sequence[float], _places: Sequence[float], _elapsed_s: float,
               _stamp: Time) -> Any:
        """Say the numbers."""
        return Float64MultiArray(data=array('d', values))

    def decode(self, message: Any, _places: Sequence[float]) -> tuple[float, ...]:
        """Read the numbers."""
        values = tuple(message.data)
        if len(values) != self._count:
            raise SignalError('wrong length')
        if not np.isfinite(values).all():
            raise SignalError('non-finite')
        return values


class JointStateWire:
    """``joint_state_topic_hardware_interface``: joint states as commands."""

    message = JointState

    def __init__(self, manifest: RobotManifest) -> None:
        """Keep the joints, which have one interface."""
        self._joints = tuple(item.joint for item in manifest.actuators)
        self._field = manifest.actuators[0].interface

    def encode(self, values: Sequence[float], _places: Sequence[float], _elapsed_s: float,
               stamp: Time) -> Any:
        """Fill the interface's field."""
        said = JointState(name=self._joints, **{self._field: array('d', values)})
        said.header.stamp = stamp
        return said

    def decode(self, message: Any, _places: Sequence[float]) -> tuple[float, ...]:
        """Read the interface's field by name."""
        values = named_values(message.name, getattr(message, self._field), self._joints)
        return tuple(values.tolist())


class TrajectoryWire:
    """``joint_trajectory_controller``: one point ahead, replaced at each command."""

    message = JointTrajectory

    def __init__(self, manifest: RobotManifest) -> None:
        """Begin with no point sent."""
        self._driven = [manifest.joints.index(item.joint) for item in manifest.actuators]
        at = [manifest.coordinates[joint] for joint in self._driven]
        self._joints = tuple(item.joint for item in at)
        self._is_position = manifest.actuators[0].interface == 'position'
        self._span_s = manifest.controller.time_from_start_s
        self._streaming = Streaming(
            manifest.controller, self._is_position,
            np.array([item.low for item in at]), np.array([item.high for item in at]),
            np.array([max(-item.low, item.high) for item in manifest.actuators]))
        self._before: Reference | None = None

    def encode(self, values: Sequence[float], places: Sequence[float], elapsed_s: float,
               stamp: Time) -> Any:
        """Say the next point."""
        found = self._streaming.point(values, self._places(places), elapsed_s, self._before)
        if found is None:
            return None
        point, self._before = found
        said = JointTrajectory(joint_names=self._joints, points=[JointTrajectoryPoint(
            positions=array('d', point.positions), velocities=array('d', point.velocities),
            time_from_start=_duration(self._span_s))])
        said.header.stamp = stamp
        return said

    def decode(self, message: Any, places: Sequence[float]) -> tuple[float, ...]:
        """Read where the last point is, and how fast to go there."""
        if not message.points:
            raise SignalError('no point')
        last = message.points[-1]
        target = named_values(message.joint_names, last.positions, self._joints)
        if self._is_position:
            return tuple(target.tolist())
        span_s = last.time_from_start.sec + 1e-9 * last.time_from_start.nanosec
        if not span_s > 0.0:
            raise SignalError('a point that is over')
        return tuple(((target - np.array(self._places(places))) / span_s).tolist())

    def _places(self, all_of_them: Sequence[float]) -> tuple[float, ...]:
        if not all_of_them:
            return (np.nan,) * len(self._driven)
        return tuple(all_of_them[at] for at in self._driven)


class TwistWire:
    """``diff_drive_controller``, or Nav2's ``cmd_vel_nav``: a twist, stamped or not."""

    def __init__(self, manifest: RobotManifest) -> None:
        """Keep which axis each command is."""
        self._stamped = manifest.controller.kind == 'twist_stamped'
        self.message: type[Any] = TwistStamped if self._stamped else Twist
        self._axes = [item.joint.removeprefix(TWIST).split('.') for item in manifest.actuators]

    def encode(self, values: Sequence[float], _places: Sequence[float], _elapsed_s: float,
               stamp: Time) -> Any:
        """Fill the axes; others are zero."""
        twist = Twist()
        for (part, axis), value in zip(self._axes, values, strict=True):
            setattr(getattr(twist, part), axis, float(value))
        if not self._stamped:
            return twist
        said = TwistStamped(twist=twist)
        said.header.stamp, said.header.frame_id = stamp, CHILD_FRAME
        return said

    def decode(self, message: Any, _places: Sequence[float]) -> tuple[float, ...]:
        """Read the axes."""
        twist = message.twist if self._stamped else message
        values = tuple(getattr(getattr(twist, part), axis) for part, axis in self._axes)
        if not np.isfinite(values).all():
            raise SignalError('non-finite')
        return values


class Hardware:
    """
    What commands are told to.

    :param node: who tells them.
    :param peers: of that node.
    :param manifest: the robot.
    """

    def __init__(self, node: Node, peers: Peers, manifest: RobotManifest) -> None:
        """Join the controller's topic."""
        self._wire, self._clock = make_wire(manifest), node.get_clock()
        self._publisher = peers.speak(self._wire.message, 'command', CONTROL,
                                      manifest.topics.command)

    def tell(self, values: Sequence[float], places: Sequence[float], elapsed_s: float) -> None:
        """Send one command; see :meth:`Wire.encode`."""
        message = self._wire.encode(values, places, elapsed_s, self._clock.now().to_msg())
        if message is not None:
            self._publisher.publish(message)


def _duration(span_s: float) -> Duration:
    stamp = ns_to_stamp(round(1e9 * span_s))
    return Duration(sec=stamp.sec, nanosec=stamp.nanosec)


def make_wire(manifest: RobotManifest) -> Wire:
    """Return what makes messages for a robot's controller."""
    kinds: dict[str, Callable[[RobotManifest], Wire]] = {
        'forward': ForwardWire, 'joint_state': JointStateWire, 'joint_trajectory': TrajectoryWire,
        'twist': TwistWire, 'twist_stamped': TwistWire}
    return kinds[manifest.controller.kind](manifest)
