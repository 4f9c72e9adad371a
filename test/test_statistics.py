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

"""What many runs say together, against published values and by hand."""

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.parent.statistics import median_or_none, survival, wilson, worst_or_none


@pytest.mark.parametrize(('successes', 'runs', 'low', 'high'), [
    # Newcombe 1998, Two-sided confidence intervals for the single proportion, table I, method 3.
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718)])
def test_wilson_as_published(successes, runs, low, high):
    assert wilson(successes, runs) == (pytest.approx(low, abs=5e-5),
                                       pytest.approx(high, abs=5e-5))


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_the_rate_and_mirrors(successes, failures):
    runs = successes + failures
    low, high = wilson(successes, runs)
    assert 0.0 <= low <= high <= 1.0
    if runs:
        assert low - 1e-12 <= successes / runs <= high + 1e-12
        assert low < high
    mirrored = wilson(failures, runs)
    assert mirrored == (pytest.approx(1.0 - high), pytest.approx(1.0 - low))


@pytest.mark.parametrize(('solved_at', 'median', 'worst'), [
    ([], None, None), ([3.0], 3.0, 3.0), ([None], None, None),
    ([5.0, 1.0, 3.0], 3.0, 5.0), ([4.0, 1.0], 2.5, 4.0),
    # Unsolved runs count as endless: two of three solved have a median, one of two has none.
    ([1.0, None, 2.0], 2.0, None), ([1.0, None], None, None),
    ([1.0, 2.0, None, None, None], None, None), ([0.0, 0.0], 0.0, 0.0)])
def test_order_statistics_by_hand(solved_at, median, worst):
    assert median_or_none(solved_at) == median
    assert worst_or_none(solved_at) == worst


def test_survival_by_hand():
    assert survival([2.0, None, 1.0, 5.0], [0.5, 1.0, 1.99, 2.0, 30.0]) == [
        0.0, 0.25, 0.25, 0.5, 0.75]
    assert survival([], [1.0]) == [0.0]


@settings(deadline=None)
@given(st.lists(st.none() | st.floats(0.0, 30.0), max_size=12),
       st.lists(st.floats(0.0, 30.0), max_size=12).map(sorted))
def test_survival_climbs_to_the_fraction_solved(solved_at, times):
    curve = survival(solved_at, [*times, 30.0])
    assert all(a <= b for a, b in zip(curve, curve[1:], strict=False))
    solved = sum(value is not None for value in solved_at)
    assert curve[-1] == solved / max(1, len(solved_at))
