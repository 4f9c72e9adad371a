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


"""An arm behind a joint trajectory controller that is not ours: the guard drives it, and dies."""

from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
import time
from typing import Any

from guard_probe import DOMAIN, guard, running, WAIT_S
import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from hlai_control.graph import COMMAND
from hlai_control.resources import robot_path
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.qos import CONTROL, SENSOR

ARM = load_robot('arm7')
STAND_IN = Path(__file__).with_name('trajectory_robot.py')
ENTRY = 'controller: {kind: joint_trajectory, time_from_start_s: 0.15, end_velocity: zero}\n'


class Actor:
    """Answers each measurement with the wanted speeds."""

    def __init__(self, context: Context) -> None:
        self.node = rclpy.create_node('actor', context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.wanted = [0.0] * len(ARM.actuators)
        self.places = np.full(len(ARM.joints), np.nan)
        self.rejected: list[str] = []
        self.heard = 0
        self.commands = self.node.create_publisher(JointState, COMMAND, CONTROL)
        self.node.create_subscription(JointState, 'joint_states', self._answer, SENSOR)
        self.node.create_subscription(String, 'rejected', lambda m: self.rejected.append(m.data),
                                      10)

    def _answer(self, state: JointState) -> None:
        self.heard += 1
        found = dict(zip(state.name, state.position, strict=True))
        self.places = np.array([found[joint] for joint in ARM.joints])
        said = JointState(name=[item.name for item in ARM.actuators],
                          position=array('d', self.wanted))
        said.header.stamp = state.header.stamp
        self.commands.publish(said)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Spin until a condition holds; fail with ``what`` after a bounded wait."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f'no {what}; {self.places} {self.rejected[-3:]}'
            self.executor.spin_once(timeout_sec=0.05)

    def hear(self, count: int) -> np.ndarray:
        """Return where the arm is after so many further measurements."""
        last = self.heard + count
        self.until(lambda: self.heard >= last, f'{count} measurements')
        return self.places


@pytest.fixture
def actor(monkeypatch) -> Iterator[Actor]:
    """Join the domain of guard and arm."""
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    found = Actor(context)
    yield found
    found.executor.shutdown()
    found.node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_an_arm_behind_a_trajectory_controller(tmp_path, actor):
    text = robot_path('arm7').read_text(encoding='utf-8').replace(
        'urdf: arm7.urdf', f'urdf: {robot_path("arm7").parent}/arm7.urdf').replace(
        'velocity_controller/commands', 'arm_controller/joint_trajectory')
    manifest = tmp_path / 'arm.yaml'
    manifest.write_text(text + ENTRY, encoding='utf-8')
    start = np.array(ARM.simulation.initial)
    joints = [f'{joint}={place}' for joint, place in zip(ARM.joints, start, strict=True)]
    with running(str(STAND_IN), *joints), guard(tmp_path, manifest) as process:
        assert actor.hear(5) == pytest.approx(start)
        actor.wanted = [0.3, -0.2, 0.0, 0.0, 0.0, 0.0, 1.0]
        actor.until(lambda: actor.places[0] > start[0] + 0.2, 'motion')
        gone = actor.places - start
        # All joints move in proportion to what was asked of them, and none asked for moves.
        assert gone == pytest.approx(gone[0] / 0.3 * np.array(actor.wanted), abs=0.02)
        process.kill()
        process.wait(WAIT_S)
        stopped = actor.hear(8).copy()  # 0.32 s: the trajectory has ended, and nobody renews it
        assert actor.hear(10) == pytest.approx(stopped, abs=1e-9)
    with running(str(STAND_IN), *joints), guard(tmp_path, manifest):
        # At full speed towards its end, joint 7 stops there, whatever is commanded.
        actor.wanted = [0.0] * 6 + [2.0]
        end = ARM.coordinates[6].high
        actor.until(lambda: actor.places[6] > end - 0.05, 'the end of the range')
        assert abs(actor.hear(25)[6]) <= end + 1e-6
    assert set(actor.rejected) <= {'the trajectory ends in the past'}
