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
What sensors and nodes say, checked once for all who listen, live or from a recording.

Everything that cannot be used raises a SignalError whose text is the reason
that is counted. No ROS here: messages come as their fields.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hlai_control.errors import SignalError
from hlai_control.robots.manifest import RobotManifest

# Speeds beyond so many times the robot's limit are a sensor's fault, not the robot's motion.
PLAUSIBLE_SPEEDS = 3.0
# The same of a linear position, in lengths of its range beyond an end.
PLAUSIBLE_RANGES = 1.0
# So many stamps in a row that go forward, but lie before the newest one that has passed,
# mean that the newest was wrong, or that the clock was set back.
NEW_TIMELINE = 20


def named_values(found: Sequence[str], values: Sequence[float],
                 names: Sequence[str]) -> NDArray[np.float64]:
    """
    Pick values by name; further names are ignored.

    :param found: names as received, in any order.
    :param values: one per name.
    :param names: the values wanted, in this order.
    :raises SignalError: wrong length, missing or duplicated name, non-finite.
    """
    if len(values) != len(found):
        raise SignalError('wrong length')
    index = {name: i for i, name in enumerate(found)}
    if len(index) != len(found):
        raise SignalError('duplicated name')
    received = np.array(values, dtype=np.float64)
    try:
        picked: NDArray[np.float64] = received[[index[name] for name in names]]
    except KeyError as error:
        raise SignalError(f'missing name {error.args[0]}') from None
    if not np.isfinite(picked).all():
        raise SignalError('non-finite')
    return picked


def joint_values(names: Sequence[str], position: Sequence[float], velocity: Sequence[float],
                 manifest: RobotManifest) -> NDArray[np.float64]:
    """
    Read the manifest's coordinates from joint states in any order.

    :param names: the joints of the message.
    :param position: one per joint, or none if no position is measured.
    :param velocity: the same of rates.
    :param manifest: the robot.
    :returns: S values, positions then rates; NaN where the manifest says
        that nothing measures the coordinate.
    :raises SignalError: missing joint, duplicated name, wrong length,
        non-finite or implausible value.
    """
    index = {name: i for i, name in enumerate(names)}
    if len(index) != len(names):
        raise SignalError('duplicated name')
    rows = []
    for field, measured in (
            (position, [c.noise_std is not None for c in manifest.coordinates]),
            (velocity, [c.rate_noise_std is not None for c in manifest.coordinates])):
        if any(measured) and len(field) != len(index):
            raise SignalError('wrong length')
        for joint, wanted in zip(manifest.joints, measured, strict=True):
            if wanted and joint not in index:
                raise SignalError(f'missing joint {joint}')
            rows.append(float(field[index[joint]]) if wanted else np.nan)
            if wanted and not np.isfinite(rows[-1]):
                raise SignalError('non-finite')
    values = np.array(rows)
    _refuse_implausible(values, manifest)
    return values


def _refuse_implausible(values: NDArray[np.float64], manifest: RobotManifest) -> None:
    count = len(manifest.coordinates)
    for item, place, speed in zip(manifest.coordinates, values[:count], values[count:],
                                  strict=True):
        if abs(speed) > PLAUSIBLE_SPEEDS * item.velocity_limit:
            raise SignalError(f'implausible speed of {item.joint}')
        margin = PLAUSIBLE_RANGES * (item.high - item.low)
        if not item.low - margin <= place <= item.high + margin and np.isfinite(place):
            raise SignalError(f'implausible position of {item.joint}')


class StampGate:
    """
    Lets each stamp pass once, and only forward.

    One wrong stamp from the future must not shut the gate for good, so a
    publisher that goes on steadily in the past is believed after a while.
    """

    def __init__(self) -> None:
        """Begin open to any stamp."""
        self._last_ns: int | None = None
        self._refused_ns = 0
        self._refused = 0

    @property
    def last_ns(self) -> int | None:
        """Return the newest stamp that has passed [ns], None before the first."""
        return self._last_ns

    def check(self, stamp_ns: int) -> None:
        """
        Pass a newer stamp.

        :raises SignalError: if the stamp was seen already or lies before it.
        """
        if self._last_ns is not None and stamp_ns == self._last_ns:
            raise SignalError('duplicated stamp')
        if self._last_ns is not None and stamp_ns < self._last_ns:
            forward = self._refused > 0 and stamp_ns > self._refused_ns
            self._refused = self._refused + 1 if forward else 1
            self._refused_ns = stamp_ns
            if self._refused < NEW_TIMELINE:
                raise SignalError('backward stamp')
        self._refused = 0
        self._last_ns = stamp_ns
