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
Transitions as a rosbag2 recording that ROS tools open; no torch, no ROS install.

The topics are those of the running graph, so that a robot's recording and an
exported run read alike: a state at the beginning and end of each step, and
the command in effect during it, stamped with the measurement that it answers.
"""

from collections import deque
from collections.abc import Iterable
from pathlib import Path
import shutil
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import get_typestore, Stores

from hlai_control.errors import RecordingError
from hlai_control.graph import APPLIED, STATE
from hlai_control.layout import Layout
from hlai_control.learning.pairing import Joined
from hlai_control.recordings.topics import JOINT_STATE

_NS_PER_S = 1_000_000_000
# Between stretches whose clocks have nothing to do with each other [ticks].
APART_TICKS = 100
NAMESPACE = '/hlai'


def write_recording(path: Path, transitions: Iterable[Joined], layout: Layout,
                    period_ns: int) -> int:
    """
    Write transitions as an MCAP recording.

    Read back, the same transitions come to the last bit. Where a clock was
    set back, all later stamps are moved so that they go forward.

    :param path: the folder to make.
    :param transitions: in the order in which they were made.
    :param layout: the robot.
    :param period_ns: its control period [ns].
    :returns: how many were written.
    :raises RecordingError: if the folder exists or cannot be written.
    """
    try:
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            tape = _Tape(writer, layout, period_ns)
            for joined in transitions:
                tape.add(joined)
    except WriterError as error:
        raise RecordingError(f'bag:={path} cannot be written ({error}); choose another') from error
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        raise RecordingError(f'bag:={path} cannot be written ({error.strerror})') from error
    return tape.count


class _Tape:
    """Writes transitions one after another."""

    def __init__(self, writer: Writer, layout: Layout, period_ns: int) -> None:
        """Announce the two topics."""
        self.count = 0
        self._writer, self._layout, self._period_ns = writer, layout, period_ns
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._states, self._applied = (
            writer.add_connection(f'{NAMESPACE}/{name}', JOINT_STATE, typestore=self._store)
            for name in (STATE, APPLIED))
        self._last: Joined | None = None
        self._stamps = deque[int](maxlen=layout.delay_ticks + 1)
        self._end_ns = self._shift_ns = self._origin_ns = 0

    def add(self, joined: Joined) -> None:
        """Write what of a transition is new."""
        last, end_ns = self._last, joined.stamp_ns + self._shift_ns
        follows = (last is not None and joined.tick == last.tick + 1
                   and abs(end_ns - self._end_ns - self._period_ns) < 0.5 * self._period_ns
                   and joined.state.tobytes() == last.next_state.tobytes())
        if not follows:
            end_ns = self._begin(joined, end_ns)
        begin_ns = self._end_ns
        # Stamps of a real clock are not quite one period apart.
        self._stamps.append(begin_ns)
        delay = self._layout.delay_ticks
        answered_ns = self._stamps[0] - (delay + 1 - len(self._stamps)) * self._period_ns
        self._put(self._applied, begin_ns, answered_ns, self._layout.actions, joined.action)
        self._put(self._states, end_ns, end_ns, self._layout.states, joined.next_state)
        self._last, self._end_ns, self.count = joined, end_ns, self.count + 1

    def _begin(self, joined: Joined, end_ns: int) -> int:
        """Write the first state after a gap; return where the step then ends."""
        begin_ns = end_ns - self._period_ns
        if self._last is None:
            self._origin_ns = min(0, begin_ns)
        elif begin_ns < self._end_ns + self._period_ns // 2:
            apart_ns = APART_TICKS * self._period_ns
            moved_ns = -(-(self._end_ns + apart_ns - begin_ns) // self._period_ns)
            self._shift_ns += moved_ns * self._period_ns
            begin_ns += moved_ns * self._period_ns
        self._put(self._states, begin_ns, begin_ns, self._layout.states, joined.state)
        self._end_ns = begin_ns
        self._stamps.clear()
        return begin_ns + self._period_ns

    def _put(self, connection: Any, log_ns: int, stamp_ns: int, names: tuple[str, ...],
             values: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        types, nothing = self._store.types, np.zeros(0)
        stamp = types['builtin_interfaces/msg/Time'](
            sec=stamp_ns // _NS_PER_S, nanosec=stamp_ns % _NS_PER_S)
        message = types[JOINT_STATE](
            header=types['std_msgs/msg/Header'](stamp=stamp, frame_id=''), name=list(names),
            position=np.ascontiguousarray(values, np.float64), velocity=nothing, effort=nothing)
        self._writer.write(connection, log_ns - self._origin_ns,
                           self._store.serialize_cdr(message, JOINT_STATE))
