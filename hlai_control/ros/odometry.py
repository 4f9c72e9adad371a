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


"""Odometry of a base, as if its place were joints: what listens to joints need not know."""

from array import array
from collections.abc import Callable, Sequence
from math import atan2, cos, sin
from typing import Any

from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState

from hlai_control.robots.manifest import RobotManifest
from hlai_control.robots.parts import ODOMETRY, PARTS

FRAME, CHILD_FRAME = 'odom', 'base_link'
_NAMES = tuple(ODOMETRY + part for part in PARTS)
# ``listen`` of a node or of its peers: type, name, callback, qos, topic.
Listen = Callable[[Any, str, Callable[[Any], None], QoSProfile, str], object]


def hear_robot(listen: Listen, manifest: RobotManifest, heard: Callable[[JointState], None],
               qos: QoSProfile) -> None:
    """
    Listen to all that drivers tell of a robot's coordinates.

    :param heard: is told joint states; of a base, those of :func:`as_joint_states`.
    """
    if any(not item.of_base for item in manifest.coordinates):
        listen(JointState, 'joint_states', heard, qos, manifest.topics.joint_states)
    if manifest.topics.odometry:
        listen(Odometry, 'odometry', lambda message: heard(as_joint_states(message)), qos,
               manifest.topics.odometry)


def as_joint_states(message: Odometry) -> JointState:
    """Name place and speeds of a base; the speeds are those of its own frame."""
    turned, moved = message.pose.pose.orientation, message.twist.twist
    # Yaw of any quaternion, whatever its length; NaN stays NaN, and zero is none.
    yaw = atan2(2.0 * (turned.w * turned.z + turned.x * turned.y),
                turned.w ** 2 + turned.x ** 2 - turned.y ** 2 - turned.z ** 2)
    if not any((turned.x, turned.y, turned.z, turned.w)):
        yaw = float('nan')
    place = message.pose.pose.position
    said = JointState(name=_NAMES, position=array('d', (place.x, place.y, yaw)), velocity=array(
        'd', (moved.linear.x, moved.linear.y, moved.angular.z)))
    said.header.stamp = message.header.stamp
    return said


def as_odometry(stamp: Time, place: Sequence[float], speed: Sequence[float]) -> Odometry:
    """
    Say where a simulated base is.

    :param place: x, y [m] and yaw [rad].
    :param speed: ahead, to the left [m/s] and around [rad/s].
    """
    message = Odometry(child_frame_id=CHILD_FRAME)
    message.header.stamp, message.header.frame_id = stamp, FRAME
    pose, twist = message.pose.pose, message.twist.twist
    pose.position.x, pose.position.y, yaw = (float(part) for part in place)
    pose.orientation.z, pose.orientation.w = sin(0.5 * yaw), cos(0.5 * yaw)
    twist.linear.x, twist.linear.y, twist.angular.z = (float(part) for part in speed)
    return message
