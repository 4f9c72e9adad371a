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


"""The estimator: exact on its first measurement, consistent after it, blind to whole turns."""

from dataclasses import replace
from math import nan, pi

import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.errors import ShapeError
from hlai_control.perception.kalman import KalmanEstimator
from hlai_control.protocols import Estimator
from hlai_control.settings import PerceptionSettings


def test_first_measurement_starts_the_belief():
    estimator = KalmanEstimator(CARTPOLE, PerceptionSettings())
    assert isinstance(estimator, Estimator)
    measured = torch.tensor([0.3, -2.0, 1.0, 4.0])
    estimate = estimator.correct(measured)
    torch.testing.assert_close(estimate.mean, measured)
    # sqrt(1e6 * 1e-4 / (1e6 + 1e-4)) = 0.01
    torch.testing.assert_close(estimate.std, torch.full((4,), 0.01), rtol=1e-4, atol=0.0)


def test_prediction_adds_the_expected_acceleration():
    estimator = KalmanEstimator(MASS, PerceptionSettings(acceleration_std=3.0))
    estimator.correct(torch.tensor([1.0, 2.0]))
    estimate = estimator.predict()
    torch.testing.assert_close(estimate.mean, torch.tensor([1.0 + 0.1 * 2.0, 2.0]))
    # Variances: what was known, what an unknown rate adds, and an acceleration of 3 m/s^2.
    torch.testing.assert_close(
        estimate.std.square(), torch.tensor([1e-4 + 1e-6 + 2.25e-4, 1e-4 + 9e-2]),
        rtol=1e-4, atol=0.0)


def test_angle_follows_whole_turns_and_does_not_jump():
    estimator = KalmanEstimator(CARTPOLE, PerceptionSettings())
    for tick in range(100):
        angle = 0.4 * tick
        wrapped = (angle + pi) % (2 * pi) - pi
        if tick:
            estimator.predict()
        estimate = estimator.correct(torch.tensor([0.0, wrapped, 0.0, 8.0]))
        assert float(estimate.mean[1]) == pytest.approx(angle, abs=1e-3)
        assert float(estimate.mean[3]) == pytest.approx(8.0, abs=1e-2)


def test_nan_is_a_coordinate_not_measured():
    estimator = KalmanEstimator(CARTPOLE, PerceptionSettings())
    estimator.correct(torch.tensor([0.0, 0.0, 1.0, 2.0]))
    predicted = estimator.predict()
    estimate = estimator.correct(torch.full((4,), nan))
    torch.testing.assert_close(estimate.mean, predicted.mean)
    torch.testing.assert_close(estimate.std, predicted.std)
    assert torch.isfinite(estimator.correct(torch.tensor([nan, 0.1, nan, 2.0])).mean).all()


def test_rate_without_a_sensor_is_found_from_positions():
    blind = replace(MASS, noise_std=(0.01, nan))
    estimator = KalmanEstimator(blind, PerceptionSettings(acceleration_std=0.1))
    for tick in range(50):
        if tick:
            estimator.predict()
        estimate = estimator.correct(torch.tensor([0.1 * 0.7 * tick, 123.0]))
    assert float(estimate.mean[1]) == pytest.approx(0.7, abs=1e-2)


def test_error_is_as_large_as_its_std_says():
    # On data drawn from the filter's own model the mean of (error / std)^2 is 1.
    draw = torch.Generator().manual_seed(0)
    estimator = KalmanEstimator(MASS, PerceptionSettings(acceleration_std=2.0))
    x, v, ratios = 0.0, 0.0, []
    for _ in range(2000):
        noise = 0.01 * torch.randn(2, generator=draw)
        estimate = estimator.correct(torch.tensor([x, v]) + noise)
        ratios.append(((estimate.mean - torch.tensor([x, v])) / estimate.std).square())
        push = 2.0 * float(torch.randn((), generator=draw))
        x, v = x + 0.1 * v + 0.005 * push, v + 0.1 * push
        estimator.predict()
    # Standard error of the mean of 2000 chi-squares: sqrt(2 / 2000) = 0.03; 4 sigma.
    torch.testing.assert_close(torch.stack(ratios).mean(dim=0), torch.ones(2),
                               rtol=0.0, atol=0.13)


def test_reset_forgets_and_shapes_are_checked():
    estimator = KalmanEstimator(MASS, PerceptionSettings())
    estimator.correct(torch.tensor([5.0, 5.0]))
    estimator.reset()
    torch.testing.assert_close(estimator.correct(torch.tensor([1.0, -1.0])).mean,
                               torch.tensor([1.0, -1.0]))
    with pytest.raises(ShapeError, match='valid: \\(2,\\)'):
        estimator.correct(torch.zeros(4))
