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

"""Which version is in use at which tick, against a table worked out by hand."""

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.learning.versions import due_version, is_published, tick_of, VersionShelf
from hlai_control.settings import ScheduleSettings


def _schedule(every: int, after: int, explore: int) -> ScheduleSettings:
    return ScheduleSettings(publish_every=every, due_after=after, explore_ticks=explore)


@pytest.mark.parametrize(('every', 'after', 'explore', 'due'), [
    # By hand. Published: the multiples of `every` from `explore` on.
    # tick    0  1  2  3  4  5  6  7  8  9 10 11 12
    (1, 1, 1, [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (2, 2, 6, [0, 0, 0, 0, 0, 0, 0, 0, 6, 6, 8, 8, 10]),
    (2, 1, 5, [0, 0, 0, 0, 0, 0, 0, 6, 6, 8, 8, 10, 10]),
    (3, 4, 3, [0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 6, 6, 6]),
    (5, 2, 6, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10])])
def test_due_versions_by_hand(every, after, explore, due):
    schedule = _schedule(every, after, explore)
    assert [due_version(tick, schedule) for tick in range(13)] == due


schedules = st.builds(_schedule, st.integers(1, 20), st.integers(1, 20), st.integers(1, 40))


@settings(deadline=None)
@given(schedules, st.integers(0, 200))
def test_the_due_version_is_the_newest_that_had_to_be_published_by_then(schedule, tick):
    published = [k for k in range(1, tick - schedule.due_after + 1) if is_published(k, schedule)]
    assert due_version(tick, schedule) == max(published, default=0)


@settings(deadline=None)
@given(schedules, st.integers(0, 200))
def test_versions_never_go_back(schedule, tick):
    assert due_version(tick, schedule) <= due_version(tick + 1, schedule)


@settings(deadline=None)
@given(st.integers(0, 10 ** 9), st.integers(-24_999_999, 24_999_999))
def test_a_stamp_belongs_to_the_nearest_tick(tick, off_ns):
    assert tick_of(tick * 50_000_000 + off_ns, 50_000_000) == tick


def test_the_shelf_gives_exactly_what_is_asked_for_and_forgets_what_is_older():
    shelf = VersionShelf()
    assert shelf.newest() is None and not shelf.has(0)
    for version in (4, 2, 6):  # in any order
        shelf.put(version, f'v{version}')
    shelf.put(4, 'again')
    assert shelf.take(4) == 'again'
    assert not shelf.has(2) and shelf.has(4) and shelf.has(6)
    assert shelf.newest() == (6, 'v6') and shelf.newest() == (6, 'v6')
    assert not shelf.has(4)
    with pytest.raises(KeyError):
        shelf.take(4)
