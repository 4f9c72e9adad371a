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

"""Predictive intervals reach the level they claim, whatever the samples say."""

from math import log

import pytest
import torch

from hlai_control.errors import ShapeError
from hlai_control.layout import Layout
from hlai_control.world_model.intervals import Forecast, forecast, Intervals
from hlai_control.world_model.linear import LinearDynamics

LAYOUT = Layout(
    robot='pole', positions=('angle',), actions=('torque',), period_s=0.05, delay_ticks=0,
    angle=(True,), invariant=(False,), mirror_positions=(-1.0,), mirror_actions=(-1.0,),
    action_low=(-1.0,), action_high=(1.0,), noise_std=(0.01, 0.01))


def test_coverage_reaches_its_level_though_the_samples_are_three_times_too_narrow():
    random = torch.Generator().manual_seed(1)
    intervals, hits = Intervals(LAYOUT, (1, 5), rate=0.05), []
    predicted = Forecast(torch.zeros(2, 2), torch.full((2, 2), 0.1))
    begin = intervals.scale[0, 0].item()
    assert begin == pytest.approx(1.6449, abs=1e-3)  # 95 % quantile of N(0, 1)
    for _ in range(4000):
        outcome = 0.3 * torch.randn(2, 2, generator=random)
        hit = intervals.covers(predicted, intervals.scale, outcome)
        intervals.learn(hit)
        hits.append(hit.float())
    shares = torch.stack(hits).mean(dim=0)
    assert (shares - 0.9).abs().max() < 0.01
    # The sum telescopes: coverage is known from the scales alone.
    drift = torch.log(intervals.scale) - log(begin)
    assert torch.allclose(1.0 - shares, 0.1 + drift / (0.05 * 4000), atol=1e-4)


def test_an_angle_is_as_near_the_long_way_round_and_nan_is_never_covered():
    intervals = Intervals(LAYOUT, (1,))
    predicted = Forecast(torch.tensor([[3.1, 3.1]]), torch.full((1, 2), 0.1))
    hit = intervals.covers(predicted, intervals.scale, torch.tensor([[-3.1, -3.1]]))
    assert hit.tolist() == [[True, False]]
    hit = intervals.covers(predicted, intervals.scale, torch.full((1, 2), float('nan')))
    assert not hit.any()


def test_a_model_without_noise_is_forecast_exactly():
    dynamics = LinearDynamics(torch.tensor([[1.0, 0.5], [0.0, 1.0]]), torch.tensor([[0.0], [1.0]]))
    ahead = forecast(dynamics, torch.zeros(2), torch.ones(3, 1), (1, 3), 2,
                     torch.Generator().manual_seed(0))
    # Rates 1, 2, 3; positions 0, 0.5, 1.5.
    assert torch.allclose(ahead.mean, torch.tensor([[0.0, 1.0], [1.5, 3.0]]))
    assert ahead.std.max() == 0.0
    with pytest.raises(ShapeError, match='horizons'):
        forecast(dynamics, torch.zeros(2), torch.ones(3, 1), (4,), 2, torch.Generator())
