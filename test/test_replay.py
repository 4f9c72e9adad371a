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


"""The replay: keeps order, forgets the oldest, draws reproducibly, refuses what is not finite."""

import pytest
import torch
from toys import MASS

from hlai_control.errors import ShapeError, SignalError
from hlai_control.learning.replay import Replay
from hlai_control.types import Transition


def numbered(number: float) -> Transition:
    return Transition(torch.tensor([number, 0.0]), torch.tensor([0.5]),
                      torch.tensor([number + 1.0, 0.0]))


@pytest.mark.parametrize('capacity', [7, 1024, 3000])
def test_keeps_the_newest_in_order(capacity):
    replay = Replay(MASS, capacity)
    for number in range(2500):
        replay.add(numbered(float(number)))
    kept = min(capacity, 2500)
    assert len(replay) == kept
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
