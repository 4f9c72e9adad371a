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

"""When a task counts as solved: tolerances, turns, and a hold without a break."""

from math import inf, nan, pi

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.cost.solved import at_goal, HoldTimer, SolvedSpec, Within

ANGLE = Within('pole.angle', 0.2, pi, is_angle=True)
PLACE = Within('cart.x', 0.5, 0.0, is_angle=False)
SPEC = SolvedSpec((ANGLE, PLACE), hold_s=3.0)
GOAL = {'pole.angle': pi, 'cart.x': 0.0}
AWAY = {'pole.angle': 0.0, 'cart.x': 0.0}
PERIOD_S = 0.05


@settings(deadline=None)
@given(st.floats(-0.5, 0.5), st.integers(-50, 50))
def test_an_angle_counts_modulo_whole_turns(error, turns):
    value = pi + error + 2.0 * pi * turns
    assert ANGLE.distance(value) == pytest.approx(abs(error), abs=1e-9)
    if abs(abs(error) - 0.2) > 1e-9:
        assert ANGLE.holds(value) == (abs(error) < 0.2)


def test_a_place_does_not():
    assert PLACE.holds(0.5) and PLACE.holds(-0.5) and not PLACE.holds(0.5 + 2.0 * pi)
    assert PLACE.distance(-3.0) == 3.0


@pytest.mark.parametrize('value', [nan, inf, -inf])
def test_what_is_not_finite_or_not_known_is_not_at_the_goal(value):
    assert not ANGLE.holds(value) and not PLACE.holds(value)
    assert not at_goal(SPEC, GOAL | {'cart.x': value})
    assert not at_goal(SPEC, {'pole.angle': pi}) and at_goal(SPEC, GOAL)


def _solved_at(ticks: list[bool]) -> float | None:
    timer = HoldTimer(SPEC)
    for tick, there in enumerate(ticks):
        done = timer.update(tick * PERIOD_S, GOAL if there else AWAY)
        assert done == (timer.solved_at_s is not None)
    return timer.solved_at_s


def test_the_hold_by_hand():
    # 3 s are 60 periods, which 61 ticks enclose.
    assert _solved_at([False] * 20 + [True] * 61) == pytest.approx(1.0)
    assert _solved_at([False] * 20 + [True] * 60) is None
    assert _solved_at([True] * 60 + [False] + [True] * 61) == pytest.approx(61 * PERIOD_S)
    # The first hold counts, and what comes after it changes nothing.
    assert _solved_at([True] * 61 + [False] * 5 + [True] * 200) == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 80)), max_size=8))
def test_solved_at_the_begin_of_the_first_run_of_61_ticks(runs):
    ticks = [there for there, count in runs for _ in range(count)]
    begins = [i for i in range(len(ticks) - 60) if all(ticks[i:i + 61])]
    expected = pytest.approx(begins[0] * PERIOD_S) if begins else None
    assert _solved_at(ticks) == expected
