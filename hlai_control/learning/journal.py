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
Transitions on disk: append-only, one writer, any number of readers.

Each record (``learning/records.py``) is one write, so kill -9 of the writer
loses nothing that :meth:`Journal.append` has returned for; :meth:`Journal.sync`
brings it to the disk itself, against loss of power. A torn end is cut off when
the writer opens the file again. Whatever the length, opening reads the end
only, and reading needs memory for what is asked for only.
"""

from collections.abc import Iterator, Sequence
import fcntl
import os
from pathlib import Path

from hlai_control.errors import ArtefactError
from hlai_control.layout import Layout
from hlai_control.learning.pairing import Joined
from hlai_control.learning.records import RecordFormat, Rows

# Records read at a time.
_CHUNK = 16384
# A first line is shorter.
_LINE = 65536
# What a crash can tear: more than a second of the fastest robot.
_TORN = 4096


class JournalReader:
    """
    Reads a journal that may be growing, or not be there yet.

    :param path: the file.
    :param layout: the robot; a journal of another one is refused when first read.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        """Open nothing yet."""
        self._path, self._format = path, RecordFormat(layout)
        self._file = -1

    def __len__(self) -> int:
        """
        Count the whole records, damaged ones included.

        :raises ArtefactError: if the file is of another robot or no journal.
        """
        if not self._open():
            return 0
        body = os.fstat(self._file).st_size - len(self._format.header)
        return max(0, body) // self._format.size

    def read(self, first: int, count: int) -> Rows:
        """
        Read consecutive records; damaged ones and such that are not there are left out.

        :param first: number of the first, from 0.
        :param count: how many at most.
        :raises ArtefactError: if the file is of another robot or no journal.
        """
        count = max(0, min(count, len(self) - first))
        size = self._format.size
        data = os.pread(self._file, count * size, len(self._format.header) + first * size
                        ) if count else b''
        return self._format.unpack(data)

    def at(self, numbers: Sequence[int]) -> Rows:
        """
        Read single records; damaged ones and such that are not there are left out.

        :param numbers: of the records, from 0, in any order.
        :raises ArtefactError: if the file is of another robot or no journal.
        """
        held, size, begin = len(self), self._format.size, len(self._format.header)
        return self._format.unpack(b''.join(
            os.pread(self._file, size, begin + size * number)
            for number in numbers if 0 <= number < held))

    def chunks(self, end: int) -> Iterator[Rows]:
        """
        Read from the beginning, a bounded number at a time.

        :param end: number of the first record not to read.
        """
        for begin in range(0, end, _CHUNK):
            yield self.read(begin, min(_CHUNK, end - begin))

    def __iter__(self) -> Iterator[Joined]:
        """Give all that is there now, one after the other."""
        for rows in self.chunks(len(self)):
            yield from rows

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> bool:
        if self._file >= 0:
            return True
        try:
            file = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        if not _is_whole(file, self._path, self._format):
            os.close(file)
            return False
        self._file = file
        return True


class Journal:
    """
    The only writer of a journal, for as long as it is open.

    :param path: the file; made with its folder if it does not exist.
    :param layout: the robot; a journal of another robot is refused.
    :raises ArtefactError: if the file is of another robot, no journal, or
        another process writes it.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        """Open, check the first line, and cut off a torn end."""
        self._path, self._format = path, RecordFormat(layout)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._claim()
            if not _is_whole(self._file, path, self._format):
                # New, or torn before the first line was whole: nothing is lost.
                os.ftruncate(self._file, 0)
                _write_whole(self._file, self._format.header, path)
            self._reader = JournalReader(path, layout)
            self.torn = self._cut()
        except BaseException:
            os.close(self._file)
            raise
        self._unsynced = True
        self.sync()
        _sync_folder(path.parent)

    def append(self, joined: Joined) -> None:
        """
        Write one transition; it is safe from kill -9 when this returns.

        :raises ArtefactError: if the disk took only a part of it.
        """
        record = self._format.pack(joined)
        _write_whole(self._file, record, self._path)
        self._unsynced = True

    def sync(self) -> None:
        """Wait until all that was appended is safe from loss of power, too."""
        if self._unsynced:
            os.fdatasync(self._file)
            self._unsynced = False

    def __len__(self) -> int:
        """Count the whole records, damaged ones included."""
        return len(self._reader)

    def __iter__(self) -> Iterator[Joined]:
        """Give all that is there now, one after the other; damaged records are left out."""
        return iter(self._reader)

    def close(self) -> None:
        """Bring all to the disk, and let another one write."""
        self.sync()
        self._reader.close()
        os.close(self._file)

    def _claim(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtefactError(f'{self._path} is being written by another process; end that '
                                'run first, or choose another run_dir') from None

    def _cut(self) -> int:
        """Cut off half a record, and damaged ones that no good one follows; return the bytes."""
        before, kept = os.fstat(self._file).st_size, len(self._reader)
        whole = kept
        while kept and not len(self._reader.read(kept - 1, 1)):
            kept -= 1
            if whole - kept > _TORN:
                raise ArtefactError(f'{self._path}: its last {_TORN} records are damaged, which '
                                    'no crash can do; keep a copy, and choose another run_dir')
        after = len(self._format.header) + kept * self._format.size
        os.ftruncate(self._file, after)
        return before - after


def _is_whole(file: int, path: Path, form: RecordFormat) -> bool:
    """
    Say whether the first line is there; not so in a file that is new or torn within it.

    :raises ArtefactError: if it is another one, naming the field that differs.
    """
    found = os.pread(file, _LINE, 0)
    if len(found) < len(form.header) and form.header.startswith(found):
        return False
    if not found.startswith(form.header):
        line = found.partition(b'\n')[0]
        raise ArtefactError(f'{path} is not a journal of this robot: {form.differing(line)}; '
                            'choose another run_dir')
    return True


def _write_whole(file: int, data: bytes, path: Path) -> None:
    """
    Append bytes, or nothing.

    :raises ArtefactError: if the disk took only a part of them.
    """
    before = os.fstat(file).st_size
    written = os.write(file, data)
    if written != len(data):
        # What follows half a record, or half a first line, could never be read again.
        os.ftruncate(file, before)
        raise ArtefactError(f'{path}: {written} of {len(data)} bytes were written; make room on '
                            'the disk')


def _sync_folder(path: Path) -> None:
    # A new file is durable only once its folder is.
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
