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


"""Recordings: what a robot's recorder wrote comes back as true transitions, or is counted."""

from dataclasses import replace
from pathlib import Path

from bags import command, joints, Line, record
import numpy as np
import pytest

from hlai_control.errors import RecordingError
from hlai_control.learning.pairing import Joined
from hlai_control.recordings.reading import NO_COMMAND, read_recording, Recording
from hlai_control.recordings.writing import write_recording
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import PerceptionSettings

ROBOT = load_robot('cartpole')
LAYOUT, PERIOD = ROBOT.layout, ROBOT.period_ns
START = 1_700_000_000_000_000_000
STATES, COMMANDS = '/joint_states', '/effort_controller/commands'


def _read(path: Path, robot=ROBOT) -> Recording:
    return read_recording(path, robot, PerceptionSettings())


def _walk(count: int, first_tick: int, seed: int = 0, stamp_ns: int | None = None) -> list[Joined]:
    """Make transitions that follow from each other; full float64 digits."""
    draw = np.random.default_rng(seed)
    states, actions = draw.standard_normal((count + 1, 4)), draw.uniform(-10, 10, (count, 1))
    begin = first_tick * PERIOD if stamp_ns is None else stamp_ns
    return [Joined(first_tick + i + 1, begin + (i + 1) * PERIOD, states[i], actions[i],
                   states[i + 1]) for i in range(count)]


def _rows(items) -> list[tuple[int, int, bytes]]:
    return [(one.tick, one.stamp_ns, b''.join(part.tobytes() for part in (
        one.state, one.action, one.next_state))) for one in items]


@pytest.mark.parametrize('first_tick', [0, 34_000_000_000])
@pytest.mark.parametrize('delay', [0, 1, 3])
def test_written_and_read_back_to_the_last_bit(tmp_path, first_tick, delay):
    robot = replace(ROBOT, delay_ticks=delay)
    items = _walk(50, first_tick)
    # A step without a known command, and a hole of several ticks.
    items = items[:20] + items[21:30] + items[37:]
    assert write_recording(tmp_path / 'bag', items, robot.layout, PERIOD) == 42
    found = _read(tmp_path / 'bag', robot)
    assert _rows(found.transitions) == _rows(items)
    assert found.account.transitions == 42


def test_stamps_of_a_real_clock_come_back_too(tmp_path):
    jitter = np.random.default_rng(1).integers(-1_000_000, 1_000_000, 100)
    items = [replace(one, stamp_ns=one.stamp_ns + int(by))
             for one, by in zip(_walk(100, 1000), jitter, strict=True)]
    items[0] = replace(items[0], stamp_ns=1001 * PERIOD)
    write_recording(tmp_path / 'bag', items, LAYOUT, PERIOD)
    assert _rows(_read(tmp_path / 'bag').transitions) == _rows(items)


def test_a_run_whose_clock_began_anew_keeps_every_transition(tmp_path):
    items = _walk(30, 500) + _walk(30, 0, seed=1) + _walk(30, 30, seed=2)
    write_recording(tmp_path / 'bag', items, LAYOUT, PERIOD)
    found = _read(tmp_path / 'bag').transitions
    assert [row[2] for row in _rows(found)] == [row[2] for row in _rows(items)]
    assert all(b.stamp_ns > a.stamp_ns for a, b in zip(found, found[1:], strict=False))


def test_what_exists_is_not_overwritten(tmp_path):
    (tmp_path / 'bag').mkdir()
    with pytest.raises(RecordingError, match='bag:=.*exists.*choose another'):
        write_recording(tmp_path / 'bag', _walk(3, 0), LAYOUT, PERIOD)


# A robot with drivers of its own: joint states in another order, beside another robot's; commands
# without stamps, 3 ms after the measurement they answer. True motion: x = t, angle = -2 t.

def _measured(tick: float, log_ns: int | None = None, names=('pole_hinge', 'cart_slide', 'wheel'),
              ) -> Line:
    t = tick * ROBOT.period_s
    at = {'cart_slide': (t, 1.0), 'pole_hinge': (-2 * t, -2.0), 'wheel': (9.0, 9.0)}
    stamp_ns = START + round(tick * PERIOD)
    return joints(STATES, stamp_ns if log_ns is None else log_ns, stamp_ns, names,
                  [at[name][0] for name in names], [at[name][1] for name in names])


def _told(tick: float, value: float | None = None) -> Line:
    return command(COMMANDS, START + round(tick * PERIOD) + 3_000_000,
                   [0.1 * tick if value is None else value])


def _reasons(recording: Recording) -> dict[str, int]:
    return dict(recording.account.dropped)


def test_a_robots_own_recording(tmp_path):
    lines = [_measured(i) for i in range(40)] + [_told(i) for i in range(40)]
    found = _read(record(tmp_path / 'bag', lines))
    # The first step would need the command before the first measurement.
    assert len(found.transitions) == 38 and _reasons(found) == {NO_COMMAND: 1}
    for i, one in enumerate(found.transitions, 1):
        assert one.action[0] == pytest.approx(0.1 * (i - ROBOT.delay_ticks), abs=1e-12)
        assert one.stamp_ns == START + (i + 1) * PERIOD
        assert one.next_state == pytest.approx(
            [(i + 1) / 20, -(i + 1) / 10, 1.0, -2.0], abs=2e-2)
    assert 'joint_states' in found.account.states and 'held' in found.account.commands


def test_what_cannot_be_used_is_counted_and_never_guessed(tmp_path):
    lines = [_measured(i) for i in range(60) if i not in (10, 20, 21, 22)]
    lines += [_told(i) for i in range(60)]
    lines += [joints(STATES, START + 10 * PERIOD, START + 10 * PERIOD,
                     ('cart_slide', 'pole_hinge'), (np.nan, 0.0), (0.0, 0.0)),
              _measured(30, START + 30 * PERIOD + 1),            # the same stamp again
              _measured(25, START + 40 * PERIOD + 1),            # from the past
              _measured(40.5, names=('cart_slide', 'wheel')),    # a joint is missing
              _measured(41.5, names=('wheel',)),                 # another robot's
              command(COMMANDS, START + 50 * PERIOD + 1, [0.1, 0.2]),
              command(COMMANDS, START + 51 * PERIOD + 4_000_000, [np.nan]),
              command(COMMANDS, START + 53 * PERIOD + 4_000_000, [11.0])]
    found = _read(record(tmp_path / 'bag', lines))
    reasons = _reasons(found)
    assert {key: count for key, count in reasons.items() if key.startswith(STATES)} == {
        f'{STATES}: non-finite': 1, f'{STATES}: duplicated stamp': 1,
        f'{STATES}: backward stamp': 1, f'{STATES}: missing joint pole_hinge': 1,
        f'{STATES}: none of the names of this robot': 1}
    assert {key: count for key, count in reasons.items() if key.startswith(COMMANDS)} == {
        f'{COMMANDS}: wrong length': 1, f'{COMMANDS}: non-finite': 1,
        f'{COMMANDS}: beyond the limits of the actuators': 1}
    assert reasons['gap in the states'] == 2
    # Steps 9-10-11 and 19-20-...-23; after a gap the command before it is not known to hold.
    ticks = {round((one.stamp_ns - START) / PERIOD) for one in found.transitions}
    unknown = {50 + 2, 51 + 2, 53 + 2}  # the tick answered, its effect one later, its end
    assert ticks == set(range(2, 60)) - {10, 11, 12, 20, 21, 22, 23, 24} - unknown
    for one in found.transitions:
        tick = round((one.stamp_ns - START) / PERIOD) - 1
        assert one.action[0] == pytest.approx(0.1 * (tick - ROBOT.delay_ticks), abs=1e-12)


def test_a_sensor_five_times_faster_gives_the_same_steps(tmp_path):
    lines = [_measured(i / 5) for i in range(200)] + [_told(i) for i in range(40)]
    found = _read(record(tmp_path / 'bag', lines))
    assert len(found.transitions) == 38
    assert [one.action[0] for one in found.transitions] == pytest.approx(
        [0.1 * i for i in range(38)], abs=1e-12)
    assert _reasons(found)['states between two ticks, not needed'] == 39 * 4


def test_a_rate_that_does_not_fit_is_refused_and_said(tmp_path):
    lines = [_measured(i / 1.5) for i in range(60)] + [_told(i) for i in range(40)]
    with pytest.raises(RecordingError, match='not one control period apart: [0-9]+'):
        _read(record(tmp_path / 'bag', lines))


def test_commands_are_held_until_the_drivers_time_out(tmp_path):
    lines = [_measured(i) for i in range(40)] + [_told(0, 5.0)]
    path = record(tmp_path / 'bag', lines)
    held = _read(path).transitions
    assert len(held) == 38 and all(one.action[0] == 5.0 for one in held)
    # 0.2 s: the command holds through ticks 0, 1, 2 and to the end of 3; each acts a tick later.
    timed = _read(path, replace(ROBOT, command_timeout_s=0.2))
    assert len(timed.transitions) == 4
    assert _reasons(timed)['ticks after the command timeout of the drivers'] == 36


def test_commands_that_change_within_a_tick_are_not_averaged(tmp_path):
    lines = [_measured(i) for i in range(40)] + [_told(i) for i in range(40)]
    lines += [_told(i + 0.5) for i in (7, 8)]
    found = _read(record(tmp_path / 'bag', lines))
    assert _reasons(found)['ticks in which the command changed more than once'] == 2
    assert len(found.transitions) == 36


def test_a_clock_that_was_set_back_begins_a_further_stretch(tmp_path):
    lines = [_measured(i) for i in range(40)] + [_told(i) for i in range(100)]
    lines += [_measured(i - 35, START + i * PERIOD) for i in range(40, 100)]
    found = _read(record(tmp_path / 'bag', lines))
    reasons = _reasons(found)
    assert reasons[f'{STATES}: backward stamp'] == 19 and reasons[f'{STATES}: clock set back'] == 1
    assert len(found.transitions) == 38 + (41 - 2)
    assert all(abs(one.next_state[0] - one.state[0]) < 0.1 for one in found.transitions)


def test_rates_that_nothing_measures_are_perceptions_to_estimate(tmp_path):
    blind = replace(ROBOT, coordinates=tuple(
        replace(one, rate_noise_std=None) for one in ROBOT.coordinates))
    lines = [_measured(i) for i in range(40)] + [_told(i) for i in range(40)]
    found = _read(record(tmp_path / 'bag', lines), blind)
    assert _reasons(found)['states while the rates were not known yet'] == 5
    assert len(found.transitions) == 34
    assert np.array([one.state[2:] for one in found.transitions[5:]]) == pytest.approx(
        np.tile([1.0, -2.0], (29, 1)), abs=0.1)


@pytest.mark.parametrize('lines, said', [
    ([_measured(0)], r'no topic with commands .*effort_controller/commands.*holds '
                     r'/joint_states \(sensor_msgs/msg/JointState\)'),
    ([_told(0)], r'no topic with states .*perception/state or joint_states'),
    ([command(STATES, START, [1.0])], 'states .* and none with commands'),
    ([_measured(0), joints(COMMANDS, START, START, ['a'], [1.0])], 'of type std_msgs'),
    ([_told(0), *(joints(f'/{robot}/joint_states', START, START, ['a'], [1.0])
                  for robot in 'ab')], '/a/joint_states, /b/joint_states all end with')])
def test_missing_topics_are_named_with_those_that_are_there(tmp_path, lines, said):
    with pytest.raises(RecordingError, match=said):
        _read(record(tmp_path / 'bag', lines))


def test_what_is_no_recording_or_a_torn_one_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(RecordingError, match='cannot be opened.*valid: the folder of a rosbag2'):
        _read(tmp_path / 'nothing')
    (tmp_path / 'a.mcap').write_bytes(b'precious notes')
    with pytest.raises(RecordingError, match='cannot be opened'):
        _read(tmp_path / 'a.mcap')
    write_recording(tmp_path / 'bag', _walk(500, 0), LAYOUT, PERIOD)
    file, = (tmp_path / 'bag').glob('*.mcap')
    whole = file.read_bytes()
    for share in (0.3, 0.6, 0.9, 0.99):
        file.write_bytes(whole[:int(share * len(whole))])
        with pytest.raises(RecordingError):
            _read(tmp_path / 'bag')


def test_a_recording_without_one_usable_state_is_refused_with_counts(tmp_path):
    """It ended in a ValueError."""
    names, nothing = list(ROBOT.joints), [float('nan')] * 2
    lines = [line for at in range(START, START + 5 * PERIOD, PERIOD) for line in (
        joints(STATES, at, at, names, nothing, nothing), command(COMMANDS, at, [0.0]))]
    record(tmp_path / 'bag', lines)
    with pytest.raises(RecordingError, match='no step of it can be learned(.|\n)*: 5'):
        _read(tmp_path / 'bag')


def test_whatever_byte_is_damaged_the_recording_is_read_or_refused(tmp_path):
    """Lengths that no longer fit came as a dozen kinds of errors of the library."""
    write_recording(tmp_path / 'bag', _walk(20, 0), LAYOUT, PERIOD)
    file = next((tmp_path / 'bag').glob('*.mcap'))
    whole, draw, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(80):
        damaged = bytearray(whole)
        damaged[draw.integers(len(whole))] = draw.integers(256)
        file.write_bytes(bytes(damaged)[:draw.integers(1, 2 * len(whole))])
        try:
            assert len(_read(tmp_path / 'bag').transitions) <= 20
        except RecordingError as error:
            refused += 1
            assert 'bag' in str(error)
    assert 20 < refused < 80
