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


"""Laws of braking: whatever is commanded, no end is passed from where stopping is possible."""

from collections import deque
from dataclasses import replace

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from hlai_control.errors import DocumentError
from hlai_control.robots.braking import Braking, fastest_approach, greatest_acceleration
from hlai_control.robots.guard import Candidate, Guard, Measured, Situation
from hlai_control.robots.manifest import load_robot, RobotManifest
from hlai_control.robots.reasons import Reason
from hlai_control.settings import GuardSettings

CARTPOLE = load_robot('cartpole')
PERIOD_S, FINE = CARTPOLE.period_s, 20
# Ten of the fine steps that make a control period.
REACTION_S = 10 * PERIOD_S / FINE
EFFORT = Braking(deceleration=8.0, acceleration=12.0, reaction_s=0.0)
SPEED = Braking(deceleration=4.0, acceleration=0.0, reaction_s=REACTION_S)


def _robot(braking: Braking, interface: str, delay: int) -> RobotManifest:
    cart, pole = CARTPOLE.coordinates
    drive = replace(CARTPOLE.actuators[0], interface=interface, low=-3.0, high=3.0)
    return replace(CARTPOLE, delay_ticks=delay, actuators=(drive,), coordinates=(
        replace(cart, low=-1.0, high=1.0, velocity_limit=np.inf, braking=braking), pole))


class _Plant:
    """One coordinate, by small steps; it reacts no better than its manifest declares."""

    def __init__(self, place: float, speed: float, interface: str) -> None:
        self.place, self.speed, self.is_effort = place, speed, interface == 'effort'
        self.greatest = abs(place)
        self._targets = deque([speed] * round(REACTION_S * FINE / PERIOD_S))

    def live(self, command: float, other: float) -> None:
        """Live one control period; ``other``: what else acts on it, -1 .. 1."""
        step_s = PERIOD_S / FINE
        for _ in range(FINE):
            before = self.speed
            if self.is_effort:
                # Full effort: 10 m/s^2; beside it up to 2 of something else.
                self.speed += step_s * (command * 10.0 / 3.0 + 2.0 * other)
            else:
                self._targets.append(command)
                self._follow(self._targets.popleft(), SPEED.deceleration * step_s)
            self.place += 0.5 * step_s * (before + self.speed)
            self.greatest = max(self.greatest, abs(self.place))

    def _follow(self, target: float, slower: float) -> None:
        if target * self.speed >= 0.0 and abs(target) >= abs(self.speed):
            self.speed = target  # at once: nothing is declared of that
        else:
            self.speed -= float(np.clip(self.speed - target, -slower, slower))


def _lived(robot: RobotManifest, plant: _Plant, wanted: list[float], other: list[float],
           bad: bool) -> None:
    """Let the guard answer each tick; commands take effect ``delay_ticks`` later."""
    guard = Guard(robot, GuardSettings())
    coming, recent = deque([(0.0,)] * robot.delay_ticks), deque([(0.0,)], maxlen=guard.memory)
    sent: tuple[float, ...] | None = (0.0,)
    for tick, (value, push) in enumerate(zip(wanted, other, strict=True)):
        stamp_ns = tick * robot.period_ns
        candidate = Candidate(stamp_ns, (np.nan,) if bad and tick > len(wanted) // 2
                              else (value,))
        sent = guard.decide(Situation(
            candidate, Measured(stamp_ns, (plant.place, 0.0), (plant.speed, 0.0)), 0.0, 0.0,
            PERIOD_S, 10.0, False, tuple(recent)), sent).values
        assert sent is not None
        recent.append(sent)
        coming.append(sent)
        plant.live(coming.popleft()[0], push)


commands = st.lists(st.sampled_from([-3.0, 3.0]) | st.floats(-3.0, 3.0), min_size=60,
                    max_size=60)
pushes = st.lists(st.sampled_from([-1.0, 1.0, 0.0]), min_size=60, max_size=60)


@settings(max_examples=150, deadline=None)
@given(commands, pushes, st.integers(0, 3), st.floats(-1.0, 1.0), st.floats(-3.0, 3.0),
       st.booleans())
@example([3.0] * 60, [1.0] * 60, 1, 0.0, 0.0, False)
@example([3.0] * 60, [1.0] * 60, 3, -0.9, 0.0, True)
def test_no_effort_drives_the_robot_through_an_end(wanted, other, delay, place, speed, bad):
    # Room to stop at the declared deceleration, after what zero lets happen in the delay.
    later = abs(speed) + 2.0 * delay * PERIOD_S
    assume(abs(place) + delay * PERIOD_S * later + later ** 2 / 16.0 <= 1.0)
    plant = _Plant(place, speed, 'effort')
    _lived(_robot(EFFORT, 'effort', delay), plant, wanted, other, bad)
    assert plant.greatest <= 1.0 + 1e-9


@settings(max_examples=150, deadline=None)
@given(commands, st.integers(0, 3), st.floats(-1.0, 1.0), st.booleans())
@example([3.0] * 60, 0, 0.0, False)
@example([3.0] * 60, 3, 0.0, False)
@example([3.0, -3.0] * 30, 2, -0.99, True)
def test_no_velocity_drives_the_robot_through_an_end(wanted, delay, place, bad):
    plant = _Plant(place, 0.0, 'velocity')
    _lived(_robot(SPEED, 'velocity', delay), plant, wanted, [0.0] * 60, bad)
    # Each time a speed is reached within a small step, up to a dt^2 / 8 = 3e-6 m are not true.
    assert plant.greatest <= 1.0 + 2e-5


def test_without_braking_the_same_commands_do_pass_the_end():
    for interface, braking in (('effort', EFFORT), ('velocity', SPEED)):
        robot = _robot(braking, interface, 1)
        cart, pole = robot.coordinates
        plant = _Plant(0.0, 0.0, interface)
        _lived(replace(robot, coordinates=(replace(cart, braking=None), pole)), plant,
               [3.0] * 60, [0.0] * 60, False)
        assert plant.greatest > 1.05


def test_the_fastest_approach_by_hand():
    # From rest: 0.1 s at 2 m/s, then 2^2 / (2 * 4): 0.7 m. From 2.2 m/s down to 2 in 0.05 s and
    # 0.105 m, 0.05 s more at 2 m/s, and 0.5 m to stop: 0.705 m. From 4 m/s not even 0.7 m suffice.
    speed = fastest_approach(np.array([0.7, 0.0, -1.0, 0.705, 0.7]),
                             np.array([0.0, 0.0, 0.0, 2.2, 4.0]), np.full(5, 4.0), 0.1)
    assert speed == pytest.approx([2.0, 0.0, 0.0, 2.0, 0.0], abs=1e-12)


def test_the_greatest_acceleration_by_hand():
    # From 1 m/s with 2 m/s^2 for 0.5 s: 0.75 m, then from 2 m/s 2^2 / (2 * 4): 1.25 m in all.
    found = greatest_acceleration(
        np.array([1.25, 0.1, 0.5, -0.1, -0.1]), np.array([1.0, 1.0, 2.0, 0.5, -0.5]),
        np.full(5, 4.0), 0.5)
    # 0.1 m from 1 m/s needs 5 m/s^2, more than there is; 0.5 m from 2 m/s just what there is.
    assert found == pytest.approx([2.0, -4.0, -4.0, -4.0, 0.0])


def _decide(speed: float, place: float, wanted: float, interface: str = 'effort'):
    robot = _robot(EFFORT if interface == 'effort' else SPEED, interface, 0)
    return Guard(robot, GuardSettings()).decide(Situation(
        Candidate(0, (wanted,)), Measured(0, (place, 0.0), (speed, 0.0)), 0.0, 0.0, PERIOD_S,
        10.0, False), (0.0,))


def test_says_that_it_brakes_and_only_then():
    assert _decide(3.0, 0.6, 1.0).values == (-3.0,)
    assert _decide(3.0, 0.6, 1.0).reason is Reason.BRAKED
    assert _decide(3.0, -0.9, 1.0).reason is Reason.PASSED
    # Away from the end, nothing is taken back.
    assert _decide(-1.0, 0.99, -1.0).values == (-1.0,)


def test_what_is_not_measured_cannot_be_braked():
    assert _decide(np.nan, 0.99, 1.0).reason is Reason.PASSED
    assert _decide(0.0, np.nan, 1.0, 'velocity').reason is Reason.PASSED


def test_a_bad_command_near_an_end_is_answered_by_braking_not_by_zero():
    decision = _decide(3.0, 0.6, np.nan)
    assert decision.reason is Reason.NON_FINITE and decision.values == (-3.0,)
    assert _decide(0.0, 0.0, np.nan).values == (0.0,)


@settings(max_examples=400, deadline=None)
@given(*(st.floats() for _ in range(3)), st.lists(st.tuples(st.floats()), max_size=3),
       st.sampled_from(['effort', 'velocity', 'position']), st.integers(0, 3))
def test_stays_finite_and_within_the_limits_whatever_is_measured(
        place, speed, wanted, recent, interface, delay):
    robot = _robot(EFFORT, interface, delay)
    robot = replace(robot, safe_command='hold' if interface == 'position' else 'zero')
    decision = Guard(robot, GuardSettings()).decide(Situation(
        Candidate(0, (wanted,)), Measured(0, (place, 0.0), (speed, 0.0)), 0.0, 0.0, PERIOD_S,
        10.0, False, tuple(recent)), (0.0,))
    assert decision.values is not None and -3.0 <= decision.values[0] <= 3.0


@pytest.mark.parametrize(('entry', 'said'), [
    ('{deceleration: 0.0, reaction_s: 0.1}', 'deceleration'),
    ('{deceleration: 8.0, reaction_s: -1.0}', 'reaction_s'),
    ('{deceleration: 8.0, reaction_s: 0.0, acceleration: 4.0}', 'acceleration'),
    ('{deceleration: 8.0, reaction_s: 0.0}', 'efforts accelerate'),
    ('{reaction_s: 0.0}', 'deceleration')])
def test_a_wrong_declaration_is_refused_by_name(tmp_path, entry, said):
    text = CARTPOLE.path.read_text().replace(
        'urdf: cartpole.urdf', f'urdf: {CARTPOLE.path.parent}/cartpole.urdf')
    path = tmp_path / 'robot.yaml'
    path.write_text(text.replace('velocity_limit: 20.0', f'braking: {entry}\n    '
                                 'velocity_limit: 20.0', 1))
    with pytest.raises(DocumentError, match=said):
        load_robot(str(path))


def test_a_declaration_is_read(tmp_path):
    text = CARTPOLE.path.read_text().replace(
        'urdf: cartpole.urdf', f'urdf: {CARTPOLE.path.parent}/cartpole.urdf')
    path = tmp_path / 'robot.yaml'
    path.write_text(text.replace(
        'velocity_limit: 20.0', 'braking: {deceleration: 8.0, reaction_s: 0.1, '
        'acceleration: 12.0}\n    velocity_limit: 20.0', 1))
    assert load_robot(str(path)).coordinates[0].braking == Braking(8.0, 12.0, 0.1)
    assert CARTPOLE.coordinates[0].braking is None
