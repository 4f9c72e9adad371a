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

"""Joining states and applied commands: nothing lost, nothing guessed, whatever the order."""

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from hlai_control.learning.pairing import Joined, MEMORY_TICKS, Pairing, PATIENCE_TICKS

PERIOD_NS = 50_000_000


def _state(tick: int) -> np.ndarray:
    return np.array([tick, -tick], np.float64)


def _command(tick: int) -> np.ndarray:
    return np.array([1000.0 + tick])


def _give_state(pairing: Pairing, tick: int) -> None:
    pairing.state(tick, tick * PERIOD_NS, _state(tick))


def _drain(pairing: Pairing) -> list[Joined]:
    found = []
    while (joined := pairing.pop()) is not None:
        found.append(joined)
    return found


def _rows(found: list[Joined]) -> list[tuple[float, ...]]:
    return [(j.tick, j.stamp_ns // PERIOD_NS, j.state[0], j.action[0], j.next_state[0])
            for j in found]


@pytest.mark.parametrize(('delay', 'actions'), [
    # By hand: states at ticks 0 1 2 3 4; the command answering tick k is 1000 + k and acts
    # from k + delay on; before it nothing acts, 0.
    (0, [1000.0, 1001.0, 1002.0, 1003.0]),
    (1, [0.0, 1000.0, 1001.0, 1002.0]),
    (2, [0.0, 0.0, 1000.0, 1001.0])])
def test_the_action_is_the_one_in_effect_during_the_step(delay, actions):
    pairing = Pairing(delay, 1, patient=True)
    for tick in range(5):
        _give_state(pairing, tick)
        pairing.applied(tick, _command(tick))
    assert _rows(_drain(pairing)) == [
        (k + 1, k + 1, k, action, k + 1) for k, action in enumerate(actions)]
    assert pairing.gaps == 0


# Ticks at which a state arrives, in order, some of them missing.
ticks = st.integers(0, 5).flatmap(lambda first: st.lists(
    st.sampled_from((1, 1, 1, 1, 2, 4)), max_size=25).map(
        lambda steps: np.cumsum([first, *steps]).tolist()))


@settings(deadline=None)
@given(ticks, st.integers(0, 3), st.data())
def test_any_interleaving_gives_the_same_transitions(states, delay, data):
    commands = list(range(states[0], states[-1] + 1))
    expected = [(b, b, a, 1000.0 + a - delay if a - delay >= states[0] else 0.0, b)
                for a, b in zip(states, states[1:], strict=False) if b == a + 1]
    pairing, found = Pairing(delay, 1, patient=True), []
    while states or commands:
        source = data.draw(st.sampled_from([q for q in (states, commands) if q]))
        tick = source.pop(0)
        if source is states:
            _give_state(pairing, tick)
        else:
            pairing.applied(tick, _command(tick))
        if data.draw(st.booleans()):
            found += _drain(pairing)
    assert _rows(found + _drain(pairing)) == expected


@settings(deadline=None)
@given(ticks, st.integers(0, 3), st.booleans(), st.data())
def test_every_pair_of_states_is_a_transition_or_a_gap(states, delay, patient, data):
    commands = {k: _command(k) for k in range(states[0], states[-1] + 1)
                if patient or data.draw(st.booleans())}
    pairing, found, late = Pairing(delay, 1, patient), [], list(commands)
    for tick in states:
        _give_state(pairing, tick)
        while late and (late[0] <= tick or data.draw(st.booleans())):
            k = late.pop(0)
            pairing.applied(k, commands[k])
        found += _drain(pairing)
    for joined in found:  # never bridged, never guessed
        known = commands.get(joined.tick - 1 - delay)
        if known is None:
            assert patient and joined.tick - 1 - delay < states[0]
            known = np.zeros(1)
        assert joined.action.tolist() == known.tolist()
        assert joined.state[0] == joined.tick - 1 and joined.next_state[0] == joined.tick
    assert [j.tick for j in found] == sorted({j.tick for j in found})
    settled = len(found) + pairing.gaps
    pairs = len(states) - 1
    assert settled == pairs if patient else pairs - PATIENCE_TICKS <= settled <= pairs


def test_duplicates_change_nothing():
    pairing = Pairing(1, 1, patient=True)
    for tick in (0, 1, 2):
        _give_state(pairing, tick)
        pairing.state(tick, -1, np.full(2, 9.0))  # the first one counts
        pairing.applied(tick, np.array([-1.0]))
        pairing.applied(tick, _command(tick))  # the last one counts
    first = _drain(pairing)
    for tick in (0, 1):  # what is done stays done
        pairing.state(tick, -1, np.full(2, 9.0))
        pairing.applied(tick, np.array([-1.0]))
    _give_state(pairing, 3)
    assert _rows(first + _drain(pairing)) == [
        (1, 1, 0, 0.0, 1), (2, 2, 1, 1000.0, 2), (3, 3, 2, -1.0, 3)]
    assert pairing.gaps == 0


def test_patient_waits_for_a_command_as_long_as_it_takes():
    pairing = Pairing(0, 1, patient=True)
    for tick in range(100):
        _give_state(pairing, tick)
        if tick:
            pairing.applied(tick, _command(tick))
    assert _drain(pairing) == []
    pairing.applied(0, _command(0))
    assert [j.tick for j in _drain(pairing)] == list(range(1, 100))
    assert pairing.gaps == 0


def test_impatient_gives_up_once_a_newer_command_has_passed_or_patience_has_run_out():
    pairing = Pairing(0, 1, patient=False)
    _give_state(pairing, 0)
    _give_state(pairing, 1)
    assert _drain(pairing) == [] and pairing.gaps == 0  # it may still come
    pairing.applied(1, _command(1))
    assert _drain(pairing) == [] and pairing.gaps == 1  # it was passed
    for tick in range(2, 3 + PATIENCE_TICKS):
        _give_state(pairing, tick)
    assert [j.tick for j in _drain(pairing)] == [2]
    _give_state(pairing, 3 + PATIENCE_TICKS)
    assert _drain(pairing) == [] and pairing.gaps == 2


def test_a_robot_that_moved_before_we_listened_is_not_taken_to_have_been_at_rest():
    """A learner that is brought back in real time once learned a first step with force zero."""
    pairing = Pairing(1, 1, patient=False)
    for tick in range(500, 504):
        _give_state(pairing, tick)
        pairing.applied(tick, _command(tick))
    assert [j.tick for j in _drain(pairing)] == [502, 503]
    assert pairing.gaps == 1


@pytest.mark.parametrize('patient', [True, False])
@pytest.mark.parametrize('silent', ['states', 'commands'])
def test_memory_is_bounded_while_one_stream_is_silent(patient, silent):
    def feed(pairing: Pairing, first: int, last: int) -> None:
        for tick in range(first, last):
            if silent == 'commands':
                _give_state(pairing, tick)
            else:
                pairing.applied(tick, _command(tick))

    pairing = Pairing(0, 1, patient)
    feed(pairing, 0, 2 * MEMORY_TICKS)
    tracemalloc.start()
    feed(pairing, 2 * MEMORY_TICKS, 6 * MEMORY_TICKS)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 600 * MEMORY_TICKS  # replaced, not added: some 300 bytes for each kept
    if silent == 'commands':
        assert _drain(pairing) == []
        assert pairing.gaps >= 5 * MEMORY_TICKS
