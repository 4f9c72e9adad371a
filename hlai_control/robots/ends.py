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
The ends of a robot's ranges, kept to by braking in time.

Velocity commands are capped so that the robot can still stop. Efforts are capped by
the greatest acceleration after which it can: accelerations of a mechanism are
affine in its efforts, so that one between the whole effort inward (at most -a, the
declared deceleration) and outward (at most A, the declared acceleration) gives at
most what lies as far between -a and A. From a state from which the declared braking
suffices no end is passed, whatever is commanded (``test_braking.py``).
"""

from collections.abc import Sequence
from math import ceil

import numpy as np

from hlai_control.robots.braking import fastest_approach, greatest_acceleration, Vector
from hlai_control.robots.manifest import RobotManifest

# Beyond any place and speed, and its square is finite.
_ENORMOUS = 1e9


class Ends:
    """
    Keeps commands to what leaves room to stop.

    Coordinates without ``braking``, actuators that take positions and axes of a twist are
    left alone.

    :param manifest: its ranges, delay, and what its actuators declare.
    """

    def __init__(self, manifest: RobotManifest) -> None:
        """Lay out what is declared, one per actuator."""
        of = [manifest.coordinates[at] for at in manifest.driven]
        declared = [item.braking if at >= 0 else None
                    for item, at in zip(of, manifest.driven, strict=True)]
        self._ends = np.array([item.low for item in of]), np.array([item.high for item in of])
        self._least = np.array([item.low for item in manifest.actuators])
        self._most = np.array([item.high for item in manifest.actuators])
        self._deceleration = np.array([1.0 if one is None else one.deceleration
                                       for one in declared])
        self._acceleration = np.array([1.0 if one is None else one.acceleration
                                       for one in declared])
        self._reaction_s = np.array([0.0 if one is None else one.reaction_s for one in declared])
        self._period_s = manifest.period_s
        #: How many commands may not have taken effect yet.
        self.memory = max(1, manifest.delay_ticks + ceil(max(self._reaction_s) / self._period_s))
        self._coming_s = manifest.delay_ticks * manifest.period_s
        self._is_effort = np.array([item.interface == 'effort' for item in manifest.actuators])
        self._known = np.array([one is not None and item.interface != 'position' for one, item
                                in zip(declared, manifest.actuators, strict=True)])

    def keep(self, values: Vector, place: Vector, speed: Vector,
             recent: Sequence[Vector]) -> Vector:
        """
        Take back what could not be stopped in time.

        :param values: A commands within the limits.
        :param place: A positions; NaN or infinite: not measured, the command stays.
        :param speed: A velocities, likewise.
        :param recent: commands that may not have taken effect yet.
        """
        known = self._known & np.isfinite(place) & np.isfinite(speed)
        if not known.any():
            return values
        place, speed = (np.where(known, item, 0.0).clip(-_ENORMOUS, _ENORMOUS)
                        for item in (place, speed))
        # Before the first commands zero was in force.
        coming = np.array([np.zeros_like(values), *recent])
        (low, high), (least, most) = self._ends, (self._least, self._most)
        cap = self._cap(high - place, speed, coming.max(axis=0), (least, most))
        floor = -self._cap(place - low, -speed, -coming.min(axis=0), (-most, -least))
        # Where a range is too short for both, the end that it moves towards counts.
        kept = np.where(speed > 0.0, np.minimum(np.maximum(values, floor), cap),
                        np.maximum(np.minimum(values, cap), floor))
        return np.where(known, kept, values)

    def _cap(self, gap: Vector, speed: Vector, coming: Vector,
             limits: tuple[Vector, Vector]) -> Vector:
        """
        Return the greatest command towards an end.

        :param coming: the greatest of those that have not taken effect yet.
        :param limits: the whole command inward, and outward.
        """
        worst = np.maximum(coming, speed)  # at least 0: zero is among what is coming
        room = gap - (self._coming_s + self._reaction_s) * worst
        fastest = fastest_approach(room, worst, self._deceleration, self._period_s)
        return np.where(self._is_effort, self._greatest_effort(gap, speed, coming, limits),
                        fastest)

    def _greatest_effort(self, gap: Vector, speed: Vector, coming: Vector,
                         limits: tuple[Vector, Vector]) -> Vector:
        inward, outward = limits
        span = self._acceleration + self._deceleration
        share = (coming - inward) / (outward - inward)
        # The worst that commands on their way can do, then until this one takes effect in full.
        for worst, time_s in ((share * span - self._deceleration, self._coming_s),
                              (self._acceleration, self._reaction_s)):
            gap = gap - (speed + 0.5 * worst * time_s) * time_s
            speed = speed + worst * time_s
        allowed = greatest_acceleration(gap, speed, self._deceleration, self._period_s)
        return inward + np.minimum((allowed + self._deceleration) / span, 1.0) * (
            outward - inward)
