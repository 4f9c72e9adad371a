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


"""Recordings as a robot's own recorder would have made them, for the tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
JOINTS, ARRAY = 'sensor_msgs/msg/JointState', 'std_msgs/msg/Float64MultiArray'
Line = tuple[str, int, object]


def joints(topic: str, log_ns: int, stamp_ns: int, names: Sequence[str],
           position: Sequence[float], velocity: Sequence[float] = ()) -> Line:
    """Make a JointState as one line of a recording."""
    stamp = TYPES['builtin_interfaces/msg/Time'](stamp_ns // 10 ** 9, stamp_ns % 10 ** 9)
    return topic, log_ns, TYPES[JOINTS](
        TYPES['std_msgs/msg/Header'](stamp, ''), list(names), np.array(position, np.float64),
        np.array(velocity, np.float64), np.zeros(0))


def command(topic: str, log_ns: int, values: Sequence[float]) -> Line:
    """Make what a ros2_control command topic carries."""
    layout = TYPES['std_msgs/msg/MultiArrayLayout']([], 0)
    return topic, log_ns, TYPES[ARRAY](layout, np.array(values, np.float64))


def record(path: Path, lines: Sequence[Line]) -> Path:
    """Write the lines into an MCAP recording."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        open_topics: dict[str, object] = {}
        for topic, log_ns, message in sorted(lines, key=lambda line: line[1]):
            kind = message.__msgtype__
            if topic not in open_topics:
                open_topics[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(open_topics[topic], log_ns, STORE.serialize_cdr(message, kind))
    return path
