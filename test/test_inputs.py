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

"""What has arrived, and what of it counts at a tick."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from hlai_control.actor.inputs import AppliedCommands, FunctionInput
from hlai_control.configurator.scheduled import Scheduled
from hlai_control.learning.artefact import Artefact
from hlai_control.learning.versions import due_version
from hlai_control.settings import ScheduleSettings

SCHEDULE = ScheduleSettings(publish_every=2, due_after=2, explore_ticks=6)


def _artefact(version: int) -> Artefact:
    return Artefact('world_model', version, {'a': torch.tensor(float(version))})


def _command(value: float) -> torch.Tensor:
    return torch.tensor([value])


def test_lockstep_uses_exactly_the_version_that_is_due():
    versions = FunctionInput(SCHEDULE, lockstep=True)
    assert all(versions.ready(tick) for tick in range(8)) and versions.advance(7) is None
    # By hand: version 6 is due from tick 8 on, version 8 from tick 10 on.
    assert not versions.ready(8)
    for version in (8, 6, 10):  # early ones do not count before their time
        versions.put(_artefact(version))
    assert versions.ready(8)
    assert versions.advance(8).version == 6 and versions.version == 6
    assert versions.ready(9) and versions.advance(9) is None
    assert versions.advance(10).version == 8
    assert versions.ready(12) and versions.advance(12).version == 10
    assert not versions.ready(14)


@settings(deadline=None)
@given(st.permutations([6, 8, 10, 12, 14]), st.integers(0, 5))
def test_lockstep_does_not_depend_on_the_order_of_arrival(order, early):
    versions, waiting, used = FunctionInput(SCHEDULE, lockstep=True), list(order), []
    for _ in range(early):
        versions.put(_artefact(waiting.pop(0)))
    for tick in range(16):
        while not versions.ready(tick):
            versions.put(_artefact(waiting.pop(0)))
        versions.advance(tick)
        used.append(versions.version)
    assert used == [due_version(tick, SCHEDULE) for tick in range(16)]


def test_real_time_uses_the_newest_and_waits_for_none():
    versions = FunctionInput(SCHEDULE, lockstep=False)
    assert versions.ready(1000) and versions.advance(1000) is None
    versions.put(_artefact(6))
    versions.put(_artefact(8))
    assert versions.advance(3).version == 8
    assert versions.advance(4) is None
    versions.put(_artefact(6))  # late, or from a learner that was restarted
    assert versions.advance(5) is None and versions.version == 8


@pytest.mark.parametrize(('delay', 'tick', 'known', 'pending'), [
    # By hand: commands known by tick -> those on their way at `tick`, oldest first.
    (0, 5, {4: 4.0, 5: 5.0}, []),
    (1, 5, {3: 3.0, 4: 4.0, 5: 5.0}, [4.0]),
    (2, 5, {3: 3.0, 4: 4.0}, [3.0, 4.0]),
    (3, 1, {0: 9.0}, [0.0, 0.0, 9.0]),            # before the first nothing was sent
    (2, 5, {2: 2.0, 4: 4.0}, [2.0, 4.0]),         # tick 3 was not answered: 2 was held
    (2, 5, {1: 1.0, 2: 2.0}, [2.0, 2.0]),
    (2, 5, {}, [0.0, 0.0]),
    (2, 5, {4: 4.0}, [0.0, 4.0])])
def test_pending_by_hand(delay, tick, known, pending):
    applied = AppliedCommands(delay, 1)
    for k, value in known.items():
        applied.put(k, _command(value))
    found = applied.pending(tick)
    assert found.shape == (delay, 1)
    assert found.flatten().tolist() == pending


def test_the_last_command_of_a_tick_counts():
    applied = AppliedCommands(1, 1)
    applied.put(4, _command(1.0))
    applied.put(4, _command(2.0))
    assert applied.pending(5).tolist() == [[2.0]]


def test_the_last_command_of_any_tick_before_counts_for_its_rate():
    applied = AppliedCommands(2, 1)
    assert applied.last(5).tolist() == [0.0]
    applied.put(3, _command(3.0))
    assert applied.last(3).tolist() == [0.0]
    assert applied.last(4).tolist() == applied.last(6).tolist() == [3.0]
    applied.put(4, _command(4.0))
    assert applied.last(5).tolist() == [4.0]


def test_without_delay_the_last_command_is_waited_for_all_the_same():
    applied = AppliedCommands(0, 1)
    applied.first_tick = 0
    assert applied.ready(0) and not applied.ready(1)
    applied.put(0, _command(1.0))
    assert applied.ready(1)


def test_ready_once_all_that_are_on_their_way_are_known():
    applied = AppliedCommands(2, 1)
    assert applied.ready(0)  # the first tick: nothing can be on its way
    applied.first_tick = 0
    assert not applied.ready(1)
    applied.put(0, _command(0.0))
    assert applied.ready(1) and not applied.ready(2)
    applied.put(1, _command(1.0))
    assert applied.ready(2)
    applied.put(3, _command(3.0))
    assert not applied.ready(4)


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(1, 60))
def test_memory_is_bounded_and_forgets_nothing_that_is_needed(delay, ticks):
    applied = AppliedCommands(delay, 1)
    for tick in range(ticks):
        expected = [float(k) if k >= 0 else 0.0 for k in range(tick - delay, tick)]
        assert applied.pending(tick).flatten().tolist() == expected
        applied.put(tick, _command(float(tick)))
    assert len(applied._commands) <= delay + 9


@dataclass(frozen=True)
class _From:
    from_ns: int
    name: str


def test_scheduled_values_count_from_their_stamp_on():
    scheduled = Scheduled()
    assert scheduled.advance(10 ** 18) is None
    scheduled.put(_From(0, 'at once'))
    scheduled.put(_From(100, 'later'))
    assert scheduled.advance(50).name == 'at once'
    assert scheduled.advance(99) is None
    assert scheduled.advance(100).name == 'later'
    assert scheduled.advance(200) is None


def test_of_several_that_are_due_the_one_that_came_last_counts():
    scheduled = Scheduled()
    for name in ('a', 'b', 'c'):
        scheduled.put(_From(100, name))
    assert scheduled.advance(100).name == 'c'
    assert scheduled.advance(100) is None


def test_what_comes_later_and_counts_sooner_replaces_what_waits():
    # A run that begins anew must not be overtaken by what an earlier run had scheduled.
    scheduled = Scheduled()
    scheduled.put(_From(100, 'of the run before'))
    scheduled.put(_From(0, 'begin'))
    assert scheduled.advance(0).name == 'begin'
    assert scheduled.advance(10 ** 18) is None


def test_the_command_in_effect_answers_an_earlier_tick():
    commands = AppliedCommands(2, 1)
    assert commands.in_effect(5).tolist() == [0.0]
    for tick in (3, 4, 6):
        commands.put(tick, _command(float(tick)))
    assert [commands.in_effect(tick).item() for tick in (4, 5, 6, 7, 8, 20)] == [
        0.0, 3.0, 4.0, 4.0, 6.0, 6.0]
