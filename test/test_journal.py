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
import os
from pathlib import Path
import signal
import subprocess
import sys

import numpy as np
import pytest

from hlai_control.errors import ArtefactError
from hlai_control.learning.archive import JournalArchive
from hlai_control.learning.journal import Journal, JournalReader
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


def _child_that_writes(path: Path, first: int) -> tuple[int, int]:
    """Fork a process that appends for ever, and tells each number once it is written."""
    tell, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            journal = Journal(path, LAYOUT)
            for tick in range(first, first + 10 ** 9):
                journal.append(_joined(tick))
                os.write(told, tick.to_bytes(8))
        finally:
            os._exit(1)
    os.close(told)
    return pid, tell


def test_no_moment_to_kill_its_writer_costs_what_was_written(tmp_path):
    path, draw = tmp_path / 'a.journal', np.random.default_rng(1)
    count = 0
    for _ in range(60):
        pid, tell = _child_that_writes(path, count)
        for _ in range(int(draw.integers(1, 60))):
            assert len(os.read(tell, 8)) == 8
        for _ in range(int(draw.integers(0, 20_000))):
            pass  # some moment within an append
        os.kill(pid, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        told = count - 1
        while len(last := os.read(tell, 8)) == 8:
            told = int.from_bytes(last)
        os.close(tell)
        # Nothing is opened for writing yet: what a reader sees is a prefix, too.
        found = JournalReader(path, LAYOUT).read(0, 10 ** 6)
        count = len(found)
        assert count >= told + 1 and found.damaged == 0
    assert count > 600 and _same(_read(path), [_joined(tick) for tick in range(count)])


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


def test_a_flipped_byte_costs_its_own_record_only(tmp_path):
    path = tmp_path / 'a.journal'
    items = _written(path, 3)
    whole = path.read_bytes()
    begin = len(whole) - 3 * RECORD
    for place in range(begin, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1:])
        hit = (place - begin) // RECORD
        assert _same(_read(path), items[:hit] + items[hit + 1:])
        # Only the last one can have been torn off, so only that one is cut off.
        assert path.stat().st_size == len(whole) - (RECORD if hit == 2 else 0)
        assert JournalReader(path, LAYOUT).read(0, 3).damaged == (0 if hit == 2 else 1)


@pytest.mark.parametrize(('field', 'other'), [
    ('robot', replace(LAYOUT, robot='another')),
    ('states', replace(LAYOUT, positions=('pole.angle', 'cart.x'))),
    ('angle', replace(LAYOUT, angle=(False, False))),
    ('actions', replace(LAYOUT, actions=('cart.force', 'pole.torque'))),
    ('period_s', replace(LAYOUT, period_s=0.01)), ('delay_ticks', replace(LAYOUT, delay_ticks=3))])
def test_the_journal_of_another_robot_is_refused_and_left_alone(tmp_path, field, other):
    path = tmp_path / 'a.journal'
    _written(path, 3)
    before = path.read_bytes()
    said = f'not a journal of this robot: its {field} is .*; valid: .*another run_dir'
    with pytest.raises(ArtefactError, match=said):
        Journal(path, other)
    with pytest.raises(ArtefactError, match=said):
        JournalReader(path, other).read(0, 1)
    assert path.read_bytes() == before


def test_there_is_one_writer_and_it_lets_go_when_it_ends(tmp_path):
    path = tmp_path / 'a.journal'
    journal = Journal(path, LAYOUT)
    with pytest.raises(ArtefactError, match='written by another process'):
        Journal(path, LAYOUT)
    journal.append(_joined(0))
    journal.close()
    assert _same(_read(path), [_joined(0)])


def test_a_reader_sees_what_is_there_and_waits_for_what_is_not(tmp_path):
    path = tmp_path / 'a.journal'
    reader = JournalReader(path, LAYOUT)
    assert len(reader) == 0 and len(reader.read(0, 5)) == 0 and list(reader) == []
    assert not path.exists()  # a reader makes nothing
    journal = Journal(path, LAYOUT)
    for tick in (5, 6, 7, 9, 10):
        journal.append(_joined(tick))
        assert len(reader) == len(journal)
    rows = reader.read(1, 100)
    assert rows.ticks.tolist() == [6, 7, 9, 10]
    assert rows.gaps.tolist() == [True, False, True, False]
    assert rows.states.shape == (4, 4) and rows.actions.shape == (4, 1)
    assert (rows.next_states[2] == _joined(9).next_state).all()
    assert [rows.ticks.tolist() for rows in reader.chunks(2)] == [[5, 6]]
    assert reader.at([4, 0, 5, -1, 0]).ticks.tolist() == [10, 5, 5]
    journal.close()
    reader.close()
    assert len(reader) == 5  # closed is not forgotten


def test_a_journal_that_no_crash_can_have_left_is_kept(tmp_path):
    path = tmp_path / 'a.journal'
    _written(path, 1)
    with open(path, 'ab') as file:
        file.write(bytes(RECORD * 5000))
    size = path.stat().st_size
    with pytest.raises(ArtefactError, match='no crash can do'):
        Journal(path, LAYOUT)
    assert path.stat().st_size == size


def test_what_was_cut_off_is_told(tmp_path):
    path = tmp_path / 'a.journal'
    _written(path, 2)
    with open(path, 'ab') as file:
        file.write(b'half a record')
    journal = Journal(path, LAYOUT)
    assert journal.torn == len('half a record')
    journal.close()
    again = Journal(path, LAYOUT)
    assert again.torn == 0
    again.close()


@pytest.mark.parametrize('content', [b'x', b'precious notes', b'{"journal": 1}', b'\0' * 1000])
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


TORN = """
import resource, signal, sys
from pathlib import Path
from hlai_control.errors import ArtefactError
from hlai_control.learning.journal import Journal
from hlai_control.robots.manifest import load_robot

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))
try:
    Journal(Path(sys.argv[1]), load_robot('cartpole').layout)
except ArtefactError as error:
    print(error)
"""


def test_a_disk_that_takes_half_a_first_line_makes_no_journal(tmp_path):
    """Records were appended to the half, and the next start refused the file as none of ours."""
    done = subprocess.run([sys.executable, '-c', TORN, str(tmp_path / 'a.journal')],
                          capture_output=True, text=True, timeout=30, check=True)
    assert 'make room' in done.stdout
    journal = Journal(tmp_path / 'a.journal', LAYOUT)
    assert len(journal) == 0 and not journal.torn
    journal.close()


def test_a_row_too_great_for_the_learners_costs_itself_only(tmp_path):
    """It made them refuse the sixteen thousand that are read together with it."""
    journal = Journal(tmp_path / 'a.journal', LAYOUT)
    rest = np.zeros(4)
    for i in range(3):
        journal.append(Joined(i, i, rest + (1e300 if i == 1 else 0.0), np.zeros(1), rest))
    found = list(JournalArchive(JournalReader(tmp_path / 'a.journal', LAYOUT)).chunks(3))
    assert [len(batch.state) for batch in found] == [2]
    journal.close()
