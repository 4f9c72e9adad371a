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
A cart-pole behind a forward command controller, with nothing of ours in it.

Its own equations of motion (a point mass on a massless rod), Runge-Kutta steps, noisy joint
states at 20 Hz in system time and in another order than the manifest's. The controller takes a
command at the next boundary and holds it for ever; one with NaN is dropped, and after one of a
wrong length it is inactive, as ``forward_command_controller`` is. What it counts is on ``told``.
"""

from array import array
from contextlib import suppress
import math
import random

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

PERIOD_S, SUBSTEPS, NOISE = 0.05, 25, 0.01
CART_KG, POLE_KG, LENGTH_M, FRICTION, GRAVITY = 0.5, 0.4, 0.5, 0.1, 9.81
RAIL_M, FORCE_N = 2.0, 10.0


def motion(state, force):
    """Return the time derivative of place, angle (0: hanging), and their rates."""
    _, angle, speed, turn = state
    sine, cosine = math.sin(angle), math.cos(angle)
    push = force - FRICTION * speed
    sliding = (push + POLE_KG * sine * (LENGTH_M * turn ** 2 + GRAVITY * cosine)) / (
        CART_KG + POLE_KG * sine ** 2)
    turning = -(sliding * cosine + GRAVITY * sine) / LENGTH_M
    return speed, turn, sliding, turning


def step(state, force, span_s):
    """Go on by one Runge-Kutta step of fourth order; the rail's ends stop the cart."""
    def moved(rates, share):
        return [value + share * span_s * rate for value, rate in zip(state, rates, strict=True)]
    one = motion(state, force)
    two = motion(moved(one, 0.5), force)
    three = motion(moved(two, 0.5), force)
    four = motion(moved(three, 1.0), force)
    after = moved([(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(
        one, two, three, four, strict=True)], 1.0)
    if abs(after[0]) > RAIL_M:
        after[0], after[2] = math.copysign(RAIL_M, after[0]), 0.0
    return after


class CartpoleRobot(Node):
    """Robot and controller."""

    def __init__(self) -> None:
        super().__init__('cartpole_robot')
        self.state, self.held, self.active = [0.0, 0.0, 0.0, 0.0], 0.0, True
        self.counts = {'dropped': 0, 'beyond the limit': 0, 'wrong length': 0}
        self.draw = random.Random(0)
        self.states = self.create_publisher(JointState, 'joint_states', 10)
        self.told = self.create_publisher(String, 'told', 10)
        self.create_subscription(Float64MultiArray, 'effort_controller/commands', self.take, 1)
        self.create_timer(PERIOD_S, self.tick)

    def take(self, message) -> None:
        """Take a command, as the controller does."""
        if len(message.data) != 1:
            self.counts['wrong length'] += 1
            self.active = False
        elif not math.isfinite(message.data[0]):
            self.counts['dropped'] += 1
        elif self.active:
            self.counts['beyond the limit'] += abs(message.data[0]) > FORCE_N
            self.held = message.data[0]

    def tick(self) -> None:
        """Measure, then move on with the command held now."""
        seen = [value + self.draw.gauss(0.0, NOISE) for value in self.state]
        message = JointState(name=['pole_hinge', 'gripper', 'cart_slide'],
                             position=array('d', [seen[1], math.nan, seen[0]]),
                             velocity=array('d', [seen[3], math.nan, seen[2]]))
        message.header.stamp = self.get_clock().now().to_msg()
        self.states.publish(message)
        self.told.publish(String(data=str(self.counts)))
        for _ in range(SUBSTEPS):
            self.state = step(self.state, self.held, PERIOD_S / SUBSTEPS)


def main() -> None:
    """Run until told to stop."""
    rclpy.init()
    node = CartpoleRobot()
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == '__main__':
    main()
