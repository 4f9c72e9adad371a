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
Start the graph with ROS's own launch system; ``hlai up`` does it without.

Nothing about the nodes is decided here: they are ``hlai_control.graph.NODES``.
ROS_DOMAIN_ID and the discovery range are left as they are set.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from hlai_control.graph import NODES, NodeSpec
from hlai_control.resources import share_directory, task_path
from hlai_control.robots.manifest import load_robot

# Name, default, what it is.
ARGUMENTS = (
    ('robot', 'cartpole', 'Robot: a name of config/robots, or the path of a YAML file.'),
    ('task', 'swingup', 'Task: a name of config/tasks, or the path of a YAML file.'),
    ('mode', 'realtime', 'Time: realtime or lockstep.'),
    ('real_time_factor', '1.0', 'Simulated seconds per second, in realtime.'),
    ('seed', '0', 'Seed of every random generator, any integer.'),
    ('run_dir', '', 'Folder for the files of the run; empty: keep nothing.'),
    ('simulation', 'true', 'Start the PyBullet robot; false: the robot is there already.'),
    ('authority', '0.2', 'Share of the limits that hardware may use; a simulator has all.'),
    ('ramp_s', '2.0', 'Time from arming hardware until that share is reached [s].'),
    ('namespace', '', 'ROS namespace of every node.'),
    ('rviz', 'false', 'Start rviz, too.'),
    ('log_level', 'info', 'Least severity that is logged: debug, info, warn, error or fatal.'),
    ('respawn', 'true', 'Start a node that died again.'),
)
# What every node of the graph has as ROS parameters, and their types.
RUN = {'robot': str, 'task': str, 'mode': str, 'real_time_factor': float, 'seed': int,
       'run_dir': str, 'simulation': bool}
RESPAWN_DELAY_S = 0.2


def generate_launch_description() -> LaunchDescription:
    """Describe the graph's nodes, and what full ROS adds to them."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=text)
          for name, default, text in ARGUMENTS),
        OpaqueFunction(function=views),
        *(process(spec) for spec in NODES),
    ])


def process(spec: NodeSpec) -> Node:
    """
    Describe one node of the graph.

    :param spec: the node, from ``graph.NODES``.
    """
    return Node(
        package='hlai_control',
        executable=spec.name,
        name=spec.name,
        namespace=LaunchConfiguration('namespace'),
        parameters=[{name: ParameterValue(LaunchConfiguration(name), value_type=kind)
                     for name, kind in RUN.items()},
                    # A simulator hurts nobody; hardware starts in hold, is armed by hand, and
                    # may do little until somebody raises it on purpose. Only the guard listens.
                    {'armed_at_start': ParameterValue(LaunchConfiguration('simulation'),
                                                      value_type=bool),
                     'guard.authority': hardware('authority', '1.0'),
                     'guard.ramp_s': hardware('ramp_s', '0.0')}],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen',
        respawn=LaunchConfiguration('respawn'),
        respawn_delay=RESPAWN_DELAY_S,
        condition=IfCondition(LaunchConfiguration('simulation')) if spec.simulated else None)


def hardware(name: str, simulated: str) -> ParameterValue:
    """
    Take a launch argument where there is hardware.

    :param name: of the argument.
    :param simulated: what it is for a simulator.
    """
    return ParameterValue(PythonExpression([
        simulated, " if '", LaunchConfiguration('simulation'), "'.lower() == 'true' else ",
        LaunchConfiguration(name)]), value_type=float)


def views(context: LaunchContext) -> list[Node]:
    """
    Describe TF and rviz, for which the robot's manifest must be read.

    It comes first, so that an unknown robot or task stops the launch.

    :param context: knows the launch arguments.
    :raises HlaiError: if there is no such robot or task.
    """
    manifest = load_robot(LaunchConfiguration('robot').perform(context))
    task_path(LaunchConfiguration('task').perform(context))
    description = manifest.simulation.urdf.read_text(encoding='utf-8')
    simulation = LaunchConfiguration('simulation')
    clock = {'use_sim_time': ParameterValue(simulation, value_type=bool)}
    rviz = share_directory() / 'config' / 'rviz' / f'{manifest.name}.rviz'
    transforms = Node(
        package='robot_state_publisher',
        executable='robot_state_publisher',
        namespace=LaunchConfiguration('namespace'),
        parameters=[clock, {'robot_description': ParameterValue(description, value_type=str)}],
        # The description itself is published by the robot.
        remappings=[('joint_states', manifest.topics.joint_states),
                    ('robot_description', '~/robot_description')],
        condition=IfCondition(simulation))
    window = Node(
        package='rviz2',
        executable='rviz2',
        namespace=LaunchConfiguration('namespace'),
        parameters=[clock],
        arguments=['-d', str(rviz)] if rviz.is_file() else [],
        condition=IfCondition(LaunchConfiguration('rviz')))
    return [transforms, window]
