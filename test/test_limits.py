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


"""Laws of the limit functions: finite, inside, nearest, and idempotent."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from hlai_control.errors import SignalError
from hlai_control.robots import limits

finite = st.floats(-1e9, 1e9)
anything = st.floats()
LOW, HIGH = np.array([-10.0, 0.0]), np.array([10.0, 3.0])


@settings(deadline=None)  # a loaded machine is no failure
@given(anything, anything)
def test_clamp_is_inside_and_nearest_or_refuses(first, second):
    values = np.array([first, second])
    if not np.isfinite(values).all():
        with pytest.raises(SignalError, match='non-finite'):
            limits.clamp(values, LOW, HIGH)
        return
    clamped = limits.clamp(values, LOW, HIGH)
    assert ((clamped >= LOW) & (clamped <= HIGH)).all()
    inside = (values >= LOW) & (values <= HIGH)
    assert (clamped[inside] == values[inside]).all()
    assert limits.clamp(clamped, LOW, HIGH).tolist() == clamped.tolist()


def test_is_finite_by_hand():
    assert limits.is_finite([1.0, -0.0, 5e-324, 1.7e308])
    for bad in (float('nan'), float('inf'), float('-inf')):
        assert not limits.is_finite([0.0, bad])


@settings(deadline=None)
@given(finite, st.floats(0.0, 1.0))
def test_narrow_is_monotone_and_keeps_the_centre(centre, authority):
    middle = np.array([centre, 1.0])
    low, high = limits.narrow(LOW, HIGH, middle, authority)
    inner_low, inner_high = limits.narrow(LOW, HIGH, middle, authority / 2)
    held = np.clip(middle, LOW, HIGH)
    slack = 1e-12
    assert (low >= LOW - slack).all() and (high <= HIGH + slack).all()
    assert (inner_low >= low - slack).all() and (inner_high <= high + slack).all()
    assert (low <= held + slack).all() and (held <= high + slack).all()


def test_narrow_by_hand():
    low, high = limits.narrow(LOW, HIGH, np.zeros(2), 0.2)
    assert low.tolist() == [-2.0, 0.0]
    assert high == pytest.approx([2.0, 0.6])


@settings(deadline=None)
@given(finite, finite, st.floats(0.0, 1e6))
def test_limit_rate_changes_by_at_most_a_step(wanted, previous, step):
    out = limits.limit_rate(np.array([wanted]), np.array([previous]), np.array([step]))[0]
    assert abs(out - previous) <= step * (1 + 1e-12) + abs(previous) * 1e-15
    assert min(wanted, previous) <= out <= max(wanted, previous)


def test_limit_rate_without_a_limit_passes_everything():
    out = limits.limit_rate(np.array([1e9]), np.array([-1e9]), np.array([np.inf]))
    assert out.tolist() == [1e9]


@pytest.mark.parametrize(('value', 'measured', 'expected'), [
    (5.0, 2.0, 0.0), (5.0, 2.1, 0.0), (-5.0, 2.1, -5.0),   # at the upper end: only back
    (-5.0, -2.0, 0.0), (5.0, -2.5, 5.0),                   # at the lower end: only back
    (5.0, 1.99, 5.0), (5.0, float('nan'), 5.0)])           # inside, or not measured
def test_block_outward_by_hand(value, measured, expected):
    out = limits.block_outward(np.array([value]), np.array([measured]),
                               np.array([-2.0]), np.array([2.0]))
    assert out.tolist() == [expected]
