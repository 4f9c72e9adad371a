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


"""A robot process and a node beside it, for tests: bounded waits, nothing left behind."""

from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
import signal
import subprocess
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger

from hlai_control.graph import APPLIED
from hlai_control.ros.qos import CONTROL, DIAGNOSTICS, LATCHED, learner, VIEW
from hlai_control.ros.signals import ns_to_stamp, stamp_to_ns

WAIT_S = 20.0
DOMAIN = 10 + os.getpid() % 50


class Probe:
    """Talks to one robot node as guard, configurator and spectator do."""

    def __init__(self, context: Context, process: subprocess.Popen[bytes]) -> None:
        """Join the robot's topics."""
        self.process = process
        self.node = rclpy.create_node('probe', context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.states: list[JointState] = []
        self.descriptions: list[str] = []
        self.clocks: list[int] = []
        self.diagnostics: dict[str, str] = {}
        self.message = ''
        listen = self.node.create_subscription
        listen(JointState, 'joint_states', self.states.append, learner(20.0))
        listen(String, 'robot_description', lambda m: self.descriptions.append(m.data), LATCHED)
        listen(Clock, '/clock', lambda m: self.clocks.append(stamp_to_ns(m.clock)), VIEW)
        listen(DiagnosticArray, '/diagnostics', self._on_diagnostics, DIAGNOSTICS)
        self.applied = self.node.create_publisher(JointState, APPLIED, learner(20.0))
        self.command = self.node.create_publisher(
            Float64MultiArray, 'effort_controller/commands', CONTROL)
        self.parameters = AsyncParameterClient(self.node, 'robot')

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == '/robot: Simulator':
                self.diagnostics = {item.key: item.value for item in status.values}
                self.message = status.message

    def until(self, condition: Callable[[], Any], what: str, wait_s: float = WAIT_S) -> None:
        """Spin until a condition holds; fail with ``what`` after a bounded wait."""
        deadline = time.monotonic() + wait_s
        while not condition():
            assert self.process.poll() is None, f'the robot died, waiting for {what}'
            assert time.monotonic() < deadline, (
                f'no {what} in {wait_s} s; {self.message!r} {self.diagnostics}')
            self.executor.spin_once(timeout_sec=0.05)

    def joined(self) -> None:
        """Wait until every endpoint has met the robot's."""
        self.until(lambda: self.applied.get_subscription_count()
                   and self.command.get_subscription_count()
                   and self.node.count_publishers('joint_states')
                   and self.descriptions, 'discovery')

    def call(self, kind: Any, name: str, **request: Any) -> Any:
        """Call a service of the robot."""
        client = self.node.create_client(kind, f'robot/{name}')
        self.until(client.service_is_ready, f'service {name}')
        future = client.call_async(kind.Request(**request))
        self.until(future.done, f'answer of {name}')
        self.node.destroy_client(client)
        return future.result()

    def pause(self, paused: bool) -> None:
        """Call ~/pause."""
        assert self.call(SetBool, 'pause', data=paused).success

    def trigger(self, name: str) -> Any:
        """Call ~/reset or ~/step."""
        return self.call(Trigger, name)

    def set(self, name: str, value: Any) -> Any:
        """Set one parameter; returns rcl_interfaces' result."""
        self.until(self.parameters.services_are_ready, 'parameter services')
        future = self.parameters.set_parameters([Parameter(name, value=value)])
        self.until(future.done, f'answer to {name}')
        return future.result().results[0]

    def answer(self, stamp_ns: int, *values: float, names: tuple[str, ...] = ('cart.force',)
               ) -> None:
        """Publish an applied command."""
        message = JointState(name=list(names), position=array('d', values))
        message.header.stamp = ns_to_stamp(stamp_ns)
        self.applied.publish(message)

    def counted(self, reason: str, least: int = 1) -> None:
        """Wait until diagnostics count a reason."""
        self.until(lambda: int(self.diagnostics.get(reason, 0)) >= least, f'count of {reason}')

    def stamps(self) -> list[int]:
        """Return the stamps of all measurements so far [ns]."""
        return [stamp_to_ns(state.header.stamp) for state in self.states]


@contextmanager
def robot(**parameters: Any) -> Iterator[Probe]:
    """Start a robot process with parameters, and end it with SIGTERM."""
    environment = dict(os.environ, ROS_DOMAIN_ID=str(DOMAIN),
                       ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
    os.environ.update({key: environment[key] for key in (
        'ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE')})
    arguments = [item for name, value in parameters.items()
                 for item in ('-p', f'{name.replace("__", ".")}:={value}')]
    process = subprocess.Popen([sys.executable, '-m', 'hlai_control.robots.node', '--ros-args',
                                *arguments], env=environment)
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    probe = None
    try:
        probe = Probe(context, process)
        probe.joined()
        yield probe
        assert stop(process) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(WAIT_S)
        if probe is not None:
            probe.executor.shutdown()
            probe.node.destroy_node()
        rclpy.try_shutdown(context=context)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Send SIGTERM and return the exit status; a second time if the first came too early."""
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(3.0)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError('the robot ignored SIGTERM twice')
