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


"""A rosbag2 recording, opened without ROS: which topics it holds, and their messages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
import sqlite3
import struct
from typing import Any

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError
from rosbags.typesys import get_typestore, Stores

from hlai_control.errors import RecordingError

# What damaged bytes come to in the library: it tells of few of them itself, and a length
# that was changed asks for more memory than there is.
_DAMAGE = (AnyReaderError, ReaderError, OSError, ValueError, EOFError, AssertionError, LookupError,
           TypeError, AttributeError, ArithmeticError, MemoryError, RuntimeError, struct.error,
           sqlite3.Error)


@dataclass(frozen=True)
class Message:
    """
    One message of a recording.

    :param log_ns: when the recorder took it down, by its own clock [ns].
    :param content: the message, None if its bytes cannot be read.
    """

    log_ns: int
    content: Any


class Bag:
    """
    An open recording.

    :param reader: of the library.
    :param path: as the user named it.
    """

    def __init__(self, reader: AnyReader, path: Path) -> None:
        """Look which topics there are."""
        self._reader, self.path = reader, path
        self.types: dict[str, str] = {item.topic: item.msgtype for item in reader.connections}

    def messages(self, topic: str) -> Iterator[Message]:
        """
        Read one topic in the order in which it was recorded.

        :raises RecordingError: if the file is damaged.
        """
        wanted: Sequence[Connection] = [
            item for item in self._reader.connections if item.topic == topic]
        try:
            for connection, log_ns, data in self._reader.messages(connections=wanted):
                yield Message(log_ns, self._content(data, connection.msgtype))
        except _DAMAGE as error:
            raise RecordingError(
                f'{self.path}: cannot be read on ({_said(error)}); repair it, for example with '
                'ros2 bag reindex or mcap recover') from error

    def _content(self, data: bytes, msgtype: str) -> Any:
        try:
            return self._reader.deserialize(data, msgtype)
        except _DAMAGE:
            return None


@contextmanager
def opened(path: Path) -> Iterator[Bag]:
    """
    Open a recording.

    :param path: the folder of a bag, or one ``.mcap`` or ``.db3`` file.
    :raises RecordingError: if it is none, or damaged.
    """
    try:
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
        reader.open()
    except _DAMAGE as error:
        raise RecordingError(
            f'bag:={path} cannot be opened ({_said(error)}); valid: the folder of '
            'a rosbag2 recording, or one .mcap or .db3 file') from error
    try:
        yield Bag(reader, path)
    finally:
        reader.close()


def _said(error: BaseException) -> str:
    return f'{type(error).__name__}: {error}' if str(error) else type(error).__name__
