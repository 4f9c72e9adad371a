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

"""Functions on topics: the bytes that were published come out, or a SignalError."""

from array import array
import json
import os
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from ros_bench import bench
from std_msgs.msg import MultiArrayDimension, UInt8MultiArray
import torch

from hlai_control.errors import ArtefactError, SignalError
from hlai_control.learning.artefact import Artefact, decode, encode
from hlai_control.learning.storage import newest_valid
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.functions import (
    FunctionPublisher,
    INLINE_LIMIT,
    KEPT_FILES,
    pack,
    unpack,
    WORLD_MODEL_KIND,
)
from hlai_control.ros.qos import FUNCTION

LAYOUT = load_robot('cartpole').layout


def _message(label: str, body: bytes) -> UInt8MultiArray:
    message = UInt8MultiArray(data=array('B', body))
    message.layout.dim = [MultiArrayDimension(label=label, size=len(body), stride=1)]
    return message


def _over_the_wire(message: UInt8MultiArray) -> UInt8MultiArray:
    return deserialize_message(serialize_message(message), UInt8MultiArray)


def _large(tmp_path: Path) -> tuple[bytes, Path]:
    blob, path = os.urandom(INLINE_LIMIT + 1), tmp_path / 'large.safetensors'
    path.write_bytes(blob)
    return blob, path


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_small_ones_travel_whole(blob):
    assert unpack(_over_the_wire(pack(blob, None))) == blob


def test_up_to_1_mb_inline_and_above_by_file(tmp_path):
    blob, path = _large(tmp_path)
    inline = pack(blob[:-1], path)
    assert bytes(inline.data) == blob[:-1]
    message = _over_the_wire(pack(blob, path))
    assert len(message.data) < 1000
    assert unpack(message) == blob
    with pytest.raises(SignalError, match='above 1 MB without a run_dir'):
        pack(blob, None)


def test_a_file_that_changed_is_refused(tmp_path):
    blob, path = _large(tmp_path)
    message = pack(blob, path)
    path.write_bytes(blob[:-1] + bytes([blob[-1] ^ 1]))
    with pytest.raises(SignalError, match='changed since'):
        unpack(message)
    path.write_bytes(blob + b'x')
    with pytest.raises(SignalError, match='changed since'):
        unpack(message)
    path.unlink()
    with pytest.raises(SignalError, match='missing'):
        unpack(message)


def test_what_is_no_ordinary_file_is_refused_without_waiting_for_it(tmp_path):
    """A pipe blocked its reader for ever, and /dev/zero filled its memory."""
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path('/dev/zero'), tmp_path / 'nothing'):
        body = json.dumps({'path': str(path), 'sha256': ''}).encode()
        with pytest.raises(SignalError, match='missing'):
            unpack(_message('file', body))


references = st.fixed_dictionaries({}, optional={
    'path': st.none() | st.integers() | st.text() | st.just('x' * 100_000) | st.just('/a\0b'),
    'sha256': st.none() | st.integers() | st.text()})


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(['file', 'safetensors', '', 'FILE', 'x']),
       st.binary(max_size=100) | references.map(lambda ref: json.dumps(ref).encode()))
@example('file', b'[' * 100_000)  # once ended the process that read it
@example('file', b'\xff')
@example('file', b'[1]')
@example('file', b'null')
@example('file', b'{"path": "/dev/null", "sha256": "' + b'a' * 64 + b'"}')
def test_anything_else_is_refused_and_nothing_but_refused(label, body):
    try:
        found = unpack(_message(label, body))
    except SignalError:
        assert label != 'safetensors'
        return
    assert label == 'safetensors' and found == body


def test_a_message_without_a_layout_is_refused():
    with pytest.raises(SignalError, match='not a function'):
        unpack(UInt8MultiArray(data=array('B', b'abc')))


@settings(max_examples=200, deadline=None)
@given(st.integers(0), st.integers(0, 255))
def test_a_damaged_artefact_never_passes_for_a_whole_one(place, value):
    artefact = Artefact(WORLD_MODEL_KIND, 4, {'a': torch.arange(3.0)})
    blob = bytearray(unpack(pack(encode(artefact, LAYOUT), None)))
    blob[place % len(blob)] = value
    try:
        found = decode(bytes(blob), LAYOUT, WORLD_MODEL_KIND, artefact.tensors)
    except ArtefactError:
        return
    assert found.version == 4 and found.tensors['a'].tolist() == [0.0, 1.0, 2.0]


def test_publishes_after_writing_and_keeps_a_few_files(tmp_path):
    with bench() as stand:
        node, received = stand.node('learner'), []
        functions = FunctionPublisher(node.create_publisher(UInt8MultiArray, 'f', FUNCTION),
                                      str(tmp_path))
        like = {'weights': torch.zeros(4)}
        for version in range(1, 6):
            functions.publish(Artefact(WORLD_MODEL_KIND, version,
                                       {'weights': torch.full((4,), float(version))}), LAYOUT)
            newest = newest_valid(functions.folder, LAYOUT, WORLD_MODEL_KIND, like)
            assert newest.version == version
        assert len(list(functions.folder.iterdir())) == KEPT_FILES
        # Who joins late hears the latched ones, the newest last.
        stand.node('late').create_subscription(
            UInt8MultiArray, 'f', lambda m: received.append(unpack(m)), FUNCTION)
        stand.until(lambda: len(received) == 5, 'latched versions')
        late = decode(received[-1], LAYOUT, WORLD_MODEL_KIND, like)
        assert late.version == 5 and late.tensors['weights'].tolist() == [5.0] * 4
