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


"""What robots' controllers take: points of trajectories, messages, and what a manifest may say."""

from math import nan

from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from hlai_control.errors import DocumentError, SignalError
from hlai_control.resources import robot_path
from hlai_control.robots.hardware import Controller, Reference, Streaming, without_guard
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.wire import make_wire

SPAN_S, PERIOD_S = 0.1, 0.04
TRAJECTORY = 'controller: {kind: joint_trajectory, time_from_start_s: 0.1, end_velocity: %s}\n'


def streaming(is_position: bool = False, accepted: bool = False) -> Streaming:
    one = np.ones(1)
    return Streaming(Controller('joint_trajectory', SPAN_S, accepted), is_position,
                     -2.0 * one, 2.0 * one, one)


def robot(tmp_path, name: str = 'arm7', entry: str = '', **replaced: str):
    text = robot_path(name).read_text(encoding='utf-8')
    for old, new in replaced.items():
        text = text.replace(f'interface: {old}', f'interface: {new}')
    text = text.replace(f'urdf: {name}.urdf', f'urdf: {robot_path(name).parent}/{name}.urdf')
    (tmp_path / 'robot.yaml').write_text(text + entry, encoding='utf-8')
    return load_robot(str(tmp_path / 'robot.yaml'))


def test_a_constant_speed_is_kept_and_zero_stops_at_once():
    way, before, place = streaming(accepted=True), None, 0.0
    for tick in range(20):
        point, before = way.point([0.5], [place], PERIOD_S, before)
        place = 0.5 * PERIOD_S * tick  # drives that follow the points
        assert point.positions[0] == pytest.approx(place + 0.5 * SPAN_S)
        assert point.velocities[0] == pytest.approx(0.5)
    for _ in range(3):
        point, before = way.point([0.0], [place], PERIOD_S, before)
        assert point.positions[0] == pytest.approx(0.5 * PERIOD_S * 20)
        assert point.velocities == (0.0,)


def test_a_load_does_not_make_it_creep():
    way, before = streaming(), None
    places = []
    for _ in range(50):
        sagging = 0.1 if before is None else before.positions[0] - 0.02
        point, before = way.point([0.0], [sagging], PERIOD_S, before)
        places.append(point.positions[0])
    assert places == [0.1] * 50


def test_positions_go_to_where_they_are_told():
    for accepted, passed in ((True, 2.0), (False, 0.0)):
        point, _ = streaming(True, accepted).point([0.7], [0.5], PERIOD_S, None)
        assert point.positions == (0.7,) and point.velocities[0] == pytest.approx(passed)


def test_nothing_is_said_before_the_robot_has_told_where_it_is():
    assert streaming().point([0.5], [nan], PERIOD_S, None) is None
    told = Reference(np.array([0.3]), np.array([0.0]))
    point, _ = streaming().point([0.5], [nan], PERIOD_S, told)
    assert point.positions[0] == pytest.approx(0.35)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(-1.0, 1.0), st.floats(-2.0, 2.0) | st.just(nan),
                          st.floats(-1.0, 10.0)), min_size=1, max_size=30))
def test_points_stay_within_the_range_and_near_the_joint(ticks):
    way, before = streaming(), Reference(np.zeros(1), np.zeros(1))
    for command, place, elapsed_s in ticks:
        point, before = way.point([command], [place], elapsed_s, before)
        assert abs(point.positions[0]) <= 2.0 and point.velocities == (0.0,)
        assert abs(before.velocities[0]) <= abs(command) + 1e-12
        if not np.isnan(place):
            assert abs(point.positions[0] - place) <= 4.0 * SPAN_S + 1e-9


@pytest.mark.parametrize('entry', ['', 'controller: {kind: forward}\n',
                                   'controller: {kind: joint_state}\n', TRAJECTORY % 'zero',
                                   TRAJECTORY % 'accepted'])
def test_what_is_sent_is_what_a_simulated_controller_reads(tmp_path, entry):
    manifest = robot(tmp_path, entry=entry)
    wire, places = make_wire(manifest), list(manifest.simulation.initial)
    values = tuple(0.1 * (i - 3) for i in range(len(manifest.actuators)))
    message = wire.encode(values, places, manifest.period_s, Time())
    assert isinstance(message, wire.message)
    assert wire.decode(message, places) == pytest.approx(values)


@pytest.mark.parametrize('entry', ['controller: {kind: forward}\n',
                                   'controller: {kind: joint_state}\n', TRAJECTORY % 'zero'])
def test_what_a_controller_refuses_is_refused(tmp_path, entry):
    manifest = robot(tmp_path, entry=entry)
    wire, places = make_wire(manifest), list(manifest.simulation.initial)
    for wrong in (places[:3], [*places[:6], nan]):
        with pytest.raises((SignalError, ValueError)):
            made = wire.encode(wrong, places, manifest.period_s, Time())
            wire.decode(made, places)


@pytest.mark.parametrize('name, entry, line', [
    ('arm7', 'controller: {kind: trajectory}\n', 'one of forward, joint_state, joint_trajectory'),
    ('arm7', 'controller: {kind: joint_trajectory}\n', 'time_from_start_s'),
    ('arm7', 'controller: {kind: joint_state, end_velocity: zero}\n', 'end_velocity'),
    ('arm7', (TRAJECTORY % 'zero').replace('0.1', '0.01'), '0.04'),
    ('cartpole', TRAJECTORY % 'zero', 'no efforts')])
def test_wrong_entries_are_refused(tmp_path, name, entry, line):
    with pytest.raises(DocumentError, match=line):
        robot(tmp_path, name, entry)


def test_a_trajectory_ends_by_itself_whoever_is_dead(tmp_path):
    trajectory = robot(tmp_path, entry=TRAJECTORY % 'zero').controller
    assert '0.1 s' in without_guard(trajectory, None)
    assert 'for ever' in without_guard(Controller(), None)
    assert '0.2 s' in without_guard(Controller(), 0.2)
