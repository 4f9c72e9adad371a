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

"""Controllers to compare with: the plant they know is the published one, and they keep limits."""

from math import cos, isfinite, pi, sin

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from hlai_control.robots.classical import (
    CartPole,
    DoNothing,
    EnergySwingUp,
    RandomPushes,
    RodSwingUp,
    rows,
)
from hlai_control.robots.manifest import load_robot

ROBOT = load_robot('cartpole')
moderate = st.floats(-10.0, 10.0)
states = st.tuples(st.floats(-2.0, 2.0), moderate, moderate, moderate).map(np.array)


def _lagrange(plant: CartPole, state: np.ndarray, force: float) -> np.ndarray:
    """Solve mass matrix times accelerations = forces, of a cart and a uniform rod."""
    _, angle, speed, spin = state
    arm = plant.pole * plant.length / 2.0  # first moment of the rod about its hinge
    inertia = plant.pole * plant.length ** 2 / 3.0
    mass = np.array([[plant.cart + plant.pole, arm * cos(angle)], [arm * cos(angle), inertia]])
    forces = np.array([force - plant.friction * speed + arm * spin ** 2 * sin(angle),
                       -arm * plant.gravity * sin(angle)])
    return np.array([speed, spin, *np.linalg.solve(mass, forces)])


@settings(deadline=None)
@given(states, st.floats(-10.0, 10.0), st.floats(0.1, 5.0), st.floats(0.1, 5.0),
       st.floats(0.1, 2.0), st.floats(0.0, 1.0))
def test_the_plant_is_lagranges(state, force, cart, pole, length, friction):
    plant = CartPole(cart, pole, length, friction)
    expected = _lagrange(plant, state, force)
    assert plant.derivative(state, force) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_plant_by_hand():
    # m = M = 0.5 kg, l = 0.5 m, b = 0.1: with 10 N at rest, hanging (4 - 1.5 = 2.5 below):
    # x'' = 40 / 2.5 = 16, angle'' = -60 / (0.5 * 2.5) = -48.
    rest = np.zeros(4)
    assert CartPole().derivative(rest, 10.0) == pytest.approx([0.0, 0.0, 16.0, -48.0])
    # Horizontal at rest: no coupling (cos = 0), so angle'' = -3 g / (2 l), a free rod.
    level = np.array([0.0, pi / 2.0, 0.0, 0.0])
    assert CartPole().derivative(level, 0.0) == pytest.approx([0.0, 0.0, 0.0, -29.43], abs=1e-9)


def _energy(plant: CartPole, state: np.ndarray) -> float:
    _, angle, speed, spin = state
    arm = plant.pole * plant.length / 2.0
    return float(0.5 * (plant.cart + plant.pole) * speed ** 2 + arm * cos(angle) * speed * spin
                 + plant.pole * plant.length ** 2 * spin ** 2 / 6.0
                 - arm * plant.gravity * cos(angle))


def test_integration_keeps_energy_and_is_of_fourth_order():
    plant, state = CartPole(friction=0.0), np.array([0.0, 2.5, 1.0, -4.0])
    ends = [plant.ahead(state, 0.0, 1.0, steps) for steps in (50, 100, 200, 3200)]
    assert _energy(plant, ends[-1]) == pytest.approx(_energy(plant, state), abs=1e-8)
    errors = [np.abs(end - ends[-1]).max() for end in ends[:3]]
    # Half the step, a sixteenth of the error, or less.
    assert errors[0] > 14.0 * errors[1] > 14.0 ** 2 * errors[2] > 0.0


def test_doing_nothing_is_zero():
    assert DoNothing(ROBOT, 3).act(np.ones(4)).tolist() == [0.0]


def test_random_pushes_are_uniform_within_limits_and_equal_for_equal_seeds():
    def pushes(seed: int) -> list[float]:
        controller = RandomPushes(ROBOT, seed)
        return [controller.act(np.zeros(4)).item() for _ in range(2000)]

    assert pushes(5) == pushes(5)
    assert pushes(5) != pushes(-5) != pushes(6)
    found = np.array(pushes(2 ** 70))
    assert -10.0 <= found.min() < -9.9 and 9.9 < found.max() <= 10.0
    # Uniform on +-10: mean 0, variance 100 / 3; five standard errors of 2000 draws.
    assert abs(found.mean()) < 5.0 * (100.0 / 3.0 / 2000.0) ** 0.5
    assert found.var() == pytest.approx(100.0 / 3.0, rel=0.1)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-3.0, 3.0), st.floats(-50.0, 50.0), st.floats(-30.0, 30.0),
                          st.floats(-60.0, 60.0)), min_size=1, max_size=5))
def test_the_engineers_controller_keeps_the_limits(sequence):
    controller = EnergySwingUp(ROBOT, 0)
    for state in sequence:
        (force,) = controller.act(np.array(state))
        assert isfinite(force) and -10.0 <= force <= 10.0


def test_its_regulator_is_stable_about_upright():
    controller, plant = EnergySwingUp(ROBOT, 0), CartPole()
    gain, period_s = controller._gain, ROBOT.period_s
    assert gain.shape == (4,)
    state = np.array([0.1, pi - 0.1, 0.0, 0.0])
    for _ in range(200):  # 10 s without delay or noise
        error = state - [0.0, pi, 0.0, 0.0]
        state = plant.ahead(state, float(np.clip(-gain @ error, -10.0, 10.0)), period_s)
    assert np.abs(state - [0.0, pi, 0.0, 0.0]).max() < 1e-3


def test_only_known_robots_and_tasks_have_a_classical_row():
    assert [name for name, _ in rows('cartpole', 'swingup')] == [
        'do nothing', 'random', 'classical']
    assert [name for name, _ in rows('cartpole', 'balance')] == ['do nothing', 'random']


def test_the_gains_of_the_rod_solve_the_riccati_equation():
    rod = RodSwingUp(load_robot('pendulum'), 0)
    lean, spin = rod.gain
    # I a'' = w a + u about upright; the regulator's gains are p12 / I and p22 / I.
    a = np.array([[0.0, 1.0], [rod.weight / rod.inertia, 0.0]])
    b = np.array([[0.0], [1.0 / rod.inertia]])
    p12, p22 = rod.inertia * lean, rod.inertia * spin
    p11 = lean * spin - p22 * a[1, 0]
    p = np.array([[p11, p12], [p12, p22]])
    residual = a.T @ p + p @ a - p @ b @ b.T @ p + np.diag([10.0, 1.0])
    assert np.abs(residual).max() < 1e-9 and np.linalg.eigvalsh(p).min() > 0.0


def test_the_rod_is_pumped_with_all_of_the_torque_and_caught_near_upright():
    rod = RodSwingUp(load_robot('pendulum'), 0)
    assert [float(rod.act(np.array([0.0, spin]))[0]) for spin in (2.0, -2.0)] == [2.0, -2.0]
    # Too fast to stay up: energy is taken out.
    assert float(RodSwingUp(load_robot('pendulum'), 0).act(np.array([pi, 7.0]))[0]) == -2.0
    assert abs(float(RodSwingUp(load_robot('pendulum'), 0).act(np.array([pi, 0.0]))[0])) < 1e-9


def test_rates_without_a_sensor_are_differences():
    seeing, blind = EnergySwingUp(ROBOT, 0), EnergySwingUp(ROBOT, 0)
    nowhere = np.full(2, np.nan)
    assert blind.act(np.r_[0.1, 0.2, nowhere]) == seeing.act(np.array([0.1, 0.2, 0.0, 0.0]))
    assert blind.act(np.r_[0.2, 0.1, nowhere]) == pytest.approx(
        seeing.act(np.array([0.2, 0.1, 2.0, -2.0])))
