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
Start the graph for a robot that is there: everything but the simulator.

The guard begins in hold, is armed by its service ``~/enable``, and lets a fifth of the limits
through until ``guard.authority`` is raised: docs/your_robot.md.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

WHOLE = Path(__file__).with_name('hlai.launch.py')


def generate_launch_description() -> LaunchDescription:
    """Describe the graph without its simulator; all other arguments are those of the whole."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'robot', description='Robot: the path of its YAML file, or a name of config/robots.'),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(str(WHOLE)),
                                 launch_arguments={'simulation': 'false'}.items()),
    ])
