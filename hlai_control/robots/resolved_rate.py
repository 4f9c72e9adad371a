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


"""What an engineer would write for an arm that takes joint velocities: resolved rates."""

import numpy as np
from numpy.typing import NDArray

from hlai_control.cost.constraint_spec import ConstraintSpec, KEEP_OUT
from hlai_control.cost.task import TaskSpec
from hlai_control.robots.manifest import RobotManifest

Vector = NDArray[np.float64]


class ResolvedRate:
    """
    Joint velocities that take frames straight to their goal (Whitney 1969).

    Damped least squares near singular places (Wampler 1986); towards an
    obstacle no faster than the distance that is left allows (the velocity damper
    of Faverjon and Tournassoud 1987). It knows the kinematics, and no dynamics.

    :param manifest: of an arm, one velocity actuator for each coordinate.
    """

    GAIN_HZ, DAMPING, APPROACH_HZ = 4.0, 0.05, 3.0

    def __init__(self, manifest: RobotManifest, _seed: int) -> None:
        """Keep the limits."""
        self._layout = manifest.layout
        self._low = np.array([item.low for item in manifest.actuators])
        self._high = np.array([item.high for item in manifest.actuators])

    def aim(self, task: TaskSpec) -> None:
        """Take the goal, and what to keep clear of."""
        # It needs torch, which the command line does not load before it is needed.
        from hlai_control.cost.kinematics import Kinematics
        goals = [item for item in task.goal if item.coordinate in self._layout.places]
        names = tuple(item.coordinate for item in goals)
        self._goal = np.array([item.value for item in goals])
        self._toward = Kinematics(self._layout, names)
        self._kept = tuple((one, Kinematics(self._layout, one.coordinates))
                           for one in task.cost.constraints if one.kind == KEEP_OUT)

    def act(self, state: Vector) -> Vector:
        """Answer one state."""
        import torch
        row, count = torch.from_numpy(state).unsqueeze(0), len(self._low)
        place, slope = (part[0].numpy() for part in self._toward.expansion(row))
        rate = _damped(slope[:, :count], self.GAIN_HZ * (self._goal - place), self.DAMPING)
        for constraint, kinematics in self._kept:
            place, slope = (part[0].numpy() for part in kinematics.expansion(row))
            rate += self._slower(constraint, place, slope[:, :count], rate)
        # One factor for all joints keeps the direction.
        return np.asarray(rate / max(1.0, float(np.max(rate / np.where(
            rate > 0.0, self._high, self._low)))))

    def _slower(self, constraint: ConstraintSpec, place: Vector, slope: Vector,
                rate: Vector) -> Vector:
        """Return what rates need in addition to come no nearer than they may."""
        arm = place - np.array(constraint.centre)
        distance = max(float(np.linalg.norm(arm)), 1e-9)
        outwards = (arm / distance) @ slope
        least = -self.APPROACH_HZ * (distance - constraint.radius)
        lacking = max(0.0, least - float(outwards @ rate))
        return _damped(outwards[None], np.array([lacking]), self.DAMPING)


def _damped(slope: Vector, wanted: Vector, damping: float) -> Vector:
    """Return the rates that come nearest to what is wanted and are small."""
    square = slope @ slope.T + damping ** 2 * np.eye(len(slope))
    return np.asarray(slope.T @ np.linalg.solve(square, wanted))
