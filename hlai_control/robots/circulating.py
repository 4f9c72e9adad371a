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


"""What an engineer would write for a base that drives among posts: a field that goes round."""

from math import atan2, cos, hypot, pi

import numpy as np
from numpy.typing import NDArray

from hlai_control.cost.constraint_spec import KEEP_OUT
from hlai_control.cost.task import TaskSpec
from hlai_control.robots.manifest import RobotManifest

Vector = NDArray[np.float64]


class Circulating:
    """
    Heads for the goal, round what is in the way.

    A vector field: towards the goal, near a post along its edge to the side
    that is nearer to the goal's direction (De Luca and Oriolo 1994, *Local
    incremental planning for nonholonomic mobile robots*), and outwards where
    it is too near. Steers into the field by its error of heading, and drives
    the slower the greater that is. It knows how a twist moves a base.

    :param manifest: of a base with the actuators ahead and around.
    """

    NEAR_M, STEER_HZ, SLOW_M = 1.0, 2.0, 1.0

    def __init__(self, manifest: RobotManifest, _seed: int) -> None:
        """Keep the limits."""
        self._most = np.array([item.high for item in manifest.actuators])
        names = manifest.layout.positions
        self._at = [names.index(f'base.{part}') for part in ('x', 'y', 'yaw')]

    def aim(self, task: TaskSpec) -> None:
        """Take the goal, and what to keep clear of."""
        goal = {item.coordinate: item.value for item in task.goal}
        self._goal = np.array([goal['base.x'], goal['base.y']])
        self._posts = [(np.array(one.centre), one.radius)
                       for one in task.cost.constraints if one.kind == KEEP_OUT]

    def act(self, state: Vector) -> Vector:
        """Answer one state."""
        x, y, yaw = (float(state[at]) for at in self._at)
        left_m = hypot(*(self._goal - (x, y)))
        way = self._field(np.array([x, y]), (self._goal - (x, y)) / max(left_m, 1e-9))
        error = (atan2(way[1], way[0]) - yaw + pi) % (2.0 * pi) - pi
        if left_m < 0.05:
            return np.zeros(2)
        ahead = max(0.0, cos(error)) ** 3 * min(1.0, left_m / self.SLOW_M)
        return np.clip([ahead * self._most[0], self.STEER_HZ * error], -self._most, self._most)

    def _field(self, place: Vector, toward: Vector) -> Vector:
        way = toward.copy()
        for centre, radius in self._posts:
            arm = place - centre
            distance = float(np.linalg.norm(arm))
            outwards = arm / max(distance, 1e-9)
            if distance - radius > self.NEAR_M or float(way @ outwards) > 0.0:
                continue
            side = 1.0 if outwards[0] * way[1] - outwards[1] * way[0] >= 0.0 else -1.0
            along = side * np.array([-outwards[1], outwards[0]])
            share = min(1.0, 1.0 - (distance - radius) / self.NEAR_M)
            way = (1.0 - share) * way + share * along
            if distance < radius:
                way = way + 2.0 * (radius - distance) / radius * outwards
        return way
