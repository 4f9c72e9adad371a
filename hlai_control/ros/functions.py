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
Functions on topics: a module's parameters as versioned, latched artefacts.

The bytes are safetensors (``learning/artefact.py``). They are written
atomically to the run's folder before they are published, so that a node
which starts later, or after its owner died, begins from the newest file.
Above 1 MB the topic carries path and SHA-256 instead of the bytes.
"""

from array import array
import hashlib
import json
from pathlib import Path

from rclpy.publisher import Publisher
from std_msgs.msg import MultiArrayDimension, UInt8MultiArray

from hlai_control.errors import SignalError
from hlai_control.files import write_atomic
from hlai_control.layout import Layout
from hlai_control.learning.artefact import Artefact, encode
from hlai_control.learning.storage import artefact_path, forget_old

# The learned functions that travel.
WORLD_MODEL_KIND, CRITIC_KIND, POLICY_KIND = 'world_model', 'critic', 'policy'
INLINE_LIMIT = 1_000_000
# More than the newest, in case that one is damaged.
KEPT_FILES = 3
READ_LIMIT = 1_000_000_000
_INLINE, _FILE = 'safetensors', 'file'


class FunctionPublisher:
    """
    Keeps and publishes the versions of one function.

    :param publisher: of ``std_msgs/UInt8MultiArray``.
    :param run_dir: the run's folder; empty: keep no files.
    """

    def __init__(self, publisher: Publisher, run_dir: str) -> None:
        """Make the folder of the functions."""
        self._publisher = publisher
        self.folder = Path(run_dir) / 'functions' if run_dir else None
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def publish(self, artefact: Artefact, layout: Layout) -> None:
        """Write the file, then tell everybody."""
        self._publisher.publish(pack(*self.keep(artefact, layout)))

    def keep(self, artefact: Artefact, layout: Layout) -> tuple[bytes, Path | None]:
        """
        Write the file alone, where there is a folder for it.

        :returns: its bytes, and where they are.
        """
        blob, path = encode(artefact, layout), None
        if self.folder is not None:
            path = artefact_path(self.folder, artefact.kind, artefact.version)
            write_atomic(path, blob)
            forget_old(self.folder, artefact.kind, KEPT_FILES)
        return blob, path


def pack(blob: bytes, path: Path | None) -> UInt8MultiArray:
    """
    Make the message of an artefact.

    :param blob: the artefact's bytes.
    :param path: the file that holds the same bytes; needed above 1 MB.
    :raises SignalError: if the artefact is large and there is no file.
    """
    label, body = _INLINE, blob
    if len(blob) > INLINE_LIMIT:
        if path is None:
            raise SignalError('artefact above 1 MB without a run_dir to keep it in')
        label = _FILE
        body = json.dumps({'path': str(path.resolve()),
                           'sha256': hashlib.sha256(blob).hexdigest()}).encode()
    message = UInt8MultiArray()
    message.layout.dim = [MultiArrayDimension(label=label, size=len(body), stride=1)]
    message.data = array('B', body)
    return message


def unpack(message: UInt8MultiArray) -> bytes:
    """
    Return an artefact's bytes, from the message or from the file it names.

    :raises SignalError: if the message is not one of ours, or the file is
        missing or not the one that was published.
    """
    label = message.layout.dim[0].label if message.layout.dim else ''
    body = bytes(message.data)
    if label == _INLINE:
        return body
    if label != _FILE:
        raise SignalError('not a function artefact')
    try:
        reference = json.loads(body)
        path, digest = Path(reference['path']), reference['sha256']
        if not path.is_file():
            raise SignalError('artefact file is missing')  # or a pipe, which would block us
        if path.stat().st_size > READ_LIMIT:
            raise SignalError('artefact file above 1 GB')
        blob = path.read_bytes()
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise SignalError(f'unreadable artefact file: {type(error).__name__}') from None
    if hashlib.sha256(blob).hexdigest() != digest:
        raise SignalError('artefact file changed since it was published')
    return blob
