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

"""What stands in for a robot that is not there, as data."""

from dataclasses import dataclass
from pathlib import Path

GRAVITY = 9.81  # [m/s^2]


@dataclass(frozen=True)
class Simulation:
    """
    How PyBullet stands in for the robot.

    :param urdf: the model file.
    :param substeps: physics steps per control period.
    :param joint_damping: of each joint, in the URDF's order of joints named
        in the manifest [N s/m or N m s/rad].
    :param initial: initial position of each coordinate, at rest.
    :param velocity_lag_s: time constant with which joints follow velocity
        commands [s]; None: at once, as far as their torque goes.
    :param gravity: acceleration along -z [m/s^2].
    :param top_speed: speeds that joints cannot exceed [m/s or rad/s].
    """

    urdf: Path
    substeps: int
    joint_damping: tuple[tuple[str, float], ...]
    initial: tuple[float, ...]
    velocity_lag_s: float | None
    gravity: float = GRAVITY
    top_speed: tuple[tuple[str, float], ...] = ()
