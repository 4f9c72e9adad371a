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
Stopping before the end of a range: pure functions of what was measured and what is on its way.

Signs are those of the upper end; the lower one is the same after a change of
sign. Axis letters: A actuators.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hlai_control.documents import Value

Vector = NDArray[np.float64]
MAX_BRAKING = 1e6
# Against a division by zero: below it, who moves outward brakes with all there is.
_LEAST_M = 1e-12


@dataclass(frozen=True)
class Braking:
    """
    What a coordinate's actuator is sure to do, as its manifest declares.

    :param deceleration: always reached when the actuator is told to stop (velocity), or
        when its whole effort points against the motion [m/s^2 or rad/s^2].
    :param acceleration: never exceeded, whatever efforts within the limits are
        commanded and whatever else acts; 0 for velocities, which need none
        [m/s^2 or rad/s^2].
    :param reaction_s: time from the moment a command takes effect until it does so
        in full [s].
    """

    deceleration: float
    acceleration: float
    reaction_s: float


def read_braking(value: Value) -> Braking | None:
    """
    Read a coordinate's entry ``braking``.

    :raises DocumentError: naming what is wrong and what is valid.
    """
    if value.is_none():
        return None
    fields = value.section(('deceleration', 'reaction_s'), ('acceleration',))
    deceleration = fields['deceleration'].number(above=0.0, high=MAX_BRAKING)
    return Braking(
        deceleration=deceleration, reaction_s=fields['reaction_s'].number(0.0, 60.0),
        acceleration=fields['acceleration'].number(deceleration, MAX_BRAKING)
        if 'acceleration' in fields else 0.0)


def fastest_approach(gap: Vector, speed: Vector, deceleration: Vector, held_s: float) -> Vector:
    """
    Return the greatest velocity that may be commanded so that the robot can still stop.

    The command u is kept for h, then taken back at the deceleration a. To speed up, which
    may happen at once: u h + u^2 / (2 a) = gap. To slow down, which begins from v:
    (v^2 - u^2) / (2 a) + u (h - (v - u) / a) + u^2 / (2 a) = gap.

    :param gap: distance that is left, A; where it is too short the answer is zero.
    :param speed: v, at least 0, when the command takes effect.
    :param held_s: h, until the next command takes effect [s].
    """
    lead = deceleration * held_s
    faster = np.sqrt(lead ** 2 + 2.0 * deceleration * np.maximum(gap, 0.0)) - lead
    spare = gap - speed ** 2 / (2.0 * deceleration)
    late = speed - lead
    slower = 0.5 * (late + np.sqrt(late ** 2 + 4.0 * deceleration * np.maximum(spare, 0.0)))
    slower = np.where(spare > 0.0, slower, 0.0)
    return np.where(faster >= speed, faster, slower)


def greatest_acceleration(gap: Vector, speed: Vector, deceleration: Vector,
                          held_s: float) -> Vector:
    """
    Return the greatest acceleration after which the robot can still stop.

    It lasts for ``held_s``, then the deceleration a follows. With the velocity
    u = v + alpha h after it, v h + alpha h^2 / 2 + u^2 / (2 a) = gap is quadratic in u;
    where the robot must stop within h, it is -v^2 / (2 gap).

    :param gap: distance that is left, A.
    :param speed: v, towards the end, A.
    :param held_s: h, until the next command takes effect [s].
    :returns: at least -a; beyond the end -a for who moves outward, else 0.
    """
    lead = deceleration * held_s
    after = np.sqrt(np.maximum(
        lead ** 2 + 4.0 * deceleration * (2.0 * gap - held_s * speed), 0.0))
    going_on = (0.5 * (after - lead) - speed) / held_s
    stopping = -speed ** 2 / (2.0 * np.maximum(gap, _LEAST_M))
    within = np.where(2.0 * gap >= held_s * speed, going_on, stopping)
    beyond = np.where(speed > 0.0, -deceleration, 0.0)
    return np.maximum(np.where(gap > 0.0, within, beyond), -deceleration)
