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


"""The memory of what differs: rare motion outlives any amount of standing still."""

import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.learning.diverse import DiverseMemory
from hlai_control.types import Batch, Transition


def at(place: float, rate: float, push: float = 0.0) -> Transition:
    return Transition(torch.tensor([place, rate]), torch.tensor([push]),
                      torch.tensor([place + rate, rate]))


def radius(memory: DiverseMemory, places: torch.Tensor) -> float:
    """Greatest distance of any of these states from what is held."""
    return float(torch.cdist(places, memory.all().state).min(dim=1).values.max())


def test_rare_motion_outlives_standing_still():
    draw = torch.Generator().manual_seed(1)
    memory = DiverseMemory(MASS, 64)
    moving = 2.0 * torch.rand(100, 2, generator=draw) - 1.0
    for place, rate in moving.tolist():
        memory.add(at(place, rate))
    before = radius(memory, moving)
    for place, rate in (1e-3 * torch.randn(5000, 2, generator=draw)).tolist():
        memory.add(at(place, rate))
    # 5000 rows of 5100 say the same; uniformly drawn, 63 of 64 kept rows would be of them.
    assert radius(memory, moving) <= 1.2 * before
    assert int((memory.all().state.abs().amax(dim=1) < 0.01).sum()) <= 8


def test_no_two_rows_are_closer_than_any_that_was_turned_away():
    draw = torch.Generator().manual_seed(2)
    memory, turned_away = DiverseMemory(MASS, 16), []
    corners = [at(x, v) for x in (-1.0, 1.0) for v in (-1.0, 1.0)]
    for one in corners:  # so that units stay what they are
        memory.add(one)
    for place, rate in (2.0 * torch.rand(400, 2, generator=draw) - 1.0).tolist():
        held = memory.all().state
        memory.add(at(place, rate))
        if torch.equal(held, memory.all().state):
            turned_away.append(torch.tensor([[place, rate]]))
    held = memory.all().state
    between = torch.cdist(held, held).fill_diagonal_(torch.inf).min()
    assert len(turned_away) > 300
    assert float(torch.cdist(torch.cat(turned_away), held).min(dim=1).values.max()) <= 2 * between
    for one in corners:
        assert (held == one.state).all(dim=1).any()


def test_whole_turns_are_the_same_place():
    memory = DiverseMemory(CARTPOLE, 2)
    state = torch.tensor([0.0, 0.0, 1.0, 1.0])
    turn = torch.tensor([0.0, 2.0 * torch.pi, 0.0, 0.0])
    other = torch.tensor([0.0, 1.0, 1.0, 1.0])
    push = torch.zeros(1)
    for one in (state, other, state + turn, state - turn):
        memory.add(Transition(one, push, one))
    assert {tuple(row) for row in memory.all().state.tolist()} == {
        tuple(state.tolist()), tuple(other.tolist())}


def test_an_action_never_tried_is_kept():
    memory = DiverseMemory(MASS, 4)
    for _ in range(100):
        memory.add(at(0.5, 0.5))
    memory.add(at(0.5, 0.5, push=-1.0))
    memory.add(at(0.5, 0.5, push=2.0))
    assert {-1.0, 0.0, 2.0} <= set(memory.all().action[:, 0].tolist())


@pytest.mark.parametrize('scale', [1e-3, 1.0, 1e3])
def test_units_do_not_matter(scale):
    draw = torch.Generator().manual_seed(3)
    rows = torch.randn(300, 2, generator=draw).tolist()
    one, other = DiverseMemory(MASS, 10), DiverseMemory(MASS, 10)
    for place, rate in rows:
        one.add(at(place, rate))
        other.add(at(scale * place, rate))
    kept = other.all().state
    kept[:, 0] /= scale
    assert torch.allclose(kept, one.all().state, rtol=1e-5, atol=1e-6)


def test_draws_are_reproducible_and_cover_what_is_held():
    memory = DiverseMemory(MASS, 8)
    for number in range(8):
        memory.add(at(float(number), 0.0))
    one, two = (memory.sample(500, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one.state, two.state)
    assert set(one.state[:, 0].tolist()) == set(map(float, range(8)))
    assert torch.equal(one.next_state, one.state)
    assert len(memory) == 8


@pytest.mark.parametrize(('layout', 'capacity'), [(MASS, 16), (CARTPOLE, 64), (CARTPOLE, 5000)])
def test_many_at_once_are_the_same_as_one_after_the_other(layout, capacity):
    draw = torch.Generator().manual_seed(6)
    size = layout.state_size
    # Rest, motion, ever larger motion, and rows that are equal: all that makes units grow or not.
    states = torch.cat([1e-3 * torch.randn(500, size, generator=draw),
                        torch.randn(1500, size, generator=draw), torch.zeros(200, size),
                        torch.linspace(1.0, 4.0, 800).unsqueeze(1)
                        * torch.randn(800, size, generator=draw)])
    rows = Batch(states, torch.randn(len(states), 1, generator=draw), states + 1.0)
    single, bulk = DiverseMemory(layout, capacity), DiverseMemory(layout, capacity)
    for parts in zip(rows.state, rows.action, rows.next_state, strict=True):
        single.add(Transition(*parts))
    for first, last in ((0, 1), (1, 700), (700, len(states))):
        bulk.extend(Batch(rows.state[first:last], rows.action[first:last],
                          rows.next_state[first:last]))
    for part, other in zip(vars(bulk.all()).values(), vars(single.all()).values(), strict=True):
        assert torch.equal(part, other)
    for name in ('_apart', '_greatest', '_unit'):  # and so is what becomes of later rows
        assert torch.equal(getattr(bulk, name), getattr(single, name)), name
