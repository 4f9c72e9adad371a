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

"""Transitions on disk: what append has returned for is read back, and nothing else."""

from dataclasses import replace
from pathlib import Path
import signal
import subprocess
import sys

import numpy as np
import pytest

from hlai_control.errors import ArtefactError
from hlai_control.learning.journal import Journal
from hlai_control.learning.pairing import Joined
from hlai_control.robots.manifest import load_robot

LAYOUT = load_robot('cartpole').layout
# Two int64, 4 + 1 + 4 float64, and a CRC-32.
RECORD = 2 * 8 + 9 * 8 + 4

WRITER = """
import sys
import numpy as np
from pathlib import Path
from hlai_control.learning.journal import Journal
from hlai_control.learning.pairing import Joined
from hlai_control.robots.manifest import load_robot

journal = Journal(Path(sys.argv[1]), load_robot('cartpole').layout)
tick = 0
while True:
    journal.append(Joined(tick, 50 * tick, np.full(4, tick), np.full(1, -tick), np.full(4, 0.5)))
    print(tick, flush=True)
    tick += 1
"""


def _joined(tick: int) -> Joined:
    values = np.random.default_rng(tick).standard_normal(9)
    return Joined(tick, tick * 50_000_000, values[:4], values[4:5], values[5:])


def _written(path: Path, count: int) -> list[Joined]:
    journal = Journal(path, LAYOUT)
    items = [_joined(tick) for tick in range(count)]
    for item in items:
        journal.append(item)
    journal.close()
    return items


def _read(path: Path) -> list[Joined]:
    journal = Journal(path, LAYOUT)
    items = list(journal)
    journal.close()
    return items


def _same(found: list[Joined], expected: list[Joined]) -> bool:
    def row(joined: Joined) -> list[float]:
        return [joined.tick, joined.stamp_ns, *joined.state, *joined.action, *joined.next_state]

    return [row(joined) for joined in found] == [row(joined) for joined in expected]


def test_comes_back_to_the_last_bit_and_goes_on_after_reopening(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'a.journal'
    items = _written(path, 3)
    assert _same(_read(path), items)
    journal = Journal(path, LAYOUT)
    items += [_joined(2 ** 30), Joined(-1, -1, np.array([5e-324, -0.0, 1.8e308, 1.0]),
                                       np.zeros(1), np.ones(4))]
    for item in items[3:]:
        journal.append(item)
        assert len(list(journal)) == items.index(item) + 1  # at once, without closing
    journal.close()
    assert _same(_read(path), items)


def test_survives_kill_9_of_its_writer(tmp_path):
    path = tmp_path / 'a.journal'
    writer = subprocess.Popen([sys.executable, '-c', WRITER, str(path)], stdout=subprocess.PIPE,
                              text=True)
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 500:
            break
    writer.send_signal(signal.SIGKILL)
    told = [int(line) for line in writer.stdout.read().split('\n')[:-1]]
    assert writer.wait(10.0) == -signal.SIGKILL
    writer.stdout.close()
    found = _read(path)
    assert [joined.tick for joined in found] == list(range(len(found)))
    assert len(found) >= (told[-1] if told else 500) + 1
    assert all(joined.action[0] == -joined.tick and (joined.state == joined.tick).all()
               and joined.stamp_ns == 50 * joined.tick for joined in found)


def test_a_torn_tail_of_any_length_is_cut_off(tmp_path):
    path = tmp_path / 'a.journal'
    items = _written(path, 2)
    whole = path.read_bytes()
    begin = len(whole) - 2 * RECORD
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        kept = items[:max(0, length - begin) // RECORD]
        assert _same(_read(path), kept)
        journal = Journal(path, LAYOUT)
        journal.append(_joined(7))
        journal.close()
        assert _same(_read(path), [*kept, _joined(7)])


def test_a_flipped_byte_ends_the_journal_there(tmp_path):
    path = tmp_path / 'a.journal'
    items = _written(path, 3)
    whole = path.read_bytes()
    begin = len(whole) - 3 * RECORD
    for place in range(begin, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1:])
        kept = items[:(place - begin) // RECORD]
        assert _same(_read(path), kept)
        assert path.stat().st_size == begin + len(kept) * RECORD


@pytest.mark.parametrize('other', [
    replace(LAYOUT, robot='another'), replace(LAYOUT, positions=('pole.angle', 'cart.x')),
    replace(LAYOUT, actions=('cart.force', 'pole.torque'))])
def test_the_journal_of_another_robot_is_refused_and_left_alone(tmp_path, other):
    path = tmp_path / 'a.journal'
    _written(path, 3)
    before = path.read_bytes()
    with pytest.raises(ArtefactError, match='not a journal of this robot.*another run_dir'):
        Journal(path, other)
    assert path.read_bytes() == before


@pytest.mark.parametrize('content', [b'x', b'precious notes', b'{"journal": 2}', b'\0' * 1000])
def test_what_is_no_journal_is_refused_and_left_alone(tmp_path, content):
    """A short file of any content was once taken for a torn header, and emptied."""
    path = tmp_path / 'a.journal'
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match='not a journal'):
        Journal(path, LAYOUT)
    assert path.read_bytes() == content


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from hlai_control.errors import ArtefactError
from hlai_control.learning.journal import Journal
from hlai_control.learning.pairing import Joined
from hlai_control.robots.manifest import load_robot

journal = Journal(Path(sys.argv[1]), load_robot('cartpole').layout)
one = Joined(0, 0, np.zeros(4), np.zeros(1), np.zeros(4))
journal.append(one)
size = Path(sys.argv[1]).stat().st_size
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, resource.RLIM_INFINITY))
try:
    journal.append(one)
except ArtefactError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(one)
print(len(list(journal)))
"""


def test_a_disk_that_takes_half_a_record_loses_that_record_only(tmp_path):
    done = subprocess.run([sys.executable, '-c', FULL, str(tmp_path / 'a.journal')],
                          capture_output=True, text=True, timeout=30, check=True)
    complaint, count = done.stdout.splitlines()
    assert '40 of 92 bytes' in complaint and 'make room' in complaint
    assert count == '2'
