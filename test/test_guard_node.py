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


"""The guard's process: killed in an emergency stop, and near an end of a range."""

from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
import time
from typing import Any

from guard_probe import DOMAIN, guard, WAIT_S
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from robot_probe import stop
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from hlai_control.graph import COMMAND
from hlai_control.ros.qos import CONTROL, SENSOR
from hlai_control.ros.signals import ns_to_stamp

PERIOD_S = 0.05


class Robot:
    """Robot and actor for a guard: measurements and commands at the robot's rate."""

    def __init__(self, context: Context) -> None:
        self.node = rclpy.create_node('robot_and_actor', context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.sent: list[float] = []
        self.wanted, self.place, self.speed = 3.0, 0.0, 0.0
        self.states = self.node.create_publisher(JointState, 'joint_states', SENSOR)
        self.commands = self.node.create_publisher(JointState, COMMAND, CONTROL)
        self.node.create_subscription(Float64MultiArray, 'effort_controller/commands',
                                      lambda m: self.sent.append(m.data[0]), CONTROL)
        self.node.create_timer(PERIOD_S, self._tick)

    def _tick(self) -> None:
        now_ns = time.time_ns()
        state = JointState(name=['cart_slide', 'pole_hinge'], effort=array('d', (0.0, 0.0)),
                           position=array('d', (self.place, 0.0)),
                           velocity=array('d', (self.speed, 0.0)))
        command = JointState(name=['cart.force'], position=array('d', (self.wanted,)))
        state.header.stamp = command.header.stamp = ns_to_stamp(now_ns)
        self.states.publish(state)
        self.commands.publish(command)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Spin until a condition holds; fail with ``what`` after a bounded wait."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f'no {what} in {WAIT_S} s; {self.sent[-5:]}'
            self.executor.spin_once(timeout_sec=0.05)

    def sends(self, value: float) -> None:
        """Wait until the guard, from now on, sends a value three times in a row."""
        self.sent.clear()
        self.until(lambda: self.sent[-3:] == [value] * 3, f'command {value}')

    def set(self, name: str, value: float) -> Any:
        """Set a parameter of the guard; returns rcl_interfaces' result."""
        client = AsyncParameterClient(self.node, 'guard')
        self.until(client.services_are_ready, 'parameter services')
        future = client.set_parameters([Parameter(name, value=value)])
        self.until(future.done, f'answer to {name}')
        return future.result().results[0]

    def call(self, kind: Any, name: str, **request: Any) -> Any:
        """Call a service of the guard."""
        client = self.node.create_client(kind, f'guard/{name}')
        self.until(client.service_is_ready, f'service {name}')
        future = client.call_async(kind.Request(**request))
        self.until(future.done, f'answer of {name}')
        self.node.destroy_client(client)
        return future.result()


@pytest.fixture
def robot(monkeypatch) -> Iterator[Robot]:
    """Join the guard's domain."""
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    found = Robot(context)
    yield found
    found.executor.shutdown()
    found.node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_a_guard_killed_in_an_emergency_stop_comes_back_stopped(tmp_path, robot):
    with guard(tmp_path) as process:
        robot.sends(3.0)
        assert robot.call(Trigger, 'estop').success
        robot.sends(0.0)
        process.kill()
    with guard(tmp_path) as process:
        robot.sends(0.0)
        refused = robot.call(SetBool, 'enable', data=True)
        assert not refused.success and '~/release' in refused.message
        robot.sends(0.0)
        assert robot.call(Trigger, 'release').success
        robot.sends(0.0)  # released is not armed
        assert robot.call(SetBool, 'enable', data=True).success
        robot.sends(3.0)
        assert stop(process) == 0


def test_a_guard_that_is_told_to_leave_leaves_the_safe_command(tmp_path, robot):
    with guard(tmp_path) as process:
        robot.sends(3.0)
        assert stop(process) == 0
        robot.until(lambda: robot.sent[-1] == 0.0, 'safe command at the end')


def test_authority_is_raised_on_purpose_while_the_robot_moves(tmp_path, robot):
    with guard(tmp_path):
        robot.sends(3.0)
        assert robot.set('guard.authority', 0.2).successful
        robot.sends(2.0)
        refused = robot.set('guard.authority', 1.5)
        assert not refused.successful and '1.5' in refused.reason
        robot.sends(2.0)
        assert robot.set('guard.authority', 1.0).successful
        robot.sends(3.0)


def test_a_guard_brakes_where_the_manifest_declares_how(tmp_path, robot):
    configuration = Path(__file__).parent.parent / 'config/robots'
    text = (configuration / 'cartpole.yaml').read_text().replace(
        'urdf: cartpole.urdf', f'urdf: {configuration}/cartpole.urdf').replace(
        'velocity_limit: 20.0', 'braking: {deceleration: 5.0, acceleration: 30.0, '
        'reaction_s: 0.0}\n    velocity_limit: 20.0', 1)
    path = tmp_path / 'braking.yaml'
    path.write_text(text)
    with guard(tmp_path, path):
        robot.sends(3.0)
        robot.place, robot.speed = 1.5, 4.0  # 1.6 m to stop, 0.5 m are left
        robot.sends(-10.0)
        robot.wanted = float('nan')
        robot.sends(-10.0)  # the actor's failure is no reason to run into the end
        robot.place, robot.speed, robot.wanted = 0.0, 0.0, -2.0
        robot.sends(-2.0)
        assert max(map(abs, robot.sent)) <= 10.0  # it never asked for more than there is
