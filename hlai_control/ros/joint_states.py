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

from hlai_control.readings import joint_values
from hlai_control.robots.manifest import RobotManifest


def read_joint_states(message: JointState, manifest: RobotManifest) -> NDArray[np.float64]:
    """
    Read the manifest's coordinates from joint states in any order.

    :returns: S values, see :func:`hlai_control.readings.joint_values`.
    :raises SignalError: if the message cannot be used.
    """
    return joint_values(message.name, message.position, message.velocity, manifest)
