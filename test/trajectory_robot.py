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
A robot behind a joint trajectory controller, with nothing of ours in it.

Ideal drives that follow cubic segments as ``joint_trajectory_controller`` documents: a new
trajectory replaces the old one from where that has come to; at its end the joints hold. What the
real one rejects is rejected here, with its reason on ``rejected``. Joint states come in another
order than the manifest's. Usage: python trajectory_robot.py JOINT=START ...
"""

from array import array
from contextlib import suppress
import math
import sys
import time

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

RATE_HZ = 25.0


def seconds(stamp) -> float:
    """Read a time or duration [s]."""
    return stamp.sec + 1e-9 * stamp.nanosec


class Segment:
    """A cubic from one state to the next, then hold."""

    def __init__(self, begin_s, place, speed, end_s, target, passed) -> None:
        self.begin_s, self.span_s = begin_s, end_s - begin_s
        self.place, self.speed, self.target, self.passed = place, speed, target, passed

    def at(self, now_s):
        """Return place and speed."""
        share, span_s = (now_s - self.begin_s) / self.span_s, self.span_s
        if share >= 1.0:
            return self.target, 0.0
        a, b = self.place, self.target
        u, v = self.speed * span_s, self.passed * span_s
        square, cube = 3 * (b - a) - 2 * u - v, 2 * (a - b) + u + v
        return (a + u * share + square * share ** 2 + cube * share ** 3,
                (u + 2 * square * share + 3 * cube * share ** 2) / span_s)


class TrajectoryRobot(Node):
    """Controller and robot."""

    def __init__(self, start) -> None:
        super().__init__('trajectory_robot')
        now_s = time.time()
        self.segments = {name: Segment(now_s, place, 0.0, now_s + 1e-6, place, 0.0)
                         for name, place in start.items()}
        self.states = self.create_publisher(JointState, 'joint_states', 10)
        self.rejected = self.create_publisher(String, 'rejected', 10)
        self.create_subscription(JointTrajectory, 'arm_controller/joint_trajectory', self.take, 1)
        self.create_timer(1.0 / RATE_HZ, self.tell)

    def reason(self, message, now_s) -> str:
        """Name what the controller would reject, empty if nothing."""
        if sorted(message.joint_names) != sorted(self.segments):
            return 'joints'
        if not message.points:
            return 'no point'
        begin_s = seconds(message.header.stamp) or now_s
        spans = [seconds(point.time_from_start) for point in message.points]
        if begin_s + spans[-1] <= now_s:
            return 'the trajectory ends in the past'
        if any(later <= earlier for earlier, later in zip(spans, spans[1:], strict=False)):
            return 'times do not increase'
        for point in message.points:
            if not len(point.positions) == len(point.velocities) == len(self.segments):
                return 'lengths'
            if not all(map(math.isfinite, [*point.positions, *point.velocities])):
                return 'not finite'
        if any(message.points[-1].velocities):
            return 'velocity at the end'
        return ''

    def take(self, message) -> None:
        """Replace the trajectory."""
        now_s = time.time()
        reason = self.reason(message, now_s)
        if reason:
            self.rejected.publish(String(data=reason))
            return
        last = message.points[-1]
        end_s = (seconds(message.header.stamp) or now_s) + seconds(last.time_from_start)
        for name, target, passed in zip(
                message.joint_names, last.positions, last.velocities, strict=True):
            place, speed = self.segments[name].at(now_s)
            self.segments[name] = Segment(now_s, place, speed, end_s, target, passed)

    def tell(self) -> None:
        """Publish the joints."""
        now_s = time.time()
        names = sorted(self.segments, reverse=True)
        found = [self.segments[name].at(now_s) for name in names]
        message = JointState(name=names, position=array('d', [place for place, _ in found]),
                             velocity=array('d', [speed for _, speed in found]))
        message.header.stamp = self.get_clock().now().to_msg()
        self.states.publish(message)


def main() -> None:
    """Run until told to stop."""
    rclpy.init()
    node = TrajectoryRobot({name: float(value) for name, _, value in (
        item.partition('=') for item in sys.argv[1:])})
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == '__main__':
    main()
