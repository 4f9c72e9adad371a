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


"""The robot's two ways of keeping time, without ROS and without a clock."""

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.errors import SignalError
from hlai_control.robots.clock import TickClock
from hlai_control.robots.lockstep import Barrier, Move
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.realtime import CATCH_UP_S, Held, Pace, RealtimeDriver
from hlai_control.robots.simulator import Simulator

PERIOD = 50_000_000


@settings(deadline=None)
@given(st.integers(0, 2 ** 62), st.integers(0, 10 ** 6))
def test_stamps_are_exact(base, tick):
    clock = TickClock(base, PERIOD)
    assert clock.stamp_ns(tick) == base + tick * PERIOD


def test_the_newest_tick_that_has_begun():
    clock = TickClock(1_000_000_000, PERIOD)
    assert [clock.tick(t) for t in (1.0, 1.049, 1.05, 1.125)] == [0, 0, 1, 2]


def test_the_barrier_waits_for_release_and_for_each_answer():
    barrier = Barrier(PERIOD)
    assert barrier.next() is Move.WAIT and not barrier.awaits_answer
    barrier.paused = False
    assert barrier.next() is Move.TELL
    with pytest.raises(SignalError, match='future'):
        barrier.receive(0, (1.0,))  # nobody can answer what was not told
    barrier.tell()
    assert barrier.next() is Move.WAIT and barrier.awaits_answer
    barrier.receive(0, (1.0,))
    assert barrier.next() is Move.STEP
    assert barrier.step() == (1.0,)
    assert (barrier.tick, barrier.stamp_ns, barrier.next()) == (1, PERIOD, Move.TELL)
    with pytest.raises(SignalError, match='no answer'):
        barrier.step()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-2, 2), max_size=40))
def test_no_order_of_answers_makes_the_barrier_skip_or_repeat(offsets):
    barrier = Barrier(PERIOD)
    barrier.paused = False
    told, used = [], []
    for offset in offsets:
        if barrier.next() is Move.TELL:
            told.append(barrier.stamp_ns)
            barrier.tell()
        stamp = barrier.stamp_ns + offset * PERIOD
        try:
            barrier.receive(stamp, (float(stamp),))
        except SignalError:
            assert offset != 0 or not barrier.awaits_answer
        if barrier.next() is Move.STEP:
            used.append(barrier.step()[0])
    assert told == [k * PERIOD for k in range(len(told))]
    assert used == [float(stamp) for stamp in told[:len(used)]]


def test_one_step_while_paused_is_one_measurement():
    barrier = Barrier(PERIOD)
    barrier.allow_one()
    assert barrier.next() is Move.TELL
    barrier.tell()
    barrier.receive(0, (1.0,))
    assert barrier.next() is Move.WAIT
    barrier.allow_one()
    assert barrier.next() is Move.STEP
    barrier.step()
    assert barrier.next() is Move.TELL
    barrier.tell()
    assert barrier.next() is Move.WAIT


def test_pace_skips_what_it_missed_and_sleeps_off_a_long_stop():
    pace = Pace(PERIOD)
    pace.start(10.0)
    assert pace.stamp_ns == 10_000_000_000
    steps = [(pace.advance(t).steps, pace.tick) for t in (10.03, 10.049, 10.11, 10.15, 10.16)]
    assert steps == [(0, 0), (1, 1), (1, 2), (1, 3), (0, 3)]  # 1 ms early is on time
    due = pace.advance(10.36)
    assert (due.steps, due.missed, pace.tick) == (4, 3, 7)
    due = pace.advance(100.0)
    assert due.steps == round(CATCH_UP_S / 0.05) and due.missed == 1792
    assert pace.stamp_ns == 100_000_000_000


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(['start', 'gap', 'advance']),
                          st.floats(-1.0, 2.0)), max_size=40))
def test_stamps_only_go_forward_whatever_the_clock_does(moves):
    pace, now, last = Pace(PERIOD), 5.0, None
    pace.start(now)
    last = pace.stamp_ns
    for move, passed in moves:
        now += passed  # even backward
        if move == 'advance':
            steps = pace.advance(now).steps
            assert pace.stamp_ns >= last and (pace.stamp_ns > last) == (steps > 0)
        else:
            pace.start(now, 2 if move == 'gap' else 1)
            assert pace.stamp_ns >= last + (2 if move == 'gap' else 1) * PERIOD
        last = pace.stamp_ns


def test_a_command_is_held_for_ever_or_until_the_timeout():
    held, timed = Held(1, None), Held(1, 0.5)
    assert held.acting(0.0) == (0.0,)
    for each in (held, timed):
        each.take((3.0,), 10.0)
    assert held.acting(1e9) == (3.0,)
    assert [timed.acting(t) for t in (10.5, 10.6)] == [(3.0,), (0.0,)]
    held.forget()
    assert held.acting(1e9) == (0.0,)


@pytest.mark.parametrize(('delay', 'effect'), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_in_real_time_a_command_of_tick_k_acts_from_k_plus_delay(delay, effect):
    robot = load_robot('cartpole')
    simulator = Simulator(robot, 0)
    efforts: list[float] = []
    driver = RealtimeDriver(simulator, robot,
                            lambda _: efforts.append(simulator.measure().effort[0]))
    driver.set_delay(delay)
    driver.release(1.0)
    driver.command((7.0,), 1.02)  # during tick 0
    for k in range(1, 7):
        assert driver.work(1.0 + 0.05 * k) == 0
    # Measurement k shows the effort of the interval that ends with it.
    assert efforts == [0.0] * (effect + 1) + [7.0] * (6 - effect)
    simulator.close()


def test_a_late_loop_integrates_the_time_but_tells_only_the_newest():
    robot = load_robot('cartpole')
    late, punctual = Simulator(robot, 0), Simulator(robot, 0)
    stamps: list[int] = []
    driver = RealtimeDriver(late, robot, stamps.append)
    driver.release(1.0)
    driver.command((5.0,), 1.01)
    assert driver.work(1.25) == 4
    punctual.delay_ticks = 0
    for command in (0.0, 5.0, 5.0, 5.0, 5.0, 5.0):
        punctual.step([command])
    assert stamps == [1_000_000_000, 1_250_000_000]
    driver.pause()
    assert driver.work(9.0) == 0
    # Six periods: the one before the command, four late ones, and the present one.
    assert late.measure().true_position.tolist() == punctual.measure().true_position.tolist()
    late.close()
    punctual.close()


def test_after_a_reset_no_measurement_is_told_before_its_stamp_has_come():
    robot = load_robot('cartpole')
    simulator, told, now_s = Simulator(robot, 0), [], 1.0
    driver = RealtimeDriver(simulator, robot, lambda stamp_ns: told.append((stamp_ns, now_s)))
    driver.release(now_s)
    for step in range(1, 400):
        now_s = 1.0 + 0.005 * step
        if step % 90 == 0:
            driver.reset(0, now_s)
        driver.work(now_s)
    simulator.close()
    gaps_ns = [after - before for (before, _), (after, _) in zip(told, told[1:], strict=False)]
    # A timer may fire 5 % of a period early.
    assert all(stamp_ns * 1e-9 <= at_s + 0.05 * 0.05 + 1e-9 for stamp_ns, at_s in told)
    assert sum(gap_ns >= 100_000_000 for gap_ns in gaps_ns) == 4 and min(gaps_ns) >= 50_000_000
