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

"""What plans teach: a linear quadratic problem's value and gains, near and in imagination."""

from copy import deepcopy
from dataclasses import replace

from problems import LINEAR, QUADRATIC, WIDE
import pytest
import torch

from hlai_control.actor.ddp import DdpPlanner
from hlai_control.critic.dream import Dream, LENGTH
from hlai_control.critic.lessons import Lesson, Lessons, NEWEST
from hlai_control.critic.studies import Studies
from hlai_control.learning.replay import Replay
from hlai_control.protocols import Problem
from hlai_control.settings import CriticSettings, PolicySettings, ScheduleSettings
from hlai_control.types import Budget, generator, Plan, Transition

DISCOUNT = 0.9
NEAR = replace(WIDE, action_low=(-40.0,), action_high=(40.0,))
LINEAR32, QUADRATIC32 = deepcopy(LINEAR).float(), deepcopy(QUADRATIC).float()


def riccati() -> tuple[torch.Tensor, torch.Tensor]:
    """Iterate the discounted Riccati equation to its fixed point: P of V = s' P s, and K."""
    a, b = LINEAR.transition, LINEAR.control
    q, r = torch.diag(torch.tensor([1.0, 0.125])).double(), torch.tensor([[0.0078125]]).double()
    p = q
    for _ in range(500):
        gain = -torch.linalg.solve(r + DISCOUNT * b.T @ p @ b, DISCOUNT * b.T @ p @ a)
        p = q + DISCOUNT * a.T @ p @ (a + b @ gain)
    return p.float(), gain.float()


class Curve:
    """V(s) = s' P s."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix

    def value(self, state: torch.Tensor) -> torch.Tensor:
        return ((state @ self.matrix) * state).sum(dim=-1)


def test_value_and_policy_come_to_the_solution_of_riccati():
    schedule = ScheduleSettings(plans=2, critic_updates=0, practice=12)
    studies = Studies(
        NEAR, QUADRATIC32, DISCOUNT, (
            CriticSettings(practice_rate=3e-3), PolicySettings(batch=64), schedule), 0,
        DdpPlanner(NEAR, 6), 2)
    draw, state = torch.Generator().manual_seed(1), torch.zeros(2)
    for tick in range(60):
        if tick % 4 == 0:
            state = torch.tensor([2.0, 4.0]) * (2.0 * torch.rand(2, generator=draw) - 1.0)
        push = 8.0 * torch.rand(1, generator=draw) - 4.0
        ahead = LINEAR32.step(state.expand(1, -1), push)[0]
        studies.add(Transition(state, push, ahead))
        studies.study(LINEAR32)
        state = ahead
    curve, gain = riccati()
    # 720 updates each; within seven tenths of the box from which motion began.
    tests = torch.tensor([1.4, 2.8]) * (2.0 * torch.rand(300, 2, generator=draw) - 1.0)
    with torch.no_grad():
        value, known = studies.critic.value.value(tests), Curve(curve).value(tests)
        action = studies.policy.policy.action(tests)
    assert float((value - known).square().mean().sqrt() / known.std()) < 0.25
    assert abs(float((value / known.clamp_min(1.0)).median()) - 1.0) < 0.15
    assert float((action - tests @ gain.T).norm() / (tests @ gain.T).norm()) < 0.15


def test_what_is_taught_beside_a_plan_is_what_replanning_there_finds():
    curve, gain = riccati()
    problem = Problem(LINEAR, QUADRATIC, Curve(curve.double()), DISCOUNT)
    lessons = Lessons(WIDE, QUADRATIC32, DISCOUNT)
    start = torch.tensor([1.5, -1.0]).double()
    made = DdpPlanner(WIDE, 6).plan(start, problem, None, Budget(5), generator(0, 'test'))
    lessons.add(Plan(made.actions.float(), made.states.float(), 0.0, 0.0, 1, 0,
                     gains=made.gains.float()))
    low, high = torch.tensor([-100.0]), torch.tensor([100.0])
    state, action = lessons.sample(40, generator(0, 'test')).nearby(
        torch.tensor([0.3, 0.3]), low, high, generator(1, 'test'))
    assert float((state.unsqueeze(1) - made.states.float()).norm(dim=2).amin(dim=1).max()) > 0.1
    torch.testing.assert_close(action, state @ gain.T, rtol=1e-3, atol=1e-3)


def lesson(known: float) -> Lesson:
    return Lesson(torch.zeros(50, 2), torch.zeros(50, 1), torch.zeros(50, 2), torch.zeros(50),
                  torch.ones(50), torch.full((50, 1, 2), 5.0), torch.full((50,), known))


def test_beside_a_plan_limits_hold_and_where_gains_are_not_known_nothing_is_made_up():
    low, high, reach = torch.tensor([-1.0]), torch.tensor([2.0]), torch.ones(2)
    state, action = lesson(1.0).nearby(reach, low, high, generator(0, 'test'))
    assert float(action.min()) == -1.0 and float(action.max()) == 2.0
    inside = (action > -1.0) & (action < 2.0)
    torch.testing.assert_close(action[inside], 5.0 * state.sum(dim=1, keepdim=True)[inside])
    state, action = lesson(0.0).nearby(reach, low, high, generator(0, 'test'))
    assert (state == 0.0).all() and (action == 0.0).all()


def test_half_of_the_lessons_drawn_are_of_the_newest():
    lessons = Lessons(WIDE, QUADRATIC32, DISCOUNT)
    for number in range(40):
        lessons.add(Plan(torch.full((48, 1), float(number)), torch.zeros(49, 2), 0.0, 0.0, 1, 0))
    drawn = lessons.sample(1000, generator(0, 'test')).action
    assert NEWEST == 96
    assert 0.5 <= float((drawn >= 38.0).float().mean()) < 0.6
    assert len(drawn.unique()) > 30


class Held:
    """Pushes by one unit, always."""

    def action(self, state: torch.Tensor) -> torch.Tensor:
        return torch.ones(1)


def test_a_dream_follows_the_policy_until_it_begins_anew():
    replay, draw, dream = Replay(WIDE), generator(0, 'test'), Dream(2)
    for x in (1.0, 3.0):
        replay.add(Transition(torch.tensor([x, 0.0]), torch.zeros(1), torch.zeros(2)))
    states = [dream.step(LINEAR32, Held(), replay, draw) for _ in range(2 * LENGTH)]
    for number, (one, ahead) in enumerate(zip(states, states[1:], strict=False), 1):
        if number == LENGTH:
            assert ahead[1] == 0.0 and float(ahead[0]) in (1.0, 3.0)
        else:
            torch.testing.assert_close(ahead, LINEAR32.step(one.expand(1, -1), torch.ones(1))[0])


@pytest.mark.parametrize('plans', [0, 1, 2, 4])
def test_as_many_plans_teach_as_the_schedule_says(plans):
    class Counting:
        """Counts, and does nothing for two ticks."""

        warm: list = []

        def plan(self, start, problem, warm, _budget, _generator):
            self.warm.append(warm)
            return Plan(torch.zeros(2, 1), start.expand(3, -1), 0.0, 0.0, 1, 0)

    teacher = Counting()
    teacher.warm = []
    studies = Studies(NEAR, QUADRATIC32, DISCOUNT, (
        CriticSettings(), PolicySettings(), ScheduleSettings(plans=plans, practice=1)), 0,
        teacher, 3)
    for _ in range(3):
        studies.add(Transition(torch.ones(2), torch.zeros(1), torch.ones(2)))
        studies.study(LINEAR32)
    assert len(teacher.warm) == 3 * plans
    # Those from the newest state and in dreams go on from the ones before; from anywhere, none.
    begun = [warm is not None for warm in teacher.warm]
    later = [True, False, True, True][:plans]
    assert begun == plans * [False] + later + later
    assert float(studies.critic.value.trust) == (1.0 if plans else 0.0)
