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
The robot node: a simulated robot behind the topics of a ros2_control one.

Joint states out, ``Float64MultiArray`` commands in, as a forward command
controller has them; robot_description latched; the clock. Plain node, not
managed: hardware is not either. Services ``~/reset``, ``~/pause``, ``~/step``.
"""

from array import array
import sys
import time
from typing import Any

from nav_msgs.msg import Odometry
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from hlai_control.cost.task import load_task
from hlai_control.errors import SettingsError, SignalError
from hlai_control.graph import APPLIED
from hlai_control.robots.driver import Driver
from hlai_control.robots.lockstep import LockstepDriver
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.realtime import RealtimeDriver
from hlai_control.robots.simulator import Simulator
from hlai_control.ros.diagnostics import Diagnostics, ERROR, OK
from hlai_control.ros.odometry import as_odometry
from hlai_control.ros.parameters import declare, declare_run, read, read_run
from hlai_control.ros.peers import Peers
from hlai_control.ros.process import raise_priority
from hlai_control.ros.process import run as run_node
from hlai_control.ros.qos import CONTROL, LATCHED, learner, VIEW
from hlai_control.ros.signals import from_message, ns_to_stamp, stamp_to_ns
from hlai_control.ros.wire import make_wire
from hlai_control.settings import SimulationSettings

REPORT_PERIOD_S = 1.0
SENSORS = ('simulation.frozen_sensor', 'simulation.biased_sensor')
# Among real-time processes: as prompt as the hardware whose place it takes.
RANK = 30


class RobotNode(Node):
    """One simulated robot."""

    def __init__(self) -> None:
        """Load the robot and join the graph; released at once unless ``start_paused``."""
        super().__init__('robot')
        declare_run(self)
        declare(self, [SimulationSettings])
        self.declare_parameter('start_paused', True)
        self.handled = 0
        self._run = read_run(self)
        self._manifest = load_robot(self._run.robot)
        self._actions = self._manifest.layout.actions
        self._wire = make_wire(self._manifest)
        self._places = list(self._manifest.simulation.initial)
        self._simulator = Simulator(self._manifest, self._run.seed, load_task(
            self._run.task, self._manifest).obstacles)
        self._driver: Driver = (
            LockstepDriver(self._simulator, self._manifest.period_ns, self._tell)
            if self._run.lockstep else
            RealtimeDriver(self._simulator, self._manifest, self._tell))
        self.diagnostics = Diagnostics(self, 'Simulator')
        self.diagnostics.fact('robot', self._manifest.name)
        self.diagnostics.fact('mode', self._run.mode)
        self.diagnostics.fact('priority', 'lockstep' if self._run.lockstep
                              else raise_priority(RANK))
        self._told_at_s = self._reported_at_s = time.monotonic()
        self._told = self._reported = 0
        self._released = False
        self._join()
        self._apply(())
        self.add_on_set_parameters_callback(self._check)
        self.add_post_set_parameters_callback(self._apply)
        self._state()
        if not self.get_parameter('start_paused').value:
            self._release()

    def _join(self) -> None:
        topics = self._manifest.topics
        qos = learner(1.0 / self._manifest.period_s)
        self.peers = Peers(self, self.diagnostics)
        self._joint_states = (self.peers.speak(JointState, 'joint_states', qos,
                                               topics.joint_states)
                              if self._simulator.jointed else None)
        self._odometry = (self.peers.speak(Odometry, 'odometry', qos, topics.odometry)
                          if topics.odometry else None)
        self._clock_topic = self.peers.speak(ClockMessage, '/clock', VIEW)
        self._description = self.peers.speak(String, 'robot_description', LATCHED,
                                             topics.robot_description)
        self._description.publish(
            String(data=self._manifest.simulation.urdf.read_text(encoding='utf-8')))
        self.peers.listen(self._wire.message, 'command', self._on_command, CONTROL,
                          topics.command)
        self.peers.listen(JointState, APPLIED, self._on_applied, qos)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_service(SetBool, '~/pause', self._on_pause)
        self.create_service(Trigger, '~/step', self._on_step)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(REPORT_PERIOD_S, self._report, clock=steady)
        # In real time it wakes the loop at each boundary; work() does the rest.
        self._alarm = None if self._run.lockstep else self.create_timer(
            self._manifest.period_s / self._run.real_time_factor, self._wake, clock=steady)

    def _now_s(self) -> float:
        """Return the robot's own time: a respawned robot's stamps still go forward."""
        return time.monotonic() * self._run.real_time_factor

    # What is heard.

    def _on_command(self, message: Any) -> None:
        try:
            values = self._wire.decode(message, self._places)
        except SignalError as error:
            self.get_logger().error(
                f'a command was dropped: {error}; valid: {len(self._actions)} finite values, '
                f'{", ".join(self._actions)}', throttle_duration_sec=1.0)
            raise
        self._driver.command(values, self._now_s())

    def _on_applied(self, message: JointState) -> None:
        signal = from_message(message, self._actions)
        self._driver.answer(stamp_to_ns(message.header.stamp), tuple(signal.values.tolist()))

    # What is told.

    def _tell(self, stamp_ns: int) -> None:
        """Publish the present measurement, and the clock with it."""
        measured = self._simulator.measure()
        self._places = measured.true_position.tolist()
        joints, base = self._simulator.jointed, self._simulator.based
        message = JointState(name=[self._manifest.joints[at] for at in joints])
        message.header.stamp = ns_to_stamp(stamp_ns)
        message.position = array('d', measured.position[joints].tobytes())
        message.velocity = array('d', measured.velocity[joints].tobytes())
        message.effort = array('d', measured.effort[joints].tobytes())
        if self._odometry is not None:
            self._odometry.publish(as_odometry(
                message.header.stamp, measured.position[base].tolist(),
                measured.velocity[base].tolist()))
        self._clock_topic.publish(ClockMessage(clock=ns_to_stamp(stamp_ns)))
        if self._joint_states is not None:
            self._joint_states.publish(message)
        for name in self._simulator.touched:
            self.diagnostics.count(f'touched: {name}')
        self._told_at_s = time.monotonic()
        self._told += 1

    def _report(self) -> None:
        """Once a second: facts, counters, and who owes the tick."""
        now_s = time.monotonic()
        simulated_s = (self._told - self._reported) * self._manifest.period_s
        factor = simulated_s / max(now_s - self._reported_at_s, 1e-9)
        self._reported, self._reported_at_s = self._told, now_s
        self.diagnostics.fact('tick', self._driver.tick)
        self.diagnostics.fact('measured real-time factor', f'{factor:.2f}')
        self.diagnostics.fact('missing', '; '.join(self.peers.missing()))
        self._state()
        self.diagnostics.publish()

    def _state(self) -> None:
        # Only a robot that was never released asks to be: a pause is somebody's wish.
        self.diagnostics.fact('lifecycle', 'released' if self._released else 'unreleased')
        owed = self._driver.owed
        waited_s = time.monotonic() - self._told_at_s
        if self._driver.paused:
            self.diagnostics.state('paused; ~/pause with data: false releases it')
        elif owed and waited_s > read(self, SimulationSettings).stall_s:
            text = f'stalled: {owed} is owed'
            self.get_logger().error(f'{text}, for {waited_s:.0f} s now',
                                    throttle_duration_sec=10.0)
            self.diagnostics.state(text, ERROR)
        else:
            self.diagnostics.state('running', OK)

    # Parameters and services.

    def _check(self, changes: list[Parameter]) -> SetParametersResult:
        """Refuse names of sensors that this robot does not have."""
        try:
            for parameter in changes:
                if parameter.name in SENSORS:
                    self._simulator.sensors.check(parameter.value)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, _changed: object) -> None:
        """Hand the settings, valid by now, to the simulator."""
        settings = read(self, SimulationSettings)
        self._simulator.noise_scale = settings.noise_scale
        self._simulator.payload_kg = settings.payload_kg
        self._simulator.friction_scale = settings.friction_scale
        self._simulator.sensors.freeze(settings.frozen_sensor)
        self._simulator.sensors.bias(settings.biased_sensor, settings.sensor_bias)
        delay = settings.action_delay_ticks
        delay = self._manifest.delay_ticks if delay < 0 else delay
        self._driver.set_delay(delay)
        self.diagnostics.fact('action delay [ticks]', delay)
        if delay == 0 and not self._run.lockstep:
            self.get_logger().warning('a delay of 0 ticks acts as 1 in real time: a command '
                                      'takes effect at the next boundary', once=True)

    def _release(self) -> None:
        self._released = True
        if self._alarm is not None:
            self._alarm.reset()  # first: it fires at the ticks' boundaries from here on
        self._driver.release(self._now_s())

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.handled += 1
        if request.data:
            self._driver.pause()
        elif self._driver.paused:
            self._release()
        response.success = True
        response.message = 'paused' if request.data else 'running'
        self._state()
        return response

    def _on_step(self, _request: Trigger.Request,
                 response: Trigger.Response) -> Trigger.Response:
        self.handled += 1
        response.success = self._driver.paused
        if response.success:
            self._driver.allow_one(self._now_s())
        owed = self._driver.owed
        response.message = ('pause first' if not response.success
                            else f'one tick, as soon as {owed} comes' if owed else 'one tick')
        return response

    def _on_reset(self, _request: Trigger.Request,
                  response: Trigger.Response) -> Trigger.Response:
        self.handled += 1
        seed = self.get_parameter('seed').value
        self._driver.reset(seed, self._now_s())
        response.success = True
        response.message = f'at the initial position, seed {seed}' + (
            ', paused' if self._driver.paused else '')
        self._state()
        return response

    # The loop.

    def _wake(self) -> None:
        """Only end the loop's wait."""

    def work(self) -> bool:
        """Do what is due; never more at once, so that callbacks are heard."""
        missed = self._driver.work(self._now_s())
        if missed:
            self.diagnostics.count('overrun: measurement skipped', missed)
        return False

    def close(self) -> None:
        """Free the physics."""
        self._simulator.close()


def main() -> int:
    """Run the robot node."""
    return run_node(RobotNode)


if __name__ == '__main__':
    sys.exit(main())
