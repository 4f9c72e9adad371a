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
What ``hlai doctor`` has child processes find out about ROS.

``python -m hlai_control.ros.probe report`` starts rclpy and one node, and
tells how far it came. ``answer`` and ``ask`` are two processes that shall
find each other, exchange a message, and time more of them.
"""

from collections.abc import Callable
import json
from pathlib import Path
import sys
import time

import rclpy
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from std_msgs.msg import String

from hlai_control.ros.qos import CONTROL

QUESTION, ANSWER = 'doctor/question', 'doctor/answer'
# A probe that nobody ends, ends itself.
LIFETIME_S = 30.0
REPEAT_S = 0.05
ROUND_TRIPS = 20


class Asker(Node):
    """Asks until it is answered, then times further questions."""

    def __init__(self) -> None:
        """Join both topics."""
        super().__init__('doctor_ask')
        self._questions = self.create_publisher(String, QUESTION, CONTROL)
        self.create_subscription(String, ANSWER, self._on_answer, CONTROL)
        self._awaited, self._asked_at_s = -1, 0.0
        self.took_s: list[float] = []

    def ask(self) -> None:
        """Ask the question of which no answer has come; the first until it is heard."""
        self._awaited, self._asked_at_s = len(self.took_s), time.monotonic()
        self._questions.publish(String(data=str(self._awaited)))

    def _on_answer(self, message: String) -> None:
        if message.data == str(self._awaited):
            self.took_s.append(time.monotonic() - self._asked_at_s)
            self._awaited = -1

    def waits(self) -> bool:
        """Whether the question may still be answered."""
        return self._awaited >= 0 and time.monotonic() - self._asked_at_s < REPEAT_S


class Answerer(Node):
    """Sends every question back."""

    def __init__(self) -> None:
        """Join both topics."""
        super().__init__('doctor_answer')
        answers = self.create_publisher(String, ANSWER, CONTROL)
        self.create_subscription(String, QUESTION, answers.publish, CONTROL)


def report() -> bool:
    """Start one node, and tell what serves it."""
    node = Node('doctor_report')
    _tell(node=node.get_fully_qualified_name())
    node.destroy_node()
    return True


def answer() -> bool:
    """Answer until ended."""
    return _serve(Answerer(), lambda: False)


def ask() -> bool:
    """Ask until answered often enough; tell how long it took to be heard at all."""
    began_s, node = time.monotonic(), Asker()
    found: list[float] = []

    def done() -> bool:
        if node.took_s and not found:
            found.append(time.monotonic() - began_s)
        if not node.waits():
            node.ask()
        return len(node.took_s) > ROUND_TRIPS

    heard = _serve(node, done)
    if found:
        _tell(discovery_s=found[0], shared_memory=_uses_shared_memory())
    if heard:
        ordered = sorted(node.took_s[1:])
        _tell(round_trip_s=ordered[len(ordered) // 2], slowest_s=ordered[-1])
    return heard


def _serve(node: Node, done: Callable[[], bool]) -> bool:
    """Spin until done, or until the probe's life is over."""
    executor = EventsExecutor()
    executor.add_node(node)
    end_s = time.monotonic() + LIFETIME_S
    finished = False
    while not finished and time.monotonic() < end_s:
        executor.spin_once(timeout_sec=REPEAT_S)
        finished = done()
    executor.remove_node(node)
    node.destroy_node()
    return finished


def _uses_shared_memory() -> bool:
    """Whether Fast DDS has mapped segments into this process."""
    return '/dev/shm/fastrtps_' in Path('/proc/self/maps').read_text(encoding='utf-8')


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + '\n')
    sys.stdout.flush()


ROLES = {'report': report, 'answer': answer, 'ask': ask}


def main() -> int:
    """Play one role; the exit status says whether it succeeded."""
    _tell(rclpy=rclpy.__file__)
    rclpy.init(args=[])
    _tell(rmw=rclpy.get_rmw_implementation_identifier())
    try:
        return int(not ROLES[sys.argv[1]]())
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    sys.exit(main())
