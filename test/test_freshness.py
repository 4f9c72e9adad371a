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

"""The age of data by its stamps, whatever the offset and the drift of the clocks."""

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.errors import SignalError
from hlai_control.ros.freshness import DRIFT, Freshness, FUTURE_S, PERSISTENT

NS = 10 ** 9
LIMIT_S = 0.15


def _reason(freshness: Freshness, stamp_s: float, arrival_s: float) -> str:
    try:
        freshness.check(round(stamp_s * NS), arrival_s)
    except SignalError as error:
        return str(error)
    return 'fresh'


def test_ages_by_hand():
    freshness = Freshness(LIMIT_S)
    # The smallest delay, 2 ms, comes third; ages count beyond the smallest so far.
    for stamp_s, delay_s, age_s in ((0.00, 0.010, 0.0), (0.05, 0.030, 0.020),
                                    (0.10, 0.002, 0.0), (0.15, 0.012, 0.010)):
        age = freshness.check(round(stamp_s * NS), 1000.0 + stamp_s + delay_s)
        assert age == pytest.approx(age_s, abs=3 * DRIFT * 0.05)


@settings(deadline=None)
@given(st.floats(-1e9, 1e9), st.lists(st.floats(0.0, 0.9), min_size=1, max_size=60),
       st.sampled_from([0.25, 1.0, 4.0]))
def test_the_offset_of_the_clocks_does_not_matter(offset_s, delays_s, rate):
    freshness = Freshness(LIMIT_S, rate)
    for k, delay_s in enumerate([0.0, *delays_s]):
        sent_s = 0.05 * k
        reason = _reason(freshness, (sent_s + offset_s) * rate, sent_s + delay_s)
        if abs(delay_s - LIMIT_S) > 1e-2:
            assert reason == ('stale' if delay_s > LIMIT_S else 'fresh')


@pytest.mark.parametrize('drift', [-200e-6, 200e-6])
def test_clocks_that_drift_apart_stay_fresh_for_a_day(drift):
    """200 ppm made everything stale for ever, after 12 minutes."""
    freshness = Freshness(LIMIT_S)
    for arrival_s in range(0, 24 * 3600, 10):
        assert _reason(freshness, arrival_s * (1.0 + drift), arrival_s) == 'fresh'
    assert _reason(freshness, arrival_s * (1.0 + drift), arrival_s + 2 * LIMIT_S) == 'stale'


@pytest.mark.parametrize('ahead_s', [2 * FUTURE_S, 1e6, 1e9])
def test_a_stamp_far_in_the_future_spoils_nothing(ahead_s):
    """One such message made all later ones stale, for ever."""
    freshness = Freshness(LIMIT_S)
    for k in range(200):
        now_s = 0.05 * k
        if k % 3 == 1:
            assert _reason(freshness, now_s + ahead_s, now_s) == 'future stamp'
        else:
            assert _reason(freshness, now_s, now_s) == 'fresh'


def test_a_clock_that_was_set_forward_is_followed_after_a_while():
    freshness = Freshness(LIMIT_S)
    assert _reason(freshness, 0.0, 0.0) == 'fresh'
    reasons = [_reason(freshness, 0.05 * k + 3600.0, 0.05 * k) for k in range(1, 40)]
    assert reasons == ['future stamp'] * (PERSISTENT - 1) + ['fresh'] * (40 - PERSISTENT)
    assert _reason(freshness, 2.0, 2.0) == 'stale'


def test_a_stall_is_stale_and_what_follows_is_fresh():
    freshness = Freshness(LIMIT_S)
    arrivals = [0.05 * k if k < 10 else max(0.05 * k, 1.0) for k in range(40)]
    reasons = [_reason(freshness, 0.05 * k, arrival) for k, arrival in enumerate(arrivals)]
    # Held up until 1.0 s: those stamped 0.5 to 0.8 are older than 0.15 s by then.
    assert reasons == ['fresh'] * 10 + ['stale'] * 7 + ['fresh'] * 23
