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

"""TD(lambda), by hand; and what plans teach."""

import pytest
import torch
from toys import MASS

from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.critic.lessons import CAPACITY, Lessons
from hlai_control.critic.returns import lambda_returns
from hlai_control.errors import ShapeError
from hlai_control.learning.replay import Replay
from hlai_control.learning.scattered import scattered
from hlai_control.types import generator, Plan, Transition

STAGES = torch.tensor([1.0, 2.0, 4.0])
AHEAD = torch.tensor([10.0, 20.0, 30.0])


def test_by_hand():
    # G2 = 4 + 0.5 * 30 = 19; G1 = 2 + 0.5 (0.75 * 20 + 0.25 * 19) = 11.875;
    # G0 = 1 + 0.5 (0.75 * 10 + 0.25 * 11.875) = 6.234375.
    found = lambda_returns(STAGES, AHEAD, 0.5, 0.25)
    assert found.tolist() == [6.234375, 11.875, 19.0]


def test_limits_one_step_and_all_of_it():
    assert lambda_returns(STAGES, AHEAD, 0.5, 0.0).tolist() == [6.0, 12.0, 19.0]
    # 1 + 0.5 * 2 + 0.25 * 4 + 0.125 * 30 = 6.75; 2 + 0.5 * 4 + 0.25 * 30 = 11.5.
    assert lambda_returns(STAGES, AHEAD, 0.5, 1.0).tolist() == [6.75, 11.5, 19.0]


def test_batches_are_independent():
    both = lambda_returns(torch.stack([STAGES, 2 * STAGES], dim=1),
                          torch.stack([AHEAD, 2 * AHEAD], dim=1), 0.9, 0.7)
    torch.testing.assert_close(both[:, 1], 2.0 * both[:, 0])


COST = TaskCost(MASS, CostSpec('test', 0.5, (TermSpec('x', 'quadratic', 'x', 1.0),)))


def test_a_plan_labels_each_of_its_states():
    lessons = Lessons(MASS, COST, 0.5)
    with pytest.raises(ShapeError, match='no lessons yet'):
        lessons.sample(1, generator(0, 'test'))
    states = torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    lessons.add(Plan(torch.tensor([[0.1], [0.2]]), states, 0.0, 0.0, 1, 0))
    found = lessons.sample(50, generator(0, 'test'))
    first = found.state[:, 0] == 1.0
    assert 0 < int(first.sum()) < 50
    # 1 + 0.5 * 4 = 3 and then a quarter of V(end); 4 and then half of it.
    assert set(found.cost[first].tolist()) == {3.0} and set(found.cost[~first].tolist()) == {4.0}
    assert set(found.share[first].tolist()) == {0.25}
    assert set(found.share[~first].tolist()) == {0.5}
    assert (found.end == states[2]).all()
    torch.testing.assert_close(found.action[first], torch.full((int(first.sum()), 1), 0.1))


def test_old_lessons_make_room_and_broken_ones_are_not_taken():
    lessons, states = Lessons(MASS, COST, 0.5), torch.ones(1025, 2)
    lessons.add(Plan(torch.zeros(1024, 1), torch.nan * states, 0.0, 0.0, 1, 0))
    assert len(lessons) == 0
    for number in range(9):
        lessons.add(Plan(torch.full((1024, 1), number / 10), states, 0.0, 0.0, 1, 0))
    assert len(lessons) == CAPACITY == 8192
    assert float(lessons.sample(500, generator(0, 'test')).action.min()) > 0.05


def test_scattered_states_fill_the_box_that_motion_has_touched():
    replay = Replay(MASS)
    for x in torch.linspace(-1.0, 1.0, 101):  # a line
        replay.add(Transition(torch.stack([x, 2.0 * x]), torch.zeros(1), torch.zeros(2)))
    found = scattered(replay, 2000, 2, generator(0, 'test'))
    assert torch.equal(found, scattered(replay, 2000, 2, generator(0, 'test')))
    assert float(found[:, 0].abs().max()) <= 1.0 and float(found[:, 1].abs().max()) <= 2.0
    on_line = (found[:, 1] - 2.0 * found[:, 0]).abs() < 1e-6
    assert 0.25 < float(on_line.float().mean()) < 0.37  # 0.3, and a hundredth of the rest
    off = found[~on_line]
    assert abs(float(torch.corrcoef(off.T)[0, 1])) < 0.1
