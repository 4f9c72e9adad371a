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
Counters and facts of one node, published on ``/diagnostics`` (REP 107).

Each rejected input, clamp, miss and halt has a reason and a counter here.
Published once a second and at once on change of state.
"""

from collections import Counter

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from hlai_control.ros.qos import DIAGNOSTICS

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR

# Reasons quote what was received, which may be anything and different each time.
MAX_REASONS = 64
MAX_REASON = 200
MAX_TEXT = 2000
OTHER = 'other reasons'


class Diagnostics:
    """
    The diagnostics of one node.

    :param node: the node that publishes; its fully qualified name is used.
    :param component: sub-component, as REP 107's ``node: Component`` asks.
    """

    def __init__(self, node: Node, component: str) -> None:
        """Create the publisher; nothing is sent before :meth:`publish`."""
        self._node = node
        self._name = f'{node.get_fully_qualified_name()}: {component}'
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', DIAGNOSTICS)
        self._counts: Counter[str] = Counter()
        self._facts: dict[str, str] = {}
        self._reported = 0
        self._level, self._message = OK, 'starting'

    def count(self, reason: str, amount: int = 1) -> None:
        """
        Count one event under its reason, ``joint_states: non-finite``.

        Reasons too many to be kept apart are counted together.
        """
        reason = text(reason, MAX_REASON)
        if reason not in self._counts and len(self._counts) >= MAX_REASONS:
            reason = OTHER
        if reason not in self._counts:
            self._node.get_logger().warning(f'{reason} (counted from now on)')
        self._counts[reason] += amount

    def counts(self) -> dict[str, int]:
        """Return a copy of all counters by reason."""
        return dict(self._counts)

    def fact(self, key: str, value: object) -> bool:
        """State a fact that the next message carries; true if it is news."""
        before, self._facts[key] = self._facts.get(key), text(value)
        return before != self._facts[key]

    def state(self, message: str, level: bytes = OK) -> None:
        """Set level and message, and publish at once if they changed."""
        message = text(message)
        if (level, message) != (self._level, self._message):
            self._level, self._message = level, message
            self.publish()

    def publish(self) -> None:
        """Send one DiagnosticArray with the state, the facts and all counters."""
        total = sum(self._counts.values())
        level = self._level
        if level == OK and total > self._reported:
            level = WARN
        self._reported = total
        values = [KeyValue(key=key, value=value) for key, value in self._facts.items()]
        values += [KeyValue(key=key, value=str(n)) for key, n in sorted(self._counts.items())]
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        array.status = [DiagnosticStatus(level=level, name=self._name, message=self._message,
                                         hardware_id='hlai_control', values=values)]
        self._publisher.publish(array)


def text(value: object, most: int = MAX_TEXT) -> str:
    """Return a value as text that DDS can carry: of bounded length, no half characters."""
    readable = str(value).encode(errors='backslashreplace').decode().replace('\0', '\\0')
    return readable if len(readable) <= most else readable[:most - 1] + '…'
