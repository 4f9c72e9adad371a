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
Find out whether anything takes longer because a run has been going on for long.

    python benchmark/replay_length.py --most 10000000 --json docs/results/replay_length.json

Journals of 10^4 rows and more are written; a world model learner is restored
from each; then all of them go on in turn, so that whatever else the machine
does hits them alike. Ratios are to the shortest. The folder needs 0.1 kB of
disk per row.
"""

import argparse
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import resource
import tempfile
import time

import numpy as np
import torch

from hlai_control.learning.archive import batch_of, JournalArchive
from hlai_control.learning.journal import Journal, JournalReader
from hlai_control.learning.records import RecordFormat, Rows
from hlai_control.learning.replay import Replay
from hlai_control.parent.machine import machine, versions
from hlai_control.parent.resume import RUNS
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import WorldModelSettings
from hlai_control.types import generator, Transition
from hlai_control.world_model.learner import WorldModelLearner

LAYOUT = load_robot('cartpole').layout
SHORTEST = 10_000
_CHUNK = 100_000
ROUNDS, STEPS = 40, 25


@dataclass(frozen=True)
class Figures:
    """
    What one length costs; medians over the rounds.

    :param rows: transitions in the journal.
    :param open_ms: to open it for writing, once.
    :param restore_s: to read all of it and to restore the learner, once.
    :param append_us: to append a transition, syncing once in the time of 20.
    :param add_us: to add it to the learner, reading one old row from the disk.
    :param sample_us: to draw one batch for all members.
    :param update_us: one update of the learner.
    :param fit_us: one fit of the coefficients.
    :param resident_mb: of the process after restoring it, those before included.
    """

    rows: int
    open_ms: float
    restore_s: float
    append_us: float
    add_us: float
    sample_us: float
    update_us: float
    fit_us: float
    resident_mb: float


def motion(count: int, draw: np.random.Generator, first: int) -> Rows:
    """Make transitions of a made-up robot of the cart-pole's shape."""
    state = draw.uniform(-1.0, 1.0, (count, 4)) * [1.0, np.pi, 2.0, 6.0]
    action = draw.uniform(-10.0, 10.0, (count, 1))
    rate = state[:, 2:] + 0.05 * (action + 9.8 * np.sin(state[:, 1:2])) * [1.0, -2.0]
    rate += 0.01 * draw.standard_normal((count, 2))
    position = state[:, :2] + 0.025 * (state[:, 2:] + rate)
    ticks = np.arange(first, first + count)
    return Rows(ticks, 50_000_000 * ticks, state, action, np.hstack([position, rate]))


def write(path: Path, count: int, draw: np.random.Generator) -> None:
    """Write a journal of so many rows."""
    Journal(path, LAYOUT).close()
    form = RecordFormat(LAYOUT)
    with open(path, 'ab') as file:
        for first in range(0, count, _CHUNK):
            rows = motion(min(_CHUNK, count - first), draw, first)
            file.write(b''.join(map(form.pack, rows)))


class Length:
    """One journal, and a learner restored from it."""

    def __init__(self, path: Path, count: int, draw: np.random.Generator) -> None:
        """Write, open and restore."""
        self.count, self._draw = count, draw
        write(path, count, draw)
        began_s = time.perf_counter()
        self._journal = Journal(path, LAYOUT)
        self.open_ms = 1e3 * (time.perf_counter() - began_s)
        archive = JournalArchive(JournalReader(path, LAYOUT))
        self._settings = WorldModelSettings()
        self._learner = WorldModelLearner(LAYOUT, self._settings, generator(0, 'world_model'))
        self._learner.replay = Replay(LAYOUT, archive=archive)
        began_s = time.perf_counter()
        for batch in archive.chunks(count):
            self._learner.extend(batch)
        self.restore_s = time.perf_counter() - began_s
        self.resident_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.times: list[list[float]] = []

    def go_on(self) -> None:
        """Do a few steps, and note what each part of them took [us]."""
        learner, rows = self._learner, motion(STEPS, self._draw, 0)
        batch = batch_of(rows)
        count = self._settings.members * self._settings.batch
        draw = torch.Generator().manual_seed(len(self.times))

        def append() -> None:
            for joined in rows:
                self._journal.append(joined)
            self._journal.sync()

        def add() -> None:
            for parts in zip(batch.state, batch.action, batch.next_state, strict=True):
                learner.add(Transition(*parts))

        self.times.append([_each(append), _each(add), _each(lambda: [
            learner.replay.sample(count, draw) for _ in range(STEPS)]),
            _each(lambda: [learner.update() for _ in range(STEPS)]),
            STEPS * _each(lambda: learner.dynamics)])

    def figures(self) -> Figures:
        """Return medians."""
        return Figures(self.count, self.open_ms, self.restore_s,
                       *np.median(self.times, axis=0).tolist(), self.resident_mb)

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()


def _each(work) -> float:
    began_s = time.perf_counter()
    work()
    return 1e6 * (time.perf_counter() - began_s) / STEPS


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--most', type=int, default=10_000_000)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw = np.random.default_rng(1)
    RUNS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RUNS) as folder:
        counts = [count for count in (SHORTEST * 10 ** power for power in range(4))
                  if count <= options.most]
        lengths = [Length(Path(folder) / f'{count}.journal', count, draw) for count in counts]
        for _ in range(ROUNDS):
            for one in lengths:
                one.go_on()
        found = [one.figures() for one in lengths]
        for one in lengths:
            one.close()
    base = found[0]
    for one in found:
        print(' '.join(f'{name} {value:.1f}' for name, value in asdict(one).items()))
    ratios = {name: getattr(found[-1], name) / getattr(base, name) for name in (
        'append_us', 'add_us', 'sample_us', 'update_us', 'fit_us')}
    print('longest to shortest:', ' '.join(f'{name} {value:.2f}'
                                           for name, value in ratios.items()))
    if options.json:
        options.json.write_text(json.dumps({
            'lengths': [asdict(one) for one in found], 'longest_to_shortest': ratios,
            'machine': machine(), 'versions': versions()}, indent=1) + '\n')


if __name__ == '__main__':
    main()
