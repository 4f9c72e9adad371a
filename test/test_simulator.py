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


"""Laws of the PyBullet robot: published dynamics, delay, noise, determinism, hard ends."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import cos, pi, sin

import numpy as np
import pytest

from hlai_control.errors import SettingsError, SignalError
from hlai_control.robots.manifest import load_robot, RobotManifest
from hlai_control.robots.simulator import Simulator

MASS_CART, MASS_POLE, LENGTH, FRICTION, GRAVITY = 0.5, 0.5, 0.5, 0.1, 9.81


@pytest.fixture(name='make')
def _make() -> Iterator[Callable[..., Simulator]]:
    made = []

    def build(seed: int = 0, manifest: RobotManifest | None = None) -> Simulator:
        made.append(Simulator(manifest or load_robot('cartpole'), seed))
        return made[-1]

    yield build
    for simulator in made:
        simulator.close()


def _rates(s, u, friction=FRICTION, payload=0.0):
    """
    Equations of motion of PILCO (Deisenroth 2010, appendix C.2), theta = 0 hanging.

    With a payload the general form for a pole of mass m, centre at c and
    inertia J about it; without one it equals the published one, checked below.
    """
    _, v, theta, w = s
    m, c = MASS_POLE + payload, LENGTH / 2
    inertia = MASS_POLE * LENGTH ** 2 / 12 + m * c * c
    total = MASS_CART + m
    force = u - friction * v + m * c * w * w * sin(theta)
    det = total * inertia - (m * c * cos(theta)) ** 2
    torque = -m * GRAVITY * c * sin(theta)
    return np.array([v, (inertia * force - m * c * cos(theta) * torque) / det,
                     w, (total * torque - m * c * cos(theta) * force) / det])


def _published(s, u):
    _, v, theta, w = s
    mc, m, length, g = MASS_CART, MASS_POLE, LENGTH, GRAVITY
    f = u - FRICTION * v
    below = 4 * (mc + m) - 3 * m * cos(theta) ** 2
    return np.array([
        v, (2 * m * length * w * w * sin(theta) + 3 * m * g * sin(theta) * cos(theta) + 4 * f)
        / below,
        w, (-3 * m * length * w * w * sin(theta) * cos(theta) - 6 * (mc + m) * g * sin(theta)
            - 6 * f * cos(theta)) / (length * below)])


def integrate(s, u, rates, duration_s=0.05, steps=100):
    """Integrate with classical Runge-Kutta; its own error is below 1e-9 here."""
    h = duration_s / steps
    for _ in range(steps):
        k1 = rates(s, u)
        k2 = rates(s + h / 2 * k1, u)
        k3 = rates(s + h / 2 * k2, u)
        k4 = rates(s + h * k3, u)
        s = s + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return s


def _true(simulator: Simulator) -> np.ndarray:
    now = simulator.measure()
    return np.array([now.true_position[0], now.true_velocity[0],
                     now.true_position[1], now.true_velocity[1]])


def _largest_error(simulator, rates, commands):
    simulator.delay_ticks = 0
    expected, errors = _true(simulator), []
    for u in commands:
        simulator.step([u])
        expected = integrate(expected, u, rates)
        errors.append(np.abs(_true(simulator) - expected))
    return np.max(errors, axis=0)


def test_the_plant_is_the_published_one(make):
    """Within a tenth of the sensor noise over 1 s (20 ticks) of random force of +-10 N."""
    for seed in range(3):
        commands = np.random.default_rng(seed).uniform(-10.0, 10.0, 20)
        error = _largest_error(make(), _published, commands)
        # Measured: at most 2.6e-4 m, 9e-4 m/s, 1.6e-3 rad, 6e-3 rad/s.
        assert (error < [5e-4, 2e-3, 3e-3, 1.2e-2]).all(), error


def test_the_general_equations_contain_the_published_ones():
    state, u = np.array([0.3, -1.2, 2.1, 4.0]), 3.0
    assert _rates(state, u) == pytest.approx(_published(state, u), rel=1e-12)


def test_payload_and_friction_change_the_plant_while_it_runs(make):
    simulator = make()
    simulator.payload_kg, simulator.friction_scale = 0.4, 5.0
    commands = np.random.default_rng(5).uniform(-10.0, 10.0, 20)
    error = _largest_error(
        simulator, lambda s, u: _rates(s, u, friction=0.5, payload=0.4), commands)
    assert (error < [5e-4, 2e-3, 3e-3, 1.2e-2]).all(), error
    simulator.payload_kg, simulator.friction_scale = 0.0, 1.0
    error = _largest_error(simulator, _published, commands)
    assert (error < [1e-3, 6e-3, 6e-3, 3e-2]).all(), error


def _energy(s: np.ndarray) -> float:
    _, v, theta, w = s
    return (0.5 * (MASS_CART + MASS_POLE) * v * v
            + 0.5 * MASS_POLE * LENGTH * v * w * cos(theta)
            + MASS_POLE * LENGTH ** 2 * w * w / 6
            - MASS_POLE * GRAVITY * LENGTH / 2 * cos(theta))


def test_energy_is_kept_without_friction(make):
    simulator = make()
    simulator.friction_scale = 0.0
    simulator.reset(0, initial=(0.0, 2.0))
    start = _energy(_true(simulator))
    above_rest = start + MASS_POLE * GRAVITY * LENGTH / 2
    for _ in range(100):
        simulator.step([0.0])
    # 5 s of free swinging; semi-implicit Euler at 0.2 ms loses some 0.4 %.
    assert abs(_energy(_true(simulator)) - start) < 0.01 * above_rest


def test_friction_takes_energy(make):
    simulator = make()
    simulator.reset(0, initial=(0.0, 2.0))
    start = _energy(_true(simulator))
    for _ in range(100):
        simulator.step([0.0])
    assert _energy(_true(simulator)) < start - 0.02


def test_it_rests_hanging_and_balances_upright(make):
    simulator = make()
    for _ in range(20):
        simulator.step([0.0])
    assert _true(simulator) == pytest.approx([0, 0, 0, 0], abs=1e-12)
    simulator.reset(0, initial=(0.0, pi))
    simulator.step([0.0])
    assert _true(simulator) == pytest.approx([0, 0, pi, 0], abs=1e-9)


def test_the_angle_counts_whole_turns(make):
    simulator = make()
    simulator.reset(0, initial=(0.0, 3.0 * pi + 0.5))
    assert simulator.measure().true_position[1] == pytest.approx(3.0 * pi + 0.5)


@pytest.mark.parametrize('delay', [0, 1, 2, 5])
def test_a_command_acts_exactly_delay_ticks_later(make, delay):
    simulator = make()
    simulator.delay_ticks = delay
    given = [float(k + 1) for k in range(8)]
    acted = []
    for u in given:
        simulator.step([u])
        acted.append(simulator.measure().effort[0])
    assert acted == ([0.0] * delay + given)[:8]


def test_the_delay_may_change_while_it_runs(make):
    simulator = make()
    acted = []
    for k, delay in enumerate([1, 1, 1, 3, 3, 0, 0]):
        simulator.delay_ticks = delay
        simulator.step([float(k + 1)])
        acted.append(simulator.measure().effort[0])
    # Tick k, delay d: command k - d, here numbered from 1.
    assert acted == [0.0, 1.0, 2.0, 1.0, 2.0, 6.0, 7.0]


def _run(simulator: Simulator, ticks: int = 60) -> bytes:
    commands = np.random.default_rng(11).uniform(-10.0, 10.0, ticks)
    trace = [simulator.measure()]
    for u in commands:
        simulator.step([u])
        trace.append(simulator.measure())
    return b''.join(np.concatenate([m.position, m.velocity, m.true_position, m.true_velocity])
                    .tobytes() for m in trace)


def test_same_seed_same_bits_alone_after_a_reset_and_beside_others(make):
    alone = _run(make(seed=-3))
    again = make(seed=8)
    assert _run(again) != alone
    again.reset(-3)
    other = make(seed=1)
    for _ in range(7):
        other.step([10.0])
    assert _run(again) == alone


def test_two_simulators_do_not_meet(make):
    first, second = make(), make()
    for _ in range(5):
        first.step([10.0])
    assert _true(second) == pytest.approx([0, 0, 0, 0], abs=0.0)
    assert _true(first)[0] > 0.1


@pytest.mark.parametrize('force', [10.0, -10.0])
def test_the_ends_of_the_rail_are_hard(make, force):
    simulator = make()
    side = np.sign(force)
    reached, before, rebound = 0.0, 0.0, 0.0
    for _ in range(80):
        simulator.step([force])
        x, v = _true(simulator)[:2]
        reached = max(reached, side * x)
        if side * x < 1.99:
            before = max(before, side * v)
        rebound = max(rebound, -side * v)
    assert before > 3.0
    assert 1.99 < reached < 2.0 + 2e-3  # one physics step beyond at most
    assert rebound < 0.2 * before       # restitution: at most Bullet's 0.2


def test_noise_has_the_stated_spread_and_is_white(make):
    simulator = make(seed=4)
    noise = []
    for _ in range(2000):
        simulator.step([0.0])
        now = simulator.measure()
        noise.append(np.concatenate([now.position - now.true_position,
                                     now.velocity - now.true_velocity]))
    samples = np.array(noise)
    # Of 2000 samples: std within 5 sigma of its own error, 0.01 / sqrt(4000).
    assert np.abs(samples.std(axis=0) - 0.01).max() < 8e-4
    assert np.abs(samples.mean(axis=0)).max() < 1.2e-3
    lagged = (samples[1:] * samples[:-1]).mean(axis=0) / samples.var(axis=0)
    assert np.abs(lagged).max() < 0.12


def test_noise_scale_changes_live_without_changing_the_sequence(make):
    loud, quiet = make(seed=2), make(seed=2)
    loud.noise_scale, quiet.noise_scale = 2.0, 0.0
    loud.step([1.0])
    quiet.step([1.0])
    assert quiet.measure().position.tolist() == quiet.measure().true_position.tolist()
    loud.noise_scale = 1.0
    quiet.noise_scale = 1.0
    loud.step([1.0])
    quiet.step([1.0])
    assert loud.measure().position.tolist() == quiet.measure().position.tolist()


def test_what_no_sensor_measures_is_nan(make):
    robot = load_robot('cartpole')
    pole = replace(robot.coordinates[1], rate_noise_std=None)
    simulator = make(manifest=replace(robot, coordinates=(robot.coordinates[0], pole)))
    simulator.step([1.0])
    assert np.isnan(simulator.measure().velocity[1])
    assert np.isfinite(simulator.measure().true_velocity).all()


@pytest.mark.parametrize('interface', ['velocity', 'position'])
def test_velocity_and_position_interfaces_follow_their_command(make, interface):
    robot = load_robot('cartpole')
    drive = replace(robot.actuators[0], interface=interface)
    simulator = make(manifest=replace(robot, actuators=(drive,)))
    for _ in range(100):
        simulator.step([0.4])
    x, v = _true(simulator)[:2]
    # Loose: the pole goes on swinging and pulls at Bullet's motor.
    assert (v if interface == 'velocity' else x) == pytest.approx(0.4, abs=0.1)


def test_commands_are_clamped_and_bad_ones_refused(make):
    simulator = make()
    simulator.delay_ticks = 0
    simulator.step([1e9])
    assert simulator.measure().effort[0] == 10.0
    for bad in ([float('nan')], [float('inf')]):
        with pytest.raises(SignalError, match='non-finite'):
            simulator.step(bad)
    for bad in ([], [1.0, 2.0]):
        with pytest.raises(SignalError, match='wrong length'):
            simulator.step(bad)


@pytest.mark.parametrize(('name', 'value'), [
    ('delay_ticks', -1), ('delay_ticks', 65), ('noise_scale', -0.1), ('noise_scale', np.nan),
    ('payload_kg', np.inf), ('friction_scale', -1.0)])
def test_wrong_settings_are_refused(make, name, value):
    simulator = make()
    with pytest.raises(SettingsError, match=name):
        setattr(simulator, name, value)
    with pytest.raises(SettingsError, match='initial'):
        simulator.reset(0, initial=(0.0,))
