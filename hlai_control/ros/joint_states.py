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

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from hlai_control.errors import SignalError
from hlai_control.robots.manifest import RobotManifest

# Speeds beyond so many times the robot's limit are a sensor's fault, not the robot's motion.
PLAUSIBLE_SPEEDS = 3.0
# The same of a linear position, in lengths of its range beyond an end.
PLAUSIBLE_RANGES = 1.0


def read_joint_states(message: JointState, manifest: RobotManifest) -> NDArray[np.float64]:
    """
    Read the manifest's coordinates from joint states in any order.

    :returns: S values, positions then rates; NaN where the manifest says
        that nothing measures the coordinate.
    :raises SignalError: missing joint, duplicated name, wrong length,
        non-finite or implausible value.
    """
    index = {name: i for i, name in enumerate(message.name)}
    if len(index) != len(message.name):
        raise SignalError('duplicated name')
    rows = []
    for field, measured in (
            (message.position, [c.noise_std is not None for c in manifest.coordinates]),
            (message.velocity, [c.rate_noise_std is not None for c in manifest.coordinates])):
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
