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
Nonsense for the guard: its decision as a function, and its process over topics.

The function decides about made-up situations of the cart-pole, of it with braking, of the
seven-joint arm, and of the arm as one that holds positions: commands and measurements of
wrong lengths, NaN, infinities, denormals, numbers up to 1.8e308, times that go backward, and
among them what is almost right. The process gets as many messages of the same kind on its
topics, and services called in between; then it must still pass a good command on. What
counts: everything sent is finite, of the right length and within the limits, and a refused
command is answered by the safe one (or by braking, see docs/architecture.md).

Usage: python benchmark/guard_fuzz.py [--inputs N] [--messages N] [--seed K] [--json FILE]
"""

import argparse
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import json
import math
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rich.progress import track
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from hlai_control.graph import COMMAND
from hlai_control.parent.domain import DomainLock
from hlai_control.parent.machine import facts
from hlai_control.resources import robot_path
from hlai_control.robots.guard import Candidate, Guard, Measured, Situation
from hlai_control.robots.manifest import load_robot, RobotManifest
from hlai_control.ros.qos import CONTROL, SENSOR
from hlai_control.ros.signals import ns_to_stamp
from hlai_control.settings import GuardSettings

ODD = (math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.8e308, -1.8e308, 1e9, -1e9)
BRAKING = 'braking: {deceleration: 5.0, acceleration: 30.0, reaction_s: 0.0}'
WAIT_S = 20.0


def robots(folder: Path) -> dict[str, RobotManifest]:
    """Return the robots, by name; made-up manifests go into a folder."""
    def changed(name: str, new: str, *changes: tuple[str, str]) -> RobotManifest:
        path = robot_path(name)
        text = path.read_text(encoding='utf-8').replace(
            f'urdf: {name}.urdf', f'urdf: {path.parent}/{name}.urdf')
        for old, told in changes:
            assert old in text, old
            text = text.replace(old, told)
        (folder / f'{new}.yaml').write_text(text, encoding='utf-8')
        return load_robot(str(folder / f'{new}.yaml'))
    return {
        'cartpole': load_robot('cartpole'),
        'cartpole that brakes': changed('cartpole', 'brakes', (
            'velocity_limit: 20.0', f'velocity_limit: 20.0\n    {BRAKING}')),
        'arm7': load_robot('arm7'),
        'arm7 that holds': changed('arm7', 'holds', ('interface: velocity', 'interface: position'),
                                   ('safe_command: zero', 'safe_command: hold'))}


class Nonsense:
    """
    Draws numbers, lists and times, of which most are almost right.

    :param seed: of the draws.
    """

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def number(self, scale: float) -> float:
        """Draw a number: usual, odd, or any 64 bits."""
        kind = self.draw.random()
        if kind < 0.85:
            return self.draw.gauss(0.0, scale)
        if kind < 0.95:
            return self.draw.choice(ODD)
        return float(array('d', self.draw.randbytes(8))[0])

    def numbers(self, count: int, scale: float) -> tuple[float, ...]:
        """Draw numbers, of the right length mostly; half of them all usual."""
        if self.draw.random() < 0.05:
            count = self.draw.randrange(0, 2 * count + 2)
        if self.draw.random() < 0.5:
            return tuple(self.draw.gauss(0.0, scale) for _ in range(count))
        return tuple(self.number(scale) for _ in range(count))

    def stamp_ns(self, near_ns: int, period_ns: int) -> int:
        """Draw a stamp: within a few ticks mostly, or anything that the wire can carry."""
        if self.draw.random() < 0.9:
            return near_ns + self.draw.randrange(-4, 5) * period_ns // 2
        return self.draw.randrange(-2 ** 62, 2 ** 62)

    def age_s(self) -> float:
        """Draw a time that has passed."""
        return (self.draw.uniform(0.0, 0.3) if self.draw.random() < 0.8
                else self.number(1.0))

    def situation(self, robot: RobotManifest) -> Situation:
        """Draw all that a decision depends on."""
        actions, places = len(robot.actuators), len(robot.coordinates)
        now_ns, maybe = 10 ** 12, self.draw.random
        return Situation(
            candidate=None if maybe() < 0.03 else Candidate(
                self.stamp_ns(now_ns, robot.period_ns), self.numbers(actions, 10.0)),
            measured=None if maybe() < 0.03 else Measured(
                now_ns, self.numbers(places, 2.0), self.numbers(places, 2.0)),
            command_age_s=self.age_s(), measurement_age_s=self.age_s(), elapsed_s=self.age_s(),
            armed_s=None if maybe() < 0.1 else self.age_s(), estop=maybe() < 0.1,
            recent=tuple(self.numbers(actions, 10.0) for _ in range(self.draw.randrange(0, 3))))


def wrong(robot: RobotManifest, values: Sequence[float] | None) -> str:
    """Name what no hardware may get, empty if nothing."""
    if values is None:
        return ''  # nothing is sent
    if len(values) != len(robot.actuators):
        return 'length'
    if not all(map(math.isfinite, values)):
        return 'not finite'
    inside = all(item.low <= value <= item.high
                 for item, value in zip(robot.actuators, values, strict=True))
    return '' if inside else 'outside the limits'


def fuzz_function(manifests: dict[str, RobotManifest], count: int, seed: int) -> dict[str, Any]:
    """Decide so many times; return what was wrong, by robot, and the reasons given."""
    nonsense, found = Nonsense(seed), dict[str, Any]()
    for name, robot in manifests.items():
        faults, reasons, longest_s = Counter[str](), Counter[str](), 0.0
        sent: tuple[float, ...] | None = None
        for at in track(range(count // len(manifests)), f'function: {name}'):
            if at % 64 == 0:
                guard = Guard(robot, GuardSettings(authority=nonsense.draw.random(),
                                                   ramp_s=nonsense.draw.choice((0.0, 2.0))))
            now = nonsense.situation(robot)
            began_s = time.perf_counter()
            decision = guard.decide(now, sent)
            longest_s = max(longest_s, time.perf_counter() - began_s)
            reasons[decision.reason.name] += 1
            fault = wrong(robot, decision.values)
            if not fault and decision.reason.is_safe_command and robot.safe_command == 'zero' \
                    and not decision.reason.is_of_command and any(decision.values or ()):
                fault = 'not the safe command'
            if fault:
                faults[fault] += 1
            sent = nonsense.numbers(len(robot.actuators), 10.0) \
                if nonsense.draw.random() < 0.1 else decision.values
        found[name] = {'inputs': count // len(manifests), 'faults': dict(faults),
                       'longest_ms': 1e3 * longest_s, 'reasons': dict(reasons)}
    return found


class Wire:
    """Robot, actor and onlooker of one guard's process."""

    def __init__(self, context: Context, robot: RobotManifest, seed: int) -> None:
        self.robot, self.nonsense = robot, Nonsense(seed)
        self.node = rclpy.create_node('nonsense', context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.sent = list[tuple[float, ...]]()
        self.faults = Counter[str]()
        self.states = self.node.create_publisher(JointState, 'joint_states', SENSOR)
        self.commands = self.node.create_publisher(JointState, COMMAND, CONTROL)
        self.node.create_subscription(Float64MultiArray, robot.topics.command, self._on_sent, 100)
        self.services = {name: self.node.create_client(kind, f'guard/{name}') for name, kind in (
            ('estop', Trigger), ('release', Trigger), ('enable', SetBool), ('reset', Trigger))}

    def _on_sent(self, message: Float64MultiArray) -> None:
        self.sent.append(tuple(message.data))
        fault = wrong(self.robot, self.sent[-1])
        if fault:
            self.faults[fault] += 1

    def spin(self, span_s: float) -> None:
        """Listen for a while."""
        end_s = time.monotonic() + span_s
        while (left_s := end_s - time.monotonic()) > 0.0:
            self.executor.spin_once(timeout_sec=left_s)

    def message(self, names: Sequence[str], scale: float) -> JointState:
        """Make a message that is almost right."""
        said, draw = list(names), self.nonsense.draw
        if draw.random() < 0.1:
            said = draw.choices([*said, 'stranger', ''], k=draw.randrange(0, 2 * len(said) + 1))
        message = JointState(name=said, **{
            field: array('d', self.nonsense.numbers(len(said), scale))
            for field in ('position', 'velocity', 'effort') if draw.random() < 0.95})
        stamp_ns = self.nonsense.stamp_ns(time.time_ns(), self.robot.period_ns)
        message.header.stamp = ns_to_stamp(min(max(stamp_ns, 0), 2 ** 31 * 10 ** 9 - 1))
        return message

    def shout(self) -> None:
        """Send one message of nonsense, now and then a service call beside it."""
        draw = self.nonsense.draw
        if draw.random() < 0.5:
            self.states.publish(self.message(self.robot.joints, 2.0))
        else:
            self.commands.publish(self.message(self.robot.layout.actions, 10.0))
        if draw.random() < 0.01:
            client = self.services[draw.choice(('estop', 'release', 'enable', 'enable', 'reset'))]
            request = client.srv_type.Request()
            if client.srv_type is SetBool:
                request.data = draw.random() < 0.8
            client.call_async(request)

    def call(self, name: str, **request: Any) -> bool:
        """Call a service and wait for its answer."""
        client = self.services[name]
        future = client.call_async(client.srv_type.Request(**request))
        end_s = time.monotonic() + WAIT_S
        while not future.done() and time.monotonic() < end_s:
            self.executor.spin_once(timeout_sec=0.05)
        return future.done() and future.result().success

    def recovers(self) -> float | None:
        """Be a good robot and a good actor; return after how long a command is passed on [s]."""
        self.call('release')
        self.call('enable', data=True)
        began_s, wanted = time.monotonic(), [0.25] * len(self.robot.actuators)
        while time.monotonic() - began_s < WAIT_S:
            state = JointState(name=list(self.robot.joints), **{
                field: array('d', [0.0] * len(self.robot.joints))
                for field in ('position', 'velocity')})
            command = JointState(name=list(self.robot.layout.actions),
                                 position=array('d', wanted))
            state.header.stamp = command.header.stamp = ns_to_stamp(time.time_ns())
            self.states.publish(state)
            self.commands.publish(command)
            self.sent.clear()
            self.spin(self.robot.period_s)
            if tuple(wanted) in self.sent:
                return time.monotonic() - began_s
        return None


@contextmanager
def guard_process(robot: str, domain: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start the guard as it is; leave none behind."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'hlai_control.robots.guard_node', '--ros-args', '--log-level',
         'fatal', '-p', f'robot:={robot}', '-p', 'armed_at_start:=true'],
        env=dict(os.environ, ROS_DOMAIN_ID=str(domain),
                 ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST'))
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fuzz_wire(robot: RobotManifest, count: int, seed: int) -> dict[str, Any]:
    """Shout at a guard's process."""
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    lock, context = DomainLock(None), Context()
    rclpy.init(context=context, domain_id=lock.domain)
    wire = Wire(context, robot, seed)
    try:
        with guard_process(str(robot.path), lock.domain) as process:
            end_s = time.monotonic() + WAIT_S
            while not wire.sent and time.monotonic() < end_s:
                wire.spin(0.1)
            heard = 0
            for _ in track(range(count), 'wire'):
                wire.shout()
                wire.spin(0.002)
                heard += len(wire.sent)
                wire.sent.clear()
            alive = process.poll() is None
            recovered_s = wire.recovers() if alive else None
            return {'messages': count, 'commands_heard': heard, 'faults': dict(wire.faults),
                    'alive': alive, 'good_command_passed_after_s': recovered_s,
                    'exit': process.poll()}
    finally:
        wire.executor.shutdown()
        wire.node.destroy_node()
        rclpy.try_shutdown(context=context)
        lock.release()


def main() -> int:
    """Run both; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--inputs', type=int, default=1_000_000, help='situations to decide')
    parser.add_argument('--messages', type=int, default=10_000, help='messages on the topics')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', type=Path, help='file for the result')
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        manifests = robots(Path(folder))
        found = {'seed': given.seed, 'machine': facts(),
                 'function': fuzz_function(manifests, given.inputs, given.seed),
                 'wire': fuzz_wire(manifests['cartpole'], given.messages, given.seed)}
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + '\n', encoding='utf-8')
    wire, faults = found['wire'], {name: one['faults'] for name, one in found['function'].items()}
    inputs = sum(one['inputs'] for one in found['function'].values())
    print(f'{inputs} situations, faults: {faults}')
    print(f'{wire["messages"]} messages, {wire["commands_heard"]} commands heard, faults: '
          f'{wire["faults"]}; alive: {wire["alive"]}; a good command passed after '
          f'{wire["good_command_passed_after_s"]} s')
    good = not any(faults.values()) and not wire['faults'] and (
        wire['good_command_passed_after_s'] is not None)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
