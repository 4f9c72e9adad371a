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
What a guard may do to a command: pure functions, none keeps anything.

Axis letters: A actuators. Every function takes finite values and returns
finite ones; finiteness itself is asked first, with :func:`is_finite`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hlai_control.errors import SignalError

Vector = NDArray[np.float64]


def is_finite(values: Sequence[float] | Vector) -> bool:
    """Whether every value is a finite number."""
    return bool(np.isfinite(values).all())


def clamp(values: Vector, low: Vector, high: Vector) -> Vector:
    """
    Move each value into its limits.

    :raises SignalError: if a value is not finite; clamping would hide it.
    """
    if not is_finite(values):
        raise SignalError('non-finite')
    return np.minimum(np.maximum(values, low), high)


def narrow(low: Vector, high: Vector, centre: Vector,
           authority: float) -> tuple[Vector, Vector]:
    """
    Shrink limits about a centre between them.

    :param centre: A values that need no authority: zero, or the position held.
    :param authority: fraction of the limits that remains, 0 .. 1.
    :returns: the A lower and A upper limits.
    """
    middle = np.minimum(np.maximum(centre, low), high)
    return middle + authority * (low - middle), middle + authority * (high - middle)


def limit_rate(values: Vector, previous: Vector, step: Vector) -> Vector:
    """
    Keep each value within ``step`` of the previous one.

    :param step: A greatest changes, at least 0; inf: no limit.
    """
    return np.minimum(np.maximum(values, previous - step), previous + step)


def block_outward(values: Vector, measured: Vector, low: Vector, high: Vector) -> Vector:
    """
    Put to zero what pushes a joint further beyond an end.

    :param values: A efforts or velocities.
    :param measured: what has the ends: A positions, or A velocities; NaN:
        not measured, and nothing is blocked.
    :param low: A lower ends.
    :param high: A upper ends.
    """
    outward = ((measured >= high) & (values > 0.0)) | ((measured <= low) & (values < 0.0))
    return np.where(outward, 0.0, values)
