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

"""The packaged robots beside the cart-pole: their plants are the published equations."""

from collections.abc import Callable, Iterator
from math import cos, sin

import numpy as np
import pytest
from test_simulator import integrate

from hlai_control.cost.solved import at_goal
from hlai_control.cost.task import load_task
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.simulator import Simulator

GRAVITY = 9.81
TASKS = (('cartpole', 'swingup'), ('pendulum', 'pendulum_swingup'),
         ('pendulum_gym', 'pendulum_gym'),
         ('double_cartpole', 'double_balance'),
         ('double_cartpole_50hz', 'double_swingup'), ('arm7', 'arm_reach'))


@pytest.fixture(name='make')
def _make() -> Iterator[Callable[[str], Simulator]]:
    made = []

    def build(robot: str) -> Simulator:
        made.append(Simulator(load_robot(robot), 0))
        made[-1].delay_ticks = 0
        return made[-1]

    yield build
    for simulator in made:
        simulator.close()


def pendulum(state, torque):
    """Gym's Pendulum-v1, from hanging: a uniform rod of 1 kg and 1 m about its end."""
    angle, rate = state
    return np.array([rate, 3.0 * torque - 1.5 * GRAVITY * sin(angle)])


def double_cartpole(state, force):
    """
    M(q) q'' = f of cart and two poles, angles against the vertical, by Lagrange.

    Masses m = 0.5 kg each, poles of l = 0.6 m, centres at l / 2, inertia m l^2 / 12,
    friction 0.1 N s/m (Deisenroth 2010, appendix C.3).
    """
    m, length, friction = 0.5, 0.6, 0.1
    _, one, two, v, w1, w2 = state
    half, inertia = length / 2, m * length ** 2 / 12
    first, second = m * half + m * length, m * half  # first moments about each hinge
    across = m * length * half
    mass = np.array([
        [3 * m, first * cos(one), second * cos(two)],
        [first * cos(one), inertia + m * half ** 2 + m * length ** 2, across * cos(one - two)],
        [second * cos(two), across * cos(one - two), inertia + m * half ** 2]])
    push = np.array([
        force - friction * v + first * w1 ** 2 * sin(one) + second * w2 ** 2 * sin(two),
        -first * GRAVITY * sin(one) - across * w2 ** 2 * sin(one - two),
        -second * GRAVITY * sin(two) + across * w1 ** 2 * sin(one - two)])
    return np.concatenate([[v, w1, w2], np.linalg.solve(mass, push)])


def test_the_pendulum_is_gyms(make):
    simulator, state = make('pendulum'), np.zeros(2)
    for torque in np.random.default_rng(0).uniform(-2.0, 2.0, 40):
        simulator.step([torque])
        state = integrate(state, torque, pendulum)
        now = simulator.measure()
        found = np.array([now.true_position[0], now.true_velocity[0]])
        assert np.abs(found - state).max() < 2e-3, (found, state)


def test_the_pendulum_of_gymnasium_has_its_gravity_and_its_top_speed(make):
    simulator, state = make('pendulum_gym'), np.zeros(2)
    assert load_robot('pendulum_gym').delay_ticks == 0
    for torque in np.random.default_rng(0).uniform(-2.0, 2.0, 40):
        simulator.step([torque])
        state = integrate(state, torque, lambda s, u: np.array(
            [s[1], 3.0 * u - 15.0 * sin(s[0])]))
        now = simulator.measure()
        found = np.array([now.true_position[0], now.true_velocity[0]])
        assert np.abs(found - state).max() < 2e-3, (found, state)
    fastest = 0.0
    for _ in range(200):
        simulator.step([2.0 if simulator.measure().true_velocity[0] >= 0.0 else -2.0])
        fastest = max(fastest, abs(simulator.measure().true_velocity[0]))
    assert 7.9 < fastest <= 8.0


def test_the_double_pendulum_is_pilcos(make):
    simulator, state = make('double_cartpole'), np.zeros(6)
    for force in np.random.default_rng(1).uniform(-20.0, 20.0, 12):
        simulator.step([force])
        state = integrate(state, force, double_cartpole)
        now = simulator.measure()
        x, one, bend = now.true_position
        v, w1, turn = now.true_velocity
        found = np.array([x, one, one + bend, v, w1, w1 + turn])
        # Within a few times the sensors' noise, though the motion is chaotic.
        assert np.abs(found - state).max() < 2e-2, (found, state)


def test_the_arm_follows_its_speed_commands_and_stops_at_its_limits(make):
    simulator, manifest = make('arm7'), load_robot('arm7')
    command = np.array([0.4, -0.3, 0.2, 0.3, -0.5, 0.6, 0.7])
    begin = simulator.measure().true_position
    simulator.step(command)
    # Of the first order, with 0.1 s: 1 - exp(-0.04 / 0.1) = 0.330 of the way after one tick,
    # but for what one joint's start does to another's.
    assert simulator.measure().true_velocity == pytest.approx(0.330 * command, abs=0.02)
    for _ in range(24):
        simulator.step(command)
    now = simulator.measure()
    assert now.true_velocity == pytest.approx(command, abs=0.08)
    # After 1 s: what an immediate answer would have made, less 0.1 s of it.
    assert now.true_position - begin == pytest.approx(0.9 * command, abs=0.05)
    high = np.array([item.high for item in manifest.coordinates])
    for _ in range(130):
        simulator.step(np.full(7, 10.0))  # clamped to each actuator's limit
        assert (simulator.measure().true_position <= high + 0.02).all()
    # Bullet's stops throw joints back a little.
    assert (simulator.measure().true_position > high - 0.5).all()


def test_the_arm_hangs_where_a_panda_does(make):
    """Hand and shoulder of the published frames: all joints at zero, hand 0.088 m ahead."""
    import pybullet
    simulator = make('arm7')
    simulator.reset(0, [0.0] * 3 + [-0.0698] + [0.0] * 3)
    frame = pybullet.getLinkState(simulator._body, 6, computeForwardKinematics=True,
                                  physicsClientId=simulator._client)[4]
    # 0.333 + 0.316 up to the elbow, then 0.384 and two offsets of 0.0825, bent by 0.0698.
    bent = 0.0698
    x = 0.0825 - 0.0825 * cos(bent) + 0.384 * sin(bent) + 0.088 * cos(bent)
    z = 0.649 + 0.0825 * sin(bent) + 0.384 * cos(bent) - 0.088 * sin(bent)
    assert frame == pytest.approx((x, 0.0, z), abs=1e-4)


@pytest.mark.parametrize(('robot', 'task'), TASKS)
def test_each_task_is_solved_at_its_goal_and_not_at_the_start(robot, task):
    manifest = load_robot(robot)
    spec = load_task(task, manifest)
    states = manifest.layout.states
    rest = dict.fromkeys(states, 0.0)
    begin = rest | dict(zip(manifest.layout.positions, manifest.simulation.initial, strict=True))
    goal = rest | {target.coordinate: target.value for target in spec.goal}
    assert at_goal(spec.solved, goal) and not at_goal(spec.solved, begin)
