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

"""The double pendulum's swing-up: by who knows the plant, and by who learns it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from hlai_control.bench.body import Body
from hlai_control.bench.loop import steps
from hlai_control.bench.mind import agent_settings, Mind, MindSettings
from hlai_control.cost.task import load_task
from hlai_control.robots.classical import rows
from hlai_control.robots.double_pole import DoublePole, FollowedSwingUp, SwingSearch, UPRIGHT
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.simulator import Simulator
from hlai_control.robots.trial import trial

ROBOT = load_robot('double_cartpole_50hz')
TASK = load_task('double_swingup', ROBOT)


@pytest.fixture(name='engineer', scope='module')
def _engineer():
    return FollowedSwingUp(ROBOT, 0)


def energy(states):
    """Kinetic and potential energy [J], from where the poles' centres are and move."""
    _, one, bend, speed, spin, turn = states.T
    two, both, m, half = one + bend, spin + turn, 0.5, 0.3
    ahead = speed + 2 * half * spin * np.cos(one), 2 * half * spin * np.sin(one)
    kinetic = 0.5 * m * speed ** 2 + 0.5 * m * 0.03 * (spin ** 2 + both ** 2)
    kinetic += 0.5 * m * ((speed + half * spin * np.cos(one)) ** 2
                          + (half * spin * np.sin(one)) ** 2)
    kinetic += 0.5 * m * ((ahead[0] + half * both * np.cos(two)) ** 2
                          + (ahead[1] + half * both * np.sin(two)) ** 2)
    return kinetic - m * 9.81 * (3 * half * np.cos(one) + half * np.cos(two))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-4.0, 4.0), min_size=6, max_size=6), st.floats(-20.0, 20.0))
def test_energy_changes_by_the_work_of_force_and_friction(state, force):
    plant, states = DoublePole(), np.array([state])
    flow, size = plant.derivative(states, np.array([force])), 1e-6
    gained = (energy(states + size * flow) - energy(states - size * flow)) / (2.0 * size)
    power = (force - plant.FRICTION * state[3]) * state[3]
    assert gained[0] == pytest.approx(power, rel=1e-5, abs=1e-5)


def test_the_plant_is_the_simulated_robots():
    simulator, plant = Simulator(ROBOT, 0), DoublePole()
    states = np.zeros((1, 6))
    try:
        for force in np.random.default_rng(1).uniform(-20.0, 20.0, 25):
            simulator.step([force])
            states = plant.ahead(states, np.array([force]), ROBOT.period_s)
        now = simulator.measure()
    finally:
        simulator.close()
    found = np.concatenate([now.true_position, now.true_velocity])
    # After half a second: the physics step is of first order.
    assert np.abs(found - states[0]).max() < 1e-2, (found, states)


def test_slopes_predict_small_changes():
    plant, draw = DoublePole(), np.random.default_rng(2)
    states, forces = draw.normal(size=(5, 6)), draw.normal(size=5)
    a, b = plant.slopes(states, forces, 0.02)
    change, push = 1e-4 * draw.normal(size=(5, 6)), 1e-4 * draw.normal(size=5)
    moved = plant.ahead(states + change, forces + push, 0.02) - plant.ahead(states, forces, 0.02)
    expected = np.einsum('tij,tj->ti', a, change) + b * push[:, None]
    np.testing.assert_allclose(moved, expected, atol=1e-7)


def test_the_motion_obeys_the_plant_within_the_limits_and_ends_upright(engineer):
    swing = engineer.swing
    ends = DoublePole().ahead(swing.states[:-1], swing.forces, ROBOT.period_s)
    np.testing.assert_allclose(ends, swing.states[1:], atol=1e-9)
    assert np.abs(swing.forces).max() <= 18.0 and np.abs(swing.states[:, 0]).max() < 2.0
    assert swing.states[0].tolist() == [0.0] * 6
    assert np.abs(swing.states[-1] - UPRIGHT).max() < 0.2


def test_the_search_with_less_force_finds_nothing_better(engineer):
    weak = SwingSearch(DoublePole(), ROBOT.period_s, 4.0).find()
    assert np.abs(weak.forces).max() <= 4.0
    assert weak.energy > engineer.swing.energy


def test_the_regulator_about_upright_is_stable_and_solves_its_riccati_equation(engineer):
    a, b = DoublePole().slopes(UPRIGHT[None], np.zeros(1), ROBOT.period_s)
    closed = a[0] - np.outer(b[0], engineer.gain)
    assert np.abs(np.linalg.eigvals(a[0])).max() > 1.05
    assert np.abs(np.linalg.eigvals(closed)).max() < 1.0
    p, weights = engineer.curve, np.diag([2.0, 10.0, 10.0, 0.2, 0.2, 0.2])
    right = weights + 0.05 * np.outer(engineer.gain, engineer.gain) + closed.T @ p @ closed
    np.testing.assert_allclose(p, right, rtol=1e-6)


def test_the_engineers_row_swings_up_and_balances():
    assert [name for name, _ in rows(ROBOT.name, TASK.name)] == [
        'do nothing', 'random', 'classical']
    found = trial(ROBOT, TASK, FollowedSwingUp, 0, 8.0)
    assert found.solved_at_s is not None and found.solved_at_s < 4.0


def test_the_agent_gets_there_from_nothing():
    # As the task says but for the time it must be held: seconds of computing.
    short = replace(TASK, solved=replace(TASK.solved, hold_s=0.4))
    own = MindSettings(agent=agent_settings(TASK.rooms({})))
    with Body(ROBOT, short, 103) as body:
        for _ in steps(body, Mind(ROBOT, short, 103, own), 12.0):
            if body.solved_at_s is not None:
                break
        assert body.solved_at_s is not None and body.time_s < 8.0
