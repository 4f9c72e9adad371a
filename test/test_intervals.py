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
from hlai_control.settings import WorldModelSettings
from hlai_control.types import generator, Transition
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.forecasts import Forecasts
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


def test_forecasts_are_of_what_was_known_then_and_reach_their_level():
    settings, random = WorldModelSettings(members=2, hidden=8), torch.Generator().manual_seed(3)
    forecasts, judged = Forecasts(LAYOUT, settings, seed=1), []
    assert forecasts.every == 2  # of 20 periods per second
    # Untrained it coasts: q' = q + 0.05 w, and takes itself for very uncertain.
    model = EnsembleDynamics(LAYOUT, settings, generator(0, 'test')).export()
    state = torch.zeros(2)
    for number in range(1200):
        if number == 10:
            forecasts.put(model)
        kick = 0.02 * torch.randn(2, generator=random)
        ahead = torch.stack([state[0] + 0.05 * state[1], 0.5 * state[1]]) + kick
        step = Transition(state, torch.zeros(1), ahead)
        state = ahead
        judged.append(forecasts.observe(step))
    found = [one for one in judged if one is not None]
    # The first starts at the first even step with a model, and ends 25 steps later.
    assert all(one is None for one in judged[:34]) and judged[34] is not None
    assert len(found) == (1200 - 34) // 2
    assert (found[-1].coverage - 0.9).abs().max() < 0.05
    assert bool(torch.isfinite(found[-1].half_width).all()) and found[-1].half_width.min() > 0.0
    mean = torch.stack([one.hit.float().mean(dim=1) for one in found]).mean(dim=0)
    assert torch.allclose(found[-1].coverage, mean, atol=1e-5)
    other = Forecasts(LAYOUT, settings, seed=2)
    other.load(forecasts.export())
    assert torch.equal(other.intervals.scale, forecasts.intervals.scale)
    assert other.judged == len(found)
    forecasts.interrupt()
    assert all(forecasts.observe(step) is None for _ in range(24))
