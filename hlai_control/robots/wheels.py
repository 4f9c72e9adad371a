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


"""A simulated base on wheels: its controller's wheel speeds, and where that takes it."""

from collections.abc import Mapping
from math import cos, sin

import numpy as np
from numpy.typing import NDArray
import pybullet

from hlai_control.robots.simulation import Base

Vector = NDArray[np.float64]
_SETTLING_STEPS = 200


class Wheels:
    """
    Drives one body of one physics client, as ``diff_drive_controller`` drives a robot.

    :param client: of PyBullet.
    :param body: with a base that is free to move.
    :param base: its wheels.
    :param index: of each joint, by name.
    """

    def __init__(self, client: int, body: int, base: Base, index: Mapping[str, int]) -> None:
        """Put ground under it."""
        self._client, self._body, self._base = client, body, base
        self._sides = tuple([index[name] for name in side] for side in (base.left, base.right))
        ground = pybullet.createCollisionShape(pybullet.GEOM_PLANE, physicsClientId=client)
        self._ground = pybullet.createMultiBody(0.0, ground, physicsClientId=client)
        # PyBullet tells where the mass is; the robot is where its base link is.
        inertial = pybullet.getDynamicsInfo(body, -1, physicsClientId=client)[3:5]
        self._to_link = pybullet.invertTransform(*inertial)
        self._speeds = np.zeros(2)

    def place(self, x: float, y: float, yaw: float) -> None:
        """Put it down somewhere, at rest on its wheels."""
        turned = pybullet.getQuaternionFromEuler((0.0, 0.0, yaw))
        mass = pybullet.multiplyTransforms((x, y, 0.0), turned,
                                           *pybullet.invertTransform(*self._to_link))
        pybullet.resetBasePositionAndOrientation(self._body, *mass, physicsClientId=self._client)
        self._speeds = np.zeros(2)
        for _ in range(_SETTLING_STEPS):
            self.drive(0.0, 0.0, 1.0)
            pybullet.stepSimulation(physicsClientId=self._client)

    def drive(self, forward: float, turn: float, step_s: float) -> None:
        """
        Set the wheels' speeds for one physics step.

        :param forward: commanded speed [m/s].
        :param turn: commanded turning rate [rad/s].
        :param step_s: for how long [s].
        """
        half = 0.5 * self._base.track * turn
        wanted = np.array([forward - half, forward + half]) / self._base.radius
        self._speeds += min(1.0, step_s / self._base.lag_s) * (wanted - self._speeds)
        for side, speed in zip(self._sides, self._speeds, strict=True):
            for joint in side:
                pybullet.setJointMotorControl2(
                    self._body, joint, pybullet.VELOCITY_CONTROL, targetVelocity=speed,
                    force=self._base.effort, physicsClientId=self._client)

    def sense(self) -> tuple[Vector, Vector]:
        """Return x, y and yaw, -pi to pi, and the speeds ahead, to the left, around."""
        mass = pybullet.getBasePositionAndOrientation(self._body, physicsClientId=self._client)
        linear, angular = pybullet.getBaseVelocity(self._body, physicsClientId=self._client)
        place, turned = pybullet.multiplyTransforms(*mass, *self._to_link)
        yaw = pybullet.getEulerFromQuaternion(turned)[2]
        arm = np.array(place) - np.array(mass[0])
        moving = np.array(linear) + np.cross(angular, arm)
        (x, y, _), cosine, sine = moving, cos(yaw), sin(yaw)
        return (np.array([place[0], place[1], yaw]),
                np.array([cosine * x + sine * y, cosine * y - sine * x, angular[2]]))
