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


"""Joint states in any order and in parts: what is read is what was measured."""

from math import nan

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from sensor_msgs.msg import JointState

from hlai_control.errors import SignalError
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.joint_states import JointReader
from hlai_control.ros.signals import ns_to_stamp

ARM = load_robot('arm7')
PLACES = np.arange(7) * 0.01 - 0.5
SPEEDS = np.arange(7) * 0.1
ALL = tuple(range(7))


def told(joints, stamp_ns: int = 10 ** 9) -> JointState:
    message = JointState(name=[ARM.joints[i] for i in joints] + ['finger'],
                         position=[PLACES[i] for i in joints] + [nan],
                         velocity=[SPEEDS[i] for i in joints] + [nan])
    message.header.stamp = ns_to_stamp(stamp_ns)
    return message


@given(st.permutations(ALL), st.sets(st.integers(1, 6)))
def test_any_order_and_any_parts_are_the_whole(order, cuts):
    reader, ends = JointReader(ARM), [0, *sorted(cuts), 7]
    for beginning in (10 ** 9, 2 * 10 ** 9):  # twice: nothing is left over
        for at, (low, high) in enumerate(zip(ends, ends[1:], strict=False)):
            found = reader.read(told(order[low:high], beginning + 1000 * at))
            assert (found is None) == (high < 7)
        assert np.array_equal(found, np.concatenate([PLACES, SPEEDS]))


def test_a_joint_that_never_comes_is_named():
    reader = JointReader(ARM)
    assert reader.read(told(ALL[:6])) is None
    for tick in range(1, 4):
        with pytest.raises(SignalError, match='missing joint joint7'):
            reader.read(told(ALL[:6], (25 + tick) * 40_000_000))
    assert reader.read(told(ALL)) is not None  # whole by itself


def test_a_lost_part_costs_one_measurement():
    reader, heard = JointReader(ARM), []
    for tick in range(5):
        for joints in (ALL[:3], ALL[3:]):
            if (tick, joints) != (2, ALL[3:]):
                try:
                    heard += [tick] if reader.read(told(
                        joints, tick * 40_000_000)) is not None else []
                except SignalError as error:
                    heard += [str(error)]
    assert heard == [0, 1, 'missing joint joint4', 3, 4]


def test_parts_of_different_times_are_no_measurement():
    reader = JointReader(ARM)
    assert reader.read(told(ALL[:3])) is None
    with pytest.raises(SignalError, match='different times'):
        reader.read(told(ALL[3:], 10 ** 9 + 30_000_000))
    assert reader.read(told(ALL[:3], 10 ** 9 + 40_000_000)) is not None


@pytest.mark.parametrize('joints, wrong, reason', [
    ((), {}, 'none of the names'), ((1, 1), {}, 'duplicated name'),
    ((1,), {'position': [0.1]}, 'wrong length')])
def test_what_is_no_measurement_is_refused(joints, wrong, reason):
    message = told(joints)
    for name, value in wrong.items():
        setattr(message, name, value)
    with pytest.raises(SignalError, match=reason):
        JointReader(ARM).read(message)


def test_a_field_that_is_wanted_and_empty_is_not_finite():
    reader, silent = JointReader(ARM), told(ALL[3:])
    silent.velocity = []
    assert reader.read(told(ALL[:3])) is None
    with pytest.raises(SignalError, match='non-finite'):
        reader.read(silent)
