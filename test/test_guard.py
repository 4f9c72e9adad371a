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


"""Laws of the guard: finite and within limits whatever comes in, and the right reason."""

from dataclasses import replace
from math import inf, isfinite, nan

from hypothesis import example, given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.robots.guard import Candidate, Decision, Guard, Measured, Situation
from hlai_control.robots.manifest import load_robot, RobotManifest
from hlai_control.robots.reasons import Reason
from hlai_control.settings import GuardSettings

ROBOT = load_robot('cartpole')
PERIOD_NS = ROBOT.period_ns
GOOD = Situation(
    candidate=Candidate(100 * PERIOD_NS, (3.0,)),
    measured=Measured(100 * PERIOD_NS, (0.1, 0.2), (0.0, 0.0)),
    command_age_s=0.0, measurement_age_s=0.0, elapsed_s=0.05, armed_s=10.0, estop=False)


def _rated(limit: float) -> RobotManifest:
    return replace(ROBOT, actuators=(replace(ROBOT.actuators[0], rate_limit=limit),))


def _position_robot() -> RobotManifest:
    drive = replace(ROBOT.actuators[0], interface='position', low=-1.5, high=1.5)
    return replace(ROBOT, actuators=(drive,), safe_command='hold')


def _decide(now: Situation, sent: tuple[float, ...] | None = (0.0,),
            robot: RobotManifest = ROBOT, **changes: float) -> Decision:
    return Guard(robot, GuardSettings(**changes)).decide(now, sent)


def _with(values: tuple[float, ...]) -> Situation:
    return replace(GOOD, candidate=replace(GOOD.candidate, values=values))


def test_a_good_command_passes_unchanged():
    assert _decide(GOOD) == Decision((3.0,), Reason.PASSED, (False,))


@pytest.mark.parametrize(('change', 'reason'), [
    ({'estop': True}, Reason.ESTOP),
    ({'armed_s': None}, Reason.NOT_ARMED),
    ({'measured': None}, Reason.BLIND),
    ({'measurement_age_s': 0.26}, Reason.BLIND),
    ({'measurement_age_s': nan}, Reason.BLIND),
    ({'measured': Measured(0, (0.0,), (0.0,))}, Reason.BLIND),
    ({'measured': Measured(100 * PERIOD_NS, (0.0, 0.0), (0.0, 41.0))}, Reason.OVERSPEED),
    ({'candidate': None}, Reason.SILENT),
    ({'command_age_s': 0.16}, Reason.SILENT),
    ({'command_age_s': nan}, Reason.SILENT),
    ({'candidate': Candidate(97 * PERIOD_NS, (3.0,))}, Reason.STALE),
    ({'candidate': Candidate(-(2 ** 62), (3.0,))}, Reason.STALE),
    ({'candidate': Candidate(102 * PERIOD_NS, (3.0,))}, Reason.FUTURE),
    ({'candidate': Candidate(100 * PERIOD_NS, ())}, Reason.WRONG_LENGTH),
    ({'candidate': Candidate(100 * PERIOD_NS, (3.0, 3.0))}, Reason.WRONG_LENGTH),
    ({'candidate': Candidate(100 * PERIOD_NS, (nan,))}, Reason.NON_FINITE),
    ({'candidate': Candidate(100 * PERIOD_NS, (-inf,))}, Reason.NON_FINITE)])
def test_what_is_wrong_gets_the_safe_command_and_its_reason(change, reason):
    decision = _decide(replace(GOOD, **change))
    assert decision == Decision((0.0,), reason, (True,))
    assert reason.is_safe_command and len(reason.sentence) > 20


def test_the_more_severe_reason_wins():
    worst = replace(GOOD, estop=True, armed_s=None, measured=None, candidate=None)
    assert _decide(worst).reason is Reason.ESTOP
    assert _decide(replace(worst, estop=False)).reason is Reason.NOT_ARMED
    assert _decide(replace(worst, estop=False, armed_s=1.0)).reason is Reason.BLIND


@pytest.mark.parametrize('lag', [-1, 0, 1, 2])
def test_stamps_near_the_newest_measurement_pass(lag):
    now = replace(GOOD, candidate=Candidate((100 - lag) * PERIOD_NS, (3.0,)))
    assert _decide(now).reason is Reason.PASSED


def test_clamps_to_limits_and_to_the_authority():
    assert _decide(_with((1e300,))) == Decision((10.0,), Reason.CLAMPED, (True,))
    assert _decide(_with((-11.0,))).values == (-10.0,)
    assert _decide(GOOD, authority=0.2) == Decision((2.0,), Reason.CLAMPED, (True,))
    assert _decide(GOOD, authority=0.0).values == (0.0,)


def test_ramps_in_after_arming():
    values = [_decide(replace(_with((10.0,)), armed_s=armed), ramp_s=2.0).values
              for armed in (0.0, 0.5, 1.0, 2.0, 9.0, nan, -1.0)]
    assert values == [(0.0,), (2.5,), (5.0,), (10.0,), (10.0,), (0.0,), (0.0,)]


def test_limits_the_rate_of_change():
    # 40 N/s for 0.05 s: 2 N.
    assert _decide(GOOD, (0.0,), _rated(40.0)) == Decision((2.0,), Reason.RATE_LIMITED, (True,))
    assert _decide(GOOD, (2.0,), _rated(40.0)).values == (3.0,)
    # A long silence does not save up allowance, and a clock gone wrong gives none.
    for elapsed, expected in ((60.0, 2.0), (0.0, 0.0), (-1.0, 0.0), (nan, 0.0)):
        now = replace(GOOD, elapsed_s=elapsed)
        assert _decide(now, (0.0,), _rated(40.0)).values == (expected,)


def test_a_nan_does_not_poison_later_ticks():
    """Autoware's command gate once went on with NaN for ever after a single one."""
    sent: tuple[float, ...] | None = (4.0,)
    guard = Guard(_rated(40.0), GuardSettings())
    values = []
    for wanted in (5.0, nan, 5.0, 5.0, inf, 1.0):
        sent = guard.decide(_with((wanted,)), sent).values
        values.append(sent)
    assert values == [(5.0,), (0.0,), (2.0,), (4.0,), (0.0,), (1.0,)]


def test_never_pushes_out_of_the_range():
    at_end = replace(GOOD, measured=Measured(100 * PERIOD_NS, (2.0, 0.0), (0.0, 0.0)))
    assert _decide(at_end) == Decision((0.0,), Reason.POSITION_LIMIT, (True,))
    back = replace(at_end, candidate=Candidate(100 * PERIOD_NS, (-3.0,)))
    assert _decide(back).reason is Reason.PASSED
    fast = replace(GOOD, measured=Measured(100 * PERIOD_NS, (0.0, 0.0), (20.5, 0.0)))
    assert _decide(fast) == Decision((0.0,), Reason.VELOCITY_LIMIT, (True,))


def test_what_is_not_measured_blocks_nothing():
    blind = replace(GOOD, measured=Measured(100 * PERIOD_NS, (nan, nan), (nan, nan)))
    assert _decide(blind).reason is Reason.PASSED


def test_a_position_robot_holds_where_it_is():
    robot = _position_robot()
    now = replace(GOOD, armed_s=None, measured=Measured(0, (0.7, 0.0), (0.0, 0.0)))
    assert _decide(now, None, robot).values == (0.7,)      # where it is
    assert _decide(now, (0.4,), robot).values == (0.4,)    # what it was told last
    beyond = replace(now, measured=Measured(0, (1.9, 0.0), (0.0, 0.0)))
    assert _decide(beyond, None, robot).values == (1.5,)   # never beyond the limits
    for unknown in (None, Measured(0, (nan, 0.0), (0.0, 0.0))):
        decision = _decide(replace(now, measured=unknown), None, robot)
        assert decision == Decision(None, Reason.NOT_ARMED, (True,))
    unmeasured = replace(GOOD, measured=Measured(100 * PERIOD_NS, (nan, 0.0), (0.0, 0.0)))
    assert _decide(unmeasured, None, robot).reason is Reason.BLIND


def test_every_reason_has_a_sentence_of_its_own():
    sentences = [reason.sentence for reason in Reason]
    assert len(set(sentences)) == len(Reason)


floats = st.floats()  # NaN, infinities, denormals and 1.8e308 among them
stamps = st.integers(-2 ** 63, 2 ** 63 - 1)
near = st.integers(0, 4).map(lambda lag: (100 - lag) * PERIOD_NS)
candidates = st.none() | st.builds(
    Candidate, stamps | near, st.lists(floats, max_size=3).map(tuple))
measurements = st.none() | st.builds(
    Measured, stamps | st.just(100 * PERIOD_NS), st.lists(floats, max_size=3).map(tuple),
    st.lists(floats, max_size=3).map(tuple)) | st.just(GOOD.measured)
ages = floats | st.floats(0.0, 0.3)
situations = st.builds(Situation, candidates, measurements, ages, ages, ages,
                       st.none() | ages, st.booleans())


@settings(max_examples=500, deadline=None)
@given(situations, st.none() | st.tuples(floats), st.sampled_from([inf, 40.0, 1e-3, 1e9]),
       st.booleans(), st.floats(0.0, 1.0), st.floats(0.0, 60.0))
@example(replace(GOOD, armed_s=nan), (0.0,), 40.0, False, 1.0, 5.0)
@example(GOOD, (nan,), 40.0, False, 1.0, 0.0)
@example(GOOD, (1e300,), 40.0, True, 1.0, 0.0)
def test_never_sends_what_is_not_finite_or_outside_the_limits(
        now, sent, rate, is_position, authority, ramp_s):
    robot = _position_robot() if is_position else ROBOT
    robot = replace(robot, actuators=(replace(robot.actuators[0], rate_limit=rate),))
    decision = _decide(now, sent, robot, authority=authority, ramp_s=ramp_s)
    if decision.values is None:
        assert is_position and decision.reason.is_safe_command
        return
    low, high = robot.actuators[0].low, robot.actuators[0].high
    assert len(decision.values) == len(decision.changed) == 1
    assert isfinite(decision.values[0]) and low <= decision.values[0] <= high
    if not decision.reason.is_safe_command:
        assert now.armed_s is not None and not now.estop
        assert now.measurement_age_s <= 0.25 and now.command_age_s <= 0.15


@settings(max_examples=100, deadline=None)
@given(st.lists(floats, min_size=1, max_size=30), st.floats(1.0, 500.0))
def test_the_rate_holds_over_any_sequence(wanted, rate):
    guard, sent = Guard(_rated(rate), GuardSettings()), (0.0,)
    for value in wanted:
        decision = guard.decide(_with((value,)), sent)
        assert decision.values is not None
        if not decision.reason.is_safe_command:  # the safe command may jump to zero
            assert abs(decision.values[0] - sent[0]) <= rate * 0.05 * (1 + 1e-12)
        sent = decision.values
