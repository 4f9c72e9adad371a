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

"""The smoother: least squares where all is linear, as sure as it may be where it is not."""

from dataclasses import replace
from math import nan, pi, sin

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap
from toys import CARTPOLE, MASS

from hlai_control.errors import ShapeError
from hlai_control.perception.modelled import ModelEstimator
from hlai_control.perception.smoother import Smoother
from hlai_control.protocols import Estimator
from hlai_control.settings import PerceptionSettings

BLIND_MASS = replace(MASS, noise_std=(0.01, nan))
BLIND_CARTPOLE = replace(CARTPOLE, noise_std=(0.01, 0.01, nan, nan))
PENDULUM = replace(MASS, positions=('angle',), angle=(True,), period_s=0.05,
                   noise_std=(0.01, nan), action_low=(-1.0,), action_high=(1.0,))
DT = PENDULUM.period_s


class Known:
    """A known step of one coordinate, differentiated by autograd."""

    members, latent_size = 1, 0

    def __init__(self, acceleration, dt: float) -> None:
        self.acceleration, self.dt = acceleration, dt

    def one(self, state, action):
        gained = self.dt * self.acceleration(state, action)
        return torch.stack([state[0] + self.dt * (state[1] + 0.5 * gained), state[1] + gained])

    def step(self, state, action, z=None):
        return vmap(self.one)(state[0], action).unsqueeze(0)

    def whole(self, like, count):
        return True

    def follow(self, *given):
        raise NotImplementedError

    def linearise(self, states, actions):
        found = vmap(jacrev(self.one, argnums=(0, 1)))(states[0], actions)
        return torch.cat(found, dim=-1).unsqueeze(0)


def swinging(state, action):
    return -9.81 * torch.sin(state[0]) + 3.0 * action[0]


def run_pendulum(seed: int, ticks: int, std: float, hit_at: int = -1):
    """Return true states, measurements and commands of a pendulum that is pushed at random."""
    draw = np.random.default_rng(seed)
    state, states, actions = np.array([0.0, 6.0]), [], []
    for tick in range(ticks):
        states.append(state)
        action = draw.uniform(-1.0, 1.0, 1)
        gained = DT * (-9.81 * sin(state[0]) + 3.0 * action[0] + std * draw.normal()
                       + (tick == hit_at) * -160.0)
        state = state + np.array([DT * (state[1] + 0.5 * gained), gained])
        actions.append(action)
    measured = np.full((ticks, 2), nan)
    wrapped = np.array(states)[:, 0] + 0.01 * draw.normal(size=ticks)
    measured[:, 0] = (wrapped + pi) % (2 * pi) - pi
    return np.array(states), measured, np.array(actions)


def smoothed(measured, actions, window: int = 1000, dynamics=None, layout=PENDULUM):
    smoother = Smoother(layout, PerceptionSettings(), window)
    for k, values in enumerate(measured):
        smoother.push(values, actions[k - 1] if k else None)
        smoother.revise(dynamics)
    return smoother


def at_once(measured, actions, dynamics):
    """Take all measurements first, then find all states until nothing changes any more."""
    smoother = Smoother(PENDULUM, PerceptionSettings(), len(measured))
    for k, values in enumerate(measured):
        smoother.push(values, actions[k - 1] if k else None)
    for _ in range(12):
        path = smoother.revise(dynamics)
    return path


def least_squares(measured: np.ndarray, rate_std: float, acceleration_std: float):
    """Solve for all states of a mass at once: priors, motions and measurements as rows."""
    count, dt = len(measured), MASS.period_s
    step = np.array([[1.0, dt], [0.0, 1.0]])
    # The noise of a step has one dimension: solved for, instead of the states it leads to.
    size = 2 + count - 1
    to_state = np.zeros((count, 2, size))
    to_state[0, :, :2] = np.eye(2)
    for k in range(1, count):
        to_state[k] = step @ to_state[k - 1]
        to_state[k, :, 1 + k] += np.array([0.5 * dt * dt, dt])
    prior = np.diag(np.r_[1e-6, rate_std ** -2, np.full(count - 1, acceleration_std ** -2)])
    seen = np.isfinite(measured)
    rows = to_state[seen, 0]
    spread = np.linalg.inv(prior + rows.T @ rows / 1e-4)
    found = spread @ rows.T @ measured[seen] / 1e-4
    return (to_state @ found,
            np.sqrt(np.einsum('kij,jl,kil->ki', to_state, spread, to_state)))


def test_linear_states_are_the_least_squares_ones_with_their_spread():
    draw = np.random.default_rng(0)
    measured = np.full((12, 2), nan)
    measured[:, 0] = 0.1 * np.cumsum(draw.normal(size=12))
    measured[4, 0] = nan
    settings = PerceptionSettings(acceleration_std=30.0, rate_std=10.0)
    smoother = Smoother(BLIND_MASS, settings, 100)
    for k, values in enumerate(measured):
        smoother.push(values, np.zeros(1) if k else None)
        path = smoother.revise(None)
        if k < 2:
            continue
        mean, std = least_squares(measured[:k + 1, 0], 10.0, 30.0)
        assert np.all(path.raised == 1.0)
        # The last one is the filter's, the others are the smoother's.
        np.testing.assert_allclose(path.mean, mean, rtol=0.0, atol=1e-8)
        np.testing.assert_allclose(path.std, std, rtol=0.0, atol=1e-8)


def test_what_leaves_the_window_still_counts():
    draw = np.random.default_rng(1)
    measured = np.full((30, 2), nan)
    measured[:, 0] = 0.01 * np.cumsum(np.cumsum(draw.normal(size=30)))
    actions = np.zeros((30, 1))
    short = smoothed(measured, actions, 5, layout=BLIND_MASS)
    whole = smoothed(measured, actions, 100, layout=BLIND_MASS)
    assert len(short) == len(short.path.mean) == 5 and len(short.actions) == 4
    np.testing.assert_allclose(short.path.mean, whole.path.mean[-5:], rtol=0.0, atol=1e-8)
    np.testing.assert_allclose(short.path.std, whole.path.std[-5:], rtol=0.0, atol=1e-8)


def test_errors_are_as_large_as_they_are_said_to_be():
    # On a pendulum, with the world model known: normalised errors squared, of 40 runs at
    # their 60th tick, are chi-square of 2 degrees each; 99.9 % of their sums of 80 are within.
    last, middle = 0.0, 0.0
    for seed in range(40):
        states, measured, actions = run_pendulum(seed, 60, 2.5)
        path = at_once(measured, actions, Known(swinging, DT))
        off = path.mean - states
        last += float(np.square(off[-1] / path.std[-1])[0])
        middle += float(np.square(off[30] / path.std[30])[1])
    # One coordinate each, so that they are independent: 40 degrees, 17.9 .. 73.4.
    assert 17.9 < last < 73.4 and 17.9 < middle < 73.4


def test_a_world_model_halves_the_error_at_least():
    def error(dynamics) -> float:
        found = []
        for seed in range(5):
            states, measured, actions = run_pendulum(seed, 80, 0.1)
            path = at_once(measured, actions, dynamics)
            found.append(np.sqrt(np.mean((path.mean - states)[20:, 1] ** 2)))
        return float(np.mean(found))
    assert error(Known(swinging, DT)) < 0.5 * error(None)


def test_a_wrong_world_model_is_not_used():
    states, measured, actions = run_pendulum(3, 80, 0.1)
    wrong = Known(lambda state, action: 400.0 * torch.cos(3.0 * state[0]), DT)
    found, without = (at_once(measured, actions, one) for one in (wrong, None))
    assert np.array_equal(found.mean, without.mean)
    broken = Known(lambda state, action: state[0] * nan, DT)
    found = at_once(measured, actions, broken)
    assert np.array_equal(found.mean, without.mean)


def test_angles_go_on_through_whole_turns():
    turning = np.full((100, 2), nan)
    angles = 0.4 * np.arange(100)
    turning[:, 0] = (angles + pi) % (2 * pi) - pi
    path = smoothed(turning, np.zeros((100, 1))).path
    assert path.mean[:, 0] == pytest.approx(angles, abs=1e-3)
    assert path.mean[5:, 1] == pytest.approx(8.0, abs=0.05)


@pytest.mark.parametrize('known', [False, True])
def test_a_hit_is_seen_and_over_in_three_ticks(known):
    states, measured, actions = run_pendulum(5, 80, 0.1, hit_at=50)
    assert abs(states[51, 1] - states[50, 1]) > 7.0
    smoother = smoothed(measured, actions, dynamics=Known(swinging, DT) if known else None)
    off = smoother.path.mean - states
    # Without a world model such accelerations are expected.
    assert (smoother.path.raised.max() > 1.0) == known
    assert np.isfinite(off).all() and np.abs(off[54:, 1]).max() < 1.0
    assert np.abs(off[54:, 0]).max() < 0.03


def test_many_hits_and_long_silence_leave_numbers():
    states, measured, actions = run_pendulum(6, 200, 400.0)
    measured[60:100] = nan
    path = smoothed(measured, actions, 60, dynamics=Known(swinging, DT)).path
    assert np.isfinite(path.mean).all() and np.isfinite(path.std).all()


def test_equal_inputs_give_equal_outputs_to_the_last_bit():
    _, measured, actions = run_pendulum(7, 50, 1.0)
    one, other = (smoothed(measured, actions, 20, Known(swinging, DT)) for _ in range(2))
    assert np.array_equal(one.path.mean, other.path.mean)
    assert np.array_equal(one.path.std, other.path.std)


def test_estimator_fills_in_what_is_not_measured():
    estimator = ModelEstimator(BLIND_CARTPOLE, PerceptionSettings())
    assert isinstance(estimator, Estimator)
    for tick in range(40):
        if tick:
            estimator.predict(torch.zeros(1))
        place = nan if tick == 30 else 0.05 * tick
        estimate = estimator.correct(torch.tensor([place, 0.0, nan, nan]))
    assert float(estimate.mean[2]) == pytest.approx(1.0, abs=0.1)
    wide = estimator.predict()
    assert float(wide.mean[0]) == pytest.approx(0.05 * 40, abs=0.02)
    assert bool((wide.std > estimate.std).all())
    estimator.reset()
    assert float(estimator.correct(torch.tensor([3.0, 0.0, nan, nan])).mean[0]) == pytest.approx(
        3.0)
    with pytest.raises(ShapeError, match='valid: \\(4,\\)'):
        estimator.correct(torch.zeros(2))
