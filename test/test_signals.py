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

"""Signals on the wire: exact values or a SignalError, and never anything else."""

from array import array
from contextlib import suppress
from math import inf, isfinite, nan

from builtin_interfaces.msg import Time
from hypothesis import example, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState

from hlai_control.errors import SignalError
from hlai_control.readings import NEW_TIMELINE, StampGate
from hlai_control.ros.signals import from_message, ns_to_stamp, Signal, stamp_to_ns, to_message

WANTED = ('cart.x', 'pole.angle')
REASONS = {'wrong length', 'duplicated name', 'missing name cart.x', 'missing name pole.angle',
           'non-finite'}
FIRST_NS, LAST_NS = -2 ** 31 * 10 ** 9, 2 ** 31 * 10 ** 9 - 1


def _message(names: list[str], values: list[float], sec: int = 0, nanosec: int = 0
             ) -> JointState:
    message = JointState(name=names, position=array('d', values))
    message.header.stamp = Time(sec=sec, nanosec=nanosec)
    return message


names = st.lists(st.sampled_from((*WANTED, 'other', '')) | st.text(max_size=3), max_size=5)
values = st.lists(st.floats(), max_size=5)


@settings(max_examples=500, deadline=None)
@given(names, values, st.integers(-2 ** 31, 2 ** 31 - 1), st.integers(0, 2 ** 32 - 1))
@example([*WANTED], [1.0, nan], 0, 0)
@example([*WANTED, 'x'], [1.0, 2.0, inf], 0, 0)
@example([*WANTED, 'cart.x'], [1.0, 2.0, 1.0], 0, 0)
@example([], [], 2 ** 31 - 1, 2 ** 32 - 1)
def test_gives_exactly_what_was_sent_or_a_reason(names, values, sec, nanosec):
    message = _message(names, values, sec, nanosec)
    usable = (len(names) == len(values) == len(set(names)) and set(WANTED) <= set(names)
              and all(isfinite(values[names.index(name)]) for name in WANTED))
    try:
        signal = from_message(message, WANTED)
    except SignalError as error:
        assert not usable and str(error) in REASONS
        return
    assert usable
    assert signal.names == WANTED
    assert signal.values.tolist() == [values[names.index(name)] for name in WANTED]
    assert signal.stamp_ns == sec * 10 ** 9 + nanosec


@pytest.mark.parametrize(('names', 'values', 'reason'), [
    (['cart.x'], [1.0], 'missing name pole.angle'),
    (['pole.angle', 'cart.x'], [1.0], 'wrong length'),
    ([], [1.0, 2.0], 'wrong length'),
    (['pole.angle', 'pole.angle'], [1.0, 1.0], 'duplicated name'),
    (['pole.angle', 'cart.x'], [1.0, -inf], 'non-finite')])
def test_reasons(names, values, reason):
    with pytest.raises(SignalError, match=f'^{reason}$'):
        from_message(_message(names, values), WANTED)


def test_order_does_not_matter_and_more_is_ignored():
    signal = from_message(_message(['x', 'pole.angle', 'cart.x'], [nan, 2.0, 1.0]), WANTED)
    assert signal.values.tolist() == [1.0, 2.0]
    assert from_message(_message(['x'], [nan]), ()).values.tolist() == []


@settings(deadline=None)
@given(st.integers(FIRST_NS, LAST_NS),
       st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=8))
@example(LAST_NS, [5e-324, -0.0, 1.7976931348623157e308])
def test_round_trip_over_the_wire(stamp_ns, numbers):
    names = tuple(f'a{i}' for i in range(len(numbers)))
    sent = Signal(stamp_ns, names, np.array(numbers, np.float64))
    wire = serialize_message(to_message(sent))
    got = from_message(deserialize_message(wire, JointState), names)
    assert (got.stamp_ns, got.names) == (stamp_ns, names)
    assert got.values.tobytes() == sent.values.tobytes()


def test_other_arrays_are_packed_by_value():
    backwards = np.arange(6.0)[::-2]
    for given_values in (backwards, backwards.astype(np.float32), backwards.astype(int)):
        message = to_message(Signal(0, ('a', 'b', 'c'), given_values))
        assert list(message.position) == [5.0, 3.0, 1.0]


@pytest.mark.parametrize(('stamp_ns', 'numbers', 'reason'), [
    (0, [nan, 0.0], 'non-finite'), (0, [inf, 0.0], 'non-finite'), (0, [1.0], 'wrong length'),
    (0, [[1.0, 2.0]], 'wrong length'),
    (LAST_NS + 1, [1.0, 2.0], 'out of range'), (FIRST_NS - 1, [1.0, 2.0], 'out of range')])
def test_what_may_not_travel_is_refused(stamp_ns, numbers, reason):
    with pytest.raises(SignalError, match=reason):
        to_message(Signal(stamp_ns, WANTED, np.array(numbers)))


@settings(deadline=None)
@given(st.integers())
@example(2 ** 31 * 10 ** 9)  # rclpy once sent this one as zero
def test_stamps_are_exact_or_refused(stamp_ns):
    try:
        message = _message([], [])
        message.header.stamp = ns_to_stamp(stamp_ns)
        wire = deserialize_message(serialize_message(message), JointState)
        assert stamp_to_ns(wire.header.stamp) == stamp_ns
    except SignalError:
        assert not FIRST_NS <= stamp_ns <= LAST_NS


@settings(deadline=None)
@given(st.lists(st.integers(0, 20) | st.integers(), max_size=40))
def test_the_gate_lets_each_stamp_pass_once_and_only_forward(stamps):
    gate, passed = StampGate(), []
    assert gate.last_ns is None
    for stamp in stamps:
        before = gate.last_ns
        try:
            gate.check(stamp)
            passed.append(stamp)
            assert gate.last_ns == stamp
        except SignalError as error:
            assert str(error) == ('duplicated stamp' if stamp == before else 'backward stamp')
            assert gate.last_ns == before
    assert all(a < b for a, b in zip(passed, passed[1:], strict=False))
    assert not stamps or passed[-1] == max(stamps)


def test_one_stamp_from_the_future_does_not_shut_the_gate_for_good() -> None:
    gate, period_ns = StampGate(), 50_000_000
    gate.check(0)
    gate.check(10 ** 15)
    passed = []
    for tick in range(1, 3 * NEW_TIMELINE):
        with suppress(SignalError):
            gate.check(tick * period_ns)
            passed.append(tick)
    assert passed == list(range(NEW_TIMELINE, 3 * NEW_TIMELINE))


def test_the_same_old_stamp_again_and_again_never_passes() -> None:
    gate = StampGate()
    gate.check(1000)
    for _ in range(3 * NEW_TIMELINE):
        with pytest.raises(SignalError, match='backward'):
            gate.check(10)
