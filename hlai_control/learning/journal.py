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
Transitions on disk: append-only, survives kill -9 of its writer.

A file begins with one line of JSON (names and sizes); then follow records of
fixed size: tick and stamp (int64), state, action and next state (float64),
and a CRC-32 of all that. Each record is one write; a torn or damaged tail is
cut off when the journal is opened again.
"""

from collections.abc import Iterator
import json
import os
from pathlib import Path
import struct
import zlib

import numpy as np

from hlai_control.errors import ArtefactError
from hlai_control.layout import Layout
from hlai_control.learning.pairing import Joined

_HEAD = struct.Struct('<qq')
_CRC = struct.Struct('<I')


class Journal:
    """
    The transitions of one run and learner.

    :param path: the file; made with its folder if it does not exist.
    :param layout: the robot; a journal of another robot is refused.
    :raises ArtefactError: if the file is of another robot or no journal.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        """Open, check the header, and cut off a torn tail."""
        self._path = path
        self._sizes = (layout.state_size, layout.action_size, layout.state_size)
        self._record = _HEAD.size + 8 * sum(self._sizes) + _CRC.size
        self._header = (json.dumps({'journal': 1, 'robot': layout.robot, 'states': layout.states,
                                    'actions': layout.actions}) + '\n').encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._check_header()
        good = sum(1 for _ in self)
        os.ftruncate(self._file, len(self._header) + good * self._record)

    def append(self, joined: Joined) -> None:
        """
        Write one transition; it is safe from kill -9 when this returns.

        :raises ArtefactError: if the disk took only a part of it.
        """
        body = _HEAD.pack(joined.tick, joined.stamp_ns) + np.concatenate(
            [joined.state, joined.action, joined.next_state]).tobytes()
        before = os.fstat(self._file).st_size
        written = os.write(self._file, body + _CRC.pack(zlib.crc32(body)))
        if written != self._record:
            # What follows half a record could never be read again.
            os.ftruncate(self._file, before)
            raise ArtefactError(f'{self._path}: {written} of {self._record} bytes were written; '
                                'make room on the disk')

    def __iter__(self) -> Iterator[Joined]:
        """Read all whole records from the beginning, up to the first damaged one."""
        with open(self._path, 'rb') as file:
            file.seek(len(self._header))
            while len(record := file.read(self._record)) == self._record:
                body, (crc,) = record[:-_CRC.size], _CRC.unpack(record[-_CRC.size:])
                if zlib.crc32(body) != crc:
                    return
                yield self._unpack(body)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _unpack(self, body: bytes) -> Joined:
        tick, stamp_ns = _HEAD.unpack_from(body)
        values = np.frombuffer(body, np.float64, offset=_HEAD.size)
        first, second = self._sizes[0], self._sizes[0] + self._sizes[1]
        return Joined(tick, stamp_ns, values[:first], values[first:second], values[second:])

    def _check_header(self) -> None:
        found = os.pread(self._file, len(self._header), 0)
        if len(found) < len(self._header) and self._header.startswith(found):
            # New, or torn before the header was whole: nothing is lost.
            os.ftruncate(self._file, 0)
            os.write(self._file, self._header)
        elif found != self._header:
            os.close(self._file)
            raise ArtefactError(f'{self._path} is not a journal of this robot: it begins with '
                                f'{found[:80]!r}; choose another run_dir')
