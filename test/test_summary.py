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

"""The account of a run, against runs worked out by hand."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.graph import ANTICIPATED, SURPRISE, TIMING
from hlai_control.parent.summary import latency, misses, percentile, summary, write
from hlai_control.ros.observer import Motion

PERIOD_S = 0.05


def _motion(ticks: int, late: tuple[int, ...] = (), unanswered: tuple[int, ...] = (),
            latency_s: float = 0.01) -> Motion:
    """States at ticks 0 .. ticks; commands for all of them but those unanswered."""
    period_ns, first_ns = round(PERIOD_S * 1e9), 123_456_789_000_000
    motion = Motion(first_ns=first_ns, last_ns=first_ns + ticks * period_ns,
                    first_wall_s=50.0, last_wall_s=50.0 + ticks * PERIOD_S)
    motion.latencies = [(tick * period_ns * 1e-9, 0.06 if tick in late else latency_s)
                        for tick in range(ticks + 1) if tick not in unanswered]
    return motion


def test_percentiles_by_hand():
    values = [float(k) for k in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51.0 and percentile(values, 0.99) == 100.0
    assert percentile([7.0], 0.99) == 7.0 and percentile([], 0.5) is None


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1), st.floats(0.0, 1.0, exclude_max=True))
def test_at_least_the_share_of_the_values_is_no_greater(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


def test_latency_by_hand():
    assert latency([(0.0, 0.02), (0.05, 0.01), (0.1, 0.03)]) == {
        'p50_s': 0.02, 'p99_s': 0.03, 'max_s': 0.03}
    assert latency([]) == {'p50_s': None, 'p99_s': None, 'max_s': None}


def test_misses_by_hand():
    # 10 s are 200 periods and 201 states, those from tick 100 on after the first 5 s.
    found = misses(_motion(200, late=(3, 99, 100, 150), unanswered=(7, 120, 200)), PERIOD_S, 1.0)
    assert (found['late'], found['unanswered'], found['total']) == (4, 3, 7)
    assert (found['late_after_5_s'], found['total_after_5_s']) == (2, 4)
    assert found['ticks_after_5_s'] == 101


@pytest.mark.parametrize(('ticks', 'after'), [(0, 0), (98, 0), (99, 0), (100, 1), (101, 2)])
def test_ticks_after_5_s(ticks, after):
    found = misses(_motion(ticks), PERIOD_S, 1.0)
    assert found['ticks_after_5_s'] == after and found['total'] == 0


@pytest.mark.parametrize('factor', [0.25, 1.0, 4.0])
def test_a_deadline_is_the_period_by_the_wall_clock(factor):
    """At real_time_factor 4, three of four ticks were counted as not answered."""
    in_time = _motion(200, latency_s=0.9 * PERIOD_S / factor)
    assert misses(in_time, PERIOD_S, factor)['total'] == 0
    too_late = _motion(200, latency_s=1.1 * PERIOD_S / factor)
    assert misses(too_late, PERIOD_S, factor)['total'] == 201


def test_a_run_that_never_began_has_no_misses():
    assert misses(Motion(), PERIOD_S, 1.0)['total'] == 0
    found = summary(Motion(), PERIOD_S, 1.0, {})
    assert found['real_time_factor'] is None and found['solved'] is False
    json.dumps(found, allow_nan=False)


def test_the_summary_by_hand():
    motion = _motion(200, late=(150,))
    motion.solved_at_s, motion.last_wall_s = 4.2, 50.0 + 12.5
    motion.newest = {SURPRISE: {'transitions': 199.0, 'updates': 995.0},
                     ANTICIPATED: {'updates': 398.0}, TIMING: {'skipped': 2.0}}
    found = summary(motion, PERIOD_S, 1.0, {'seed': 7, 'robot': 'cartpole'})
    assert (found['solved'], found['solved_at_s'], found['interaction_s']) == (True, 4.2, 10.0)
    assert (found['wall_s'], found['real_time_factor'], found['ticks']) == (12.5, 0.8, 201)
    assert (found['transitions'], found['updates'], found['critic_updates']) == (199, 995, 398)
    assert found['deadline_misses']['total'] == 1 and found['deadline_misses']['skipped'] == 2.0
    assert (found['seed'], found['robot']) == (7, 'cartpole')
    assert found['machine']['cores'] and found['versions']['torch']


def test_no_reader_sees_half_of_it(tmp_path):
    path = tmp_path / 'summary.json'
    for value in (1, 2):
        write(path, {'value': value, 'nested': {'a': None}})
        assert json.loads(path.read_text()) == {'value': value, 'nested': {'a': None}}
    assert list(tmp_path.iterdir()) == [path]
