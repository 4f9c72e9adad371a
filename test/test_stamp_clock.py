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

"""The age of a stamp, whichever of the machine's clocks made it."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.ros.stamp_clock import PLAUSIBLE_S, StampClock

SLACK_S = 2.0  # a loaded machine may stop between two lines


@pytest.mark.parametrize('rate', [0.25, 1.0, 4.0])
@pytest.mark.parametrize('age_s', [0.0, 0.05, 1.0])
def test_knows_the_simulators_clock(rate, age_s):
    stamp_ns = round((time.monotonic() - age_s) * rate * 1e9)
    assert age_s - 1e-6 <= StampClock(rate).age_s(stamp_ns) <= age_s + SLACK_S


def test_knows_the_systems_clock():
    stamp_ns = time.time_ns() - 50_000_000
    assert 0.049 <= StampClock(1.0).age_s(stamp_ns) <= 0.05 + SLACK_S


@settings(deadline=None)
@given(st.integers(-2 ** 31 * 10 ** 9, 2 ** 31 * 10 ** 9))
def test_an_age_is_plausible_or_unknown(stamp_ns):
    age_s = StampClock(1.0).age_s(stamp_ns)
    assert age_s is None or abs(age_s) < PLAUSIBLE_S
    nearest_s = min(abs(now_s - stamp_ns * 1e-9) for now_s in (time.monotonic(), time.time()))
    assert (age_s is None) == (nearest_s >= PLAUSIBLE_S) or abs(nearest_s - PLAUSIBLE_S) < 1.0
