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
The form of transitions on disk: one line of JSON, then records of fixed size.

A record holds tick and stamp (int64), state, action and next state (float64),
and a CRC-32 of all that; little endian. So record number i lies at a place
that can be computed, and a damaged one harms no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
import json
import struct
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from hlai_control.layout import Layout
from hlai_control.learning.pairing import Joined

VERSION = 2
_HEAD = struct.Struct('<qq')
_CRC = struct.Struct('<I')


@dataclass(frozen=True)
class Rows:
    """
    N transitions in order, as columns.

    :param ticks: numbers of the ticks at which the steps ended, (N).
    :param stamps_ns: stamps of these ticks, (N) [ns].
    :param states: at the beginnings, (N, S).
    :param actions: in effect during the steps, (N, A).
    :param next_states: at the ends, (N, S).
    :param damaged: records that were asked for and are left out.
    """

    ticks: NDArray[np.int64]
    stamps_ns: NDArray[np.int64]
    states: NDArray[np.float64]
    actions: NDArray[np.float64]
    next_states: NDArray[np.float64]
    damaged: int = 0

    def __len__(self) -> int:
        """Return N."""
        return len(self.ticks)

    def __iter__(self) -> Iterator[Joined]:
        """Give one after the other."""
        for tick, stamp_ns, *parts in zip(self.ticks.tolist(), self.stamps_ns.tolist(),
                                          self.states, self.actions, self.next_states,
                                          strict=True):
            yield Joined(tick, stamp_ns, *parts)

    @property
    def gaps(self) -> NDArray[np.bool_]:
        """Whether a step does not begin where the one before it ended, (N); the first: true."""
        found = np.ones(len(self), bool)
        found[1:] = np.diff(self.ticks) != 1
        return found


class RecordFormat:
    """
    Writes and reads the records of one robot.

    :param layout: the robot.
    """

    def __init__(self, layout: Layout) -> None:
        """Fix the size of a record and the first line."""
        width, size = layout.state_size, layout.action_size
        self._kind = np.dtype([
            ('tick', '<i8'), ('stamp_ns', '<i8'), ('state', '<f8', width),
            ('action', '<f8', size), ('next_state', '<f8', width), ('crc', '<u4')])
        self.fields: dict[str, object] = {
            'journal': VERSION, 'robot': layout.robot, 'states': list(layout.states),
            'angle': list(layout.angle), 'actions': list(layout.actions),
            'action_units': list(layout.action_units), 'period_s': layout.period_s,
            'delay_ticks': layout.delay_ticks}
        self.header = (json.dumps(self.fields) + '\n').encode()

    @property
    def size(self) -> int:
        """Bytes of one record."""
        return self._kind.itemsize

    def pack(self, joined: Joined) -> bytes:
        """Return the record of one transition."""
        body = _HEAD.pack(joined.tick, joined.stamp_ns) + np.concatenate(
            [joined.state, joined.action, joined.next_state]).astype('<f8').tobytes()
        return body + _CRC.pack(crc32(body))

    def unpack(self, data: bytes) -> Rows:
        """
        Return what is undamaged of some records.

        :param data: of any length; what is left of a record at its end is ignored.
        """
        found = np.frombuffer(data, self._kind, count=len(data) // self.size)
        view, body = memoryview(data), self.size - _CRC.size
        sums = np.fromiter((crc32(view[begin:begin + body])
                            for begin in range(0, len(found) * self.size, self.size)),
                           np.uint32, count=len(found))
        good = sums == found['crc']
        damaged = len(found) - int(good.sum())
        found = found[good] if damaged else found
        return Rows(found['tick'], found['stamp_ns'], found['state'], found['action'],
                    found['next_state'], damaged)

    def differing(self, line: bytes) -> str:
        """
        Name the field in which a journal's first line differs from this robot's.

        :returns: a sentence; empty if none does.
        """
        try:
            found = json.loads(line)
            if not isinstance(found, dict) or 'journal' not in found:
                raise ValueError
        except ValueError:  # JSON and text that is no UTF-8
            return f'it is no journal: it begins with {line[:60]!r}'
        return next((f'its {name} is {found.get(name)!r}; valid: {valid!r}'
                     for name, valid in self.fields.items() if found.get(name) != valid), '')
