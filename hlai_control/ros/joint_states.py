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

"""What a robot's drivers say about its joints, checked once for all who listen; no torch."""

from math import nan

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from hlai_control.errors import SignalError
from hlai_control.readings import joint_values
from hlai_control.robots.manifest import RobotManifest
from hlai_control.ros.signals import stamp_to_ns

# Parts of one measurement are at most so many control periods apart.
_APART = 0.5


class JointReader:
    """
    Reads the manifest's coordinates from joint states in any order, whole or in parts.

    Two broadcasters may tell of a robot's joints in turn: arm and gripper. A
    measurement is whole when all joints were told of, and has the last part's
    stamp.

    :param manifest: the robot.
    """

    def __init__(self, manifest: RobotManifest) -> None:
        """Know no part."""
        self._manifest = manifest
        self._wanted = frozenset(
            item.joint for item in manifest.coordinates
            if item.noise_std is not None or item.rate_noise_std is not None)
        self.reset()

    def reset(self) -> None:
        """Forget the parts."""
        self._parts: dict[str, tuple[float, float]] = {}
        self._began_ns = 0

    def read(self, message: JointState) -> NDArray[np.float64] | None:
        """
        Take one message.

        :returns: S values, see :func:`hlai_control.readings.joint_values`; None if
            other joints are yet to come.
        :raises SignalError: if the message cannot be used, or the one before
            was waiting for a joint that has not come.
        """
        told = self._wanted & set(message.name)
        if told == self._wanted:
            self.reset()
            return joint_values(message.name, message.position, message.velocity, self._manifest)
        if not told:
            raise SignalError('none of the names of this robot')
        stamp_ns, missing = stamp_to_ns(message.header.stamp), self._missing(told)
        apart = abs(stamp_ns - self._began_ns) > _APART * self._manifest.period_ns
        if missing or not self._parts or apart:
            wrong = missing or ('parts of different times' if self._parts else '')
            self._parts, self._began_ns = _part(message), stamp_ns
            if wrong:
                raise SignalError(wrong)
            return None
        parts = self._parts | _part(message)
        if not self._wanted <= set(parts):
            self._parts = parts
            return None
        self.reset()
        names = tuple(parts)
        return joint_values(names, [parts[name][0] for name in names],
                            [parts[name][1] for name in names], self._manifest)

    def _missing(self, told: frozenset[str]) -> str:
        """Name a joint that had not come when another came again."""
        if not told & set(self._parts):
            return ''
        absent = sorted(self._wanted - set(self._parts))
        return f'missing joint {absent[0]}'


def _part(message: JointState) -> dict[str, tuple[float, float]]:
    """
    Read a message's joints; NaN stands for a field that is empty.

    :raises SignalError: wrong length, duplicated name.
    """
    count = len(message.name)
    if len(set(message.name)) != count:
        raise SignalError('duplicated name')
    if any(len(field) not in (0, count) for field in (message.position, message.velocity)):
        raise SignalError('wrong length')
    return {name: (message.position[at] if message.position else nan,
                   message.velocity[at] if message.velocity else nan)
            for at, name in enumerate(message.name)}
