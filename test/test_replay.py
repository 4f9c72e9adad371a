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


"""The replay: the newest in order, a fair sample of what is older, nothing not finite."""

import pytest
import torch
from toys import MASS

from hlai_control.errors import ShapeError, SignalError
from hlai_control.learning.replay import Replay
from hlai_control.types import Batch, Transition


def numbered(number: float) -> Transition:
    return Transition(torch.tensor([number, 0.0]), torch.tensor([0.5]),
                      torch.tensor([number + 1.0, 0.0]))


@pytest.mark.parametrize('capacity', [7, 1024, 3000])
def test_keeps_the_newest_in_order(capacity):
    replay = Replay(MASS, capacity)
    for number in range(2500):
        replay.add(numbered(float(number)))
    kept = min(capacity, 2500)
    assert len(replay) == 2500  # the older ones in the pool
    assert replay.total == 2500
    latest = replay.latest(10_000)
    assert latest.state[:, 0].tolist() == list(range(2500 - kept, 2500))
    assert latest.next_state[-1, 0] == 2500.0
    assert replay.latest(3).state[:, 0].tolist() == [2497.0, 2498.0, 2499.0]


def test_sampling_is_reproducible_and_covers_all():
    replay = Replay(MASS)
    for number in range(20):
        replay.add(numbered(float(number)))
    one, two = (replay.sample(2000, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one.state, two.state)
    assert set(one.state[:, 0].tolist()) == {float(number) for number in range(20)}
    assert torch.equal(one.next_state[:, 0], one.state[:, 0] + 1.0)


def test_refuses_what_cannot_be_learned_from():
    replay = Replay(MASS)
    with pytest.raises(ShapeError, match='empty'):
        replay.sample(1, torch.Generator())
    with pytest.raises(SignalError, match='not finite'):
        replay.add(numbered(float('nan')))
    with pytest.raises(ShapeError, match='valid'):
        replay.add(Transition(torch.zeros(3), torch.zeros(1), torch.zeros(3)))
    assert len(replay) == 0
    with pytest.raises(SignalError, match='not finite'):
        replay.extend(batch([1.0, float('inf')]))
    with pytest.raises(ShapeError, match='valid'):
        replay.extend(Batch(torch.zeros(2, 3), torch.zeros(2, 1), torch.zeros(2, 3)))
    assert len(replay) == 0


def batch(numbers) -> Batch:
    rows = [numbered(float(number)) for number in numbers]
    return Batch(*(torch.stack([getattr(row, name) for row in rows])
                   for name in ('state', 'action', 'next_state')))


class Disk:
    """An archive of numbered rows that counts what is read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def at(self, numbers: list[int]) -> Batch:
        self.read += numbers
        return batch(numbers)


def drawn(replay: Replay, count: int = 4000) -> list[float]:
    return replay.sample(count, torch.Generator().manual_seed(5)).state[:, 0].tolist()


def test_draws_are_uniform_over_all_that_ever_was():
    rows, counts = 400, torch.zeros(400)
    for number in range(60):  # each its own sample of what is older
        replay = Replay(MASS, capacity=50, older=40)
        replay._generator.manual_seed(number)
        replay.extend(batch(range(rows)))
        counts += torch.bincount(torch.tensor(drawn(replay, 2000)).long(), minlength=rows)
    share = counts.view(8, 50).sum(dim=1) / counts.sum()
    # Of 60 times 40 places in the pool each of seven ages has 343, standard deviation 17.
    assert (share - 0.125).abs().max() < 4 * 17 / 343 * 0.125
    assert share[-1] == pytest.approx(0.125, abs=0.005)  # the ring, which is exact


@pytest.mark.parametrize(('capacity', 'older'), [(7, 5), (64, 200), (1000, 10), (30, 0)])
def test_many_at_once_are_the_same_as_one_after_the_other(capacity, older):
    single, bulk = (Replay(MASS, capacity, older) for _ in range(2))
    for number in range(500):
        single.add(numbered(float(number)))
    for first, last in ((0, 3), (3, 3), (3, 290), (290, 500)):
        if last > first:
            bulk.extend(batch(range(first, last)))
    assert len(bulk) == len(single) == min(500, capacity) + min(max(0, 500 - capacity), older)
    assert torch.equal(bulk.latest(500).next_state, single.latest(500).next_state)
    assert drawn(bulk) == drawn(single)


def test_each_new_row_has_one_older_row_read_from_the_disk():
    disk = Disk()
    replay = Replay(MASS, capacity=20, older=10, archive=disk)
    for number in range(30):
        replay.add(numbered(float(number)))
    assert disk.read == []  # memory holds all of them
    for number in range(30, 2030):
        replay.add(numbered(float(number)))
        assert len(disk.read) == number - 29  # one, however long it gets
        assert disk.read[-1] < number - 19  # older than the ring
        assert len(replay) == 30
    before = len(disk.read)
    drawn(replay)
    assert len(disk.read) == before  # a draw reads nothing
    # All of it comes back: in 2000 replacements of 10 rows, from each tenth of the time.
    assert {number // 200 for number in disk.read} >= set(range(10))


def test_a_row_that_the_disk_lacks_changes_nothing():
    class Nothing(Disk):
        def at(self, numbers: list[int]) -> Batch:
            super().at(numbers)
            return Batch(torch.zeros(0, 2), torch.zeros(0, 1), torch.zeros(0, 2))

    broken, none = Nothing(), Replay(MASS, capacity=20, older=10)
    replay = Replay(MASS, capacity=20, older=10, archive=broken)
    for number in range(31):
        replay.add(numbered(float(number)))
        none.add(numbered(float(number)))
    assert len(broken.read) == 1 and drawn(replay) == drawn(none)


@pytest.mark.parametrize(('before', 'keep'), [(20, 5), (300, 5), (300, 30), (300, 300)])
def test_what_is_forgotten_is_as_if_it_had_never_been(before, keep):
    replay, fresh = (Replay(MASS, capacity=30, older=20) for _ in range(2))
    replay.extend(batch(range(before)))
    replay.forget(keep)
    kept = min(keep, before, 30)
    assert len(replay) == kept and replay.total == before
    replay.extend(batch(range(before, 400)))
    fresh.extend(batch(range(before - kept, before)))
    fresh.extend(batch(range(before, 400)))
    assert len(replay) == len(fresh)
    assert torch.equal(replay.latest(400).state, fresh.latest(400).state)
    assert min(drawn(replay)) >= before - kept
    replay.forget(0)
    with pytest.raises(ShapeError, match='empty'):
        replay.sample(1, torch.Generator())
