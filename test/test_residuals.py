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

"""The predicted noise: leave-one-out residuals and the likelihood fit."""

import pytest
import torch
from toys import MASS

from hlai_control.learning.crew import Alone
from hlai_control.settings import WorldModelSettings
from hlai_control.types import generator, Transition
from hlai_control.world_model.learner import WorldModelLearner
from hlai_control.world_model.residuals import fitted_noise, left_out, moving_noise


def test_left_out_residuals_are_those_of_regressions_on_all_other_rows():
    draw = torch.Generator().manual_seed(0)
    design = torch.randn(1, 12, 5, generator=draw, dtype=torch.float64)
    aims = torch.randn(1, 12, 1, generator=draw, dtype=torch.float64)
    ridge = 0.03 * torch.eye(5, dtype=torch.float64)

    def fitted(rows, wanted):
        return torch.linalg.solve(rows.mT @ rows + ridge, rows.mT @ wanted)

    factor = torch.linalg.cholesky(design.mT @ design + ridge)
    found = left_out(aims - design @ fitted(design, aims), design, factor)
    for row in range(12):
        others = [i for i in range(12) if i != row]
        unseen = aims[:, row] - design[:, row] @ fitted(design[:, others], aims[:, others])
        assert float(found[0, row, 0]) == pytest.approx(float(unseen), rel=1e-9)


def test_noise_that_depends_on_the_state_is_found():
    draw = torch.Generator().manual_seed(1)
    features = torch.rand(2, 4000, 1, generator=draw)
    truth = torch.exp(-2.0 + 3.0 * features)
    error = truth * torch.randn(2, 4000, 1, generator=draw)
    weight, bias = fitted_noise(features, error, Alone())
    assert weight.shape == (2, 1, 1) and bias.shape == (2, 1, 1)
    torch.testing.assert_close(weight.flatten(), torch.full((2,), 3.0), rtol=0.05, atol=0.0)
    torch.testing.assert_close(bias.flatten(), torch.full((2,), -2.0), rtol=0.05, atol=0.0)


def test_one_wild_row_does_not_decide():
    error = torch.full((1, 200, 1), 0.1)
    error[0, ::2] *= -1.0
    error[0, 0] = 3.0
    _, bias = fitted_noise(torch.zeros(1, 200, 1), error, Alone())
    assert float(bias.exp()) == pytest.approx(0.1, rel=0.05)


def test_no_error_at_all_stays_finite():
    weight, bias = fitted_noise(torch.rand(1, 6, 3), torch.zeros(1, 6, 2), Alone())
    assert bool(torch.isfinite(weight).all()) and bool(torch.isfinite(bias).all())


def test_noise_is_right_however_many_updates_lie_between_two_fits():
    """Features that had moved on since the last fit once looked like noise twice as large."""
    draw = torch.Generator().manual_seed(3)
    learner = WorldModelLearner(MASS, WorldModelSettings(), generator(0, 'test'))
    for _ in range(300):
        x, v, push, noise = torch.randn(4, generator=draw).tolist()
        learner.add(Transition(
            torch.tensor([x, v]), torch.tensor([push]),
            torch.tensor([x + 0.1 * v + 0.005 * push, v + 0.1 * push + 0.02 * noise])))
    assert learner.dynamics.latent_size == 2  # asking for it is what fits it
    for _ in range(40):
        learner.update()
    start = torch.zeros(learner.dynamics.members, 1, 2)
    std = (learner.dynamics.step(start, torch.zeros(1, 1), torch.ones_like(start))
           - learner.dynamics.step(start, torch.zeros(1, 1)))
    assert float(std[..., 1].mean()) == pytest.approx(0.02, rel=0.1)


def test_noise_that_grows_with_motion_is_found() -> None:
    draw = torch.Generator().manual_seed(0)
    motion = torch.rand(4000, generator=draw) * 3.0
    std = (0.1 ** 2 + torch.tensor([0.2, 0.0]).square() * motion.unsqueeze(-1)).sqrt()
    error = std * torch.randn(4000, 2, generator=draw)
    still, growth = moving_noise(error, motion)
    torch.testing.assert_close(still.float(), torch.tensor([0.1, 0.1]), atol=0.01, rtol=0.0)
    assert abs(float(growth[0]) - 0.2) < 0.01 and float(growth[1]) < 0.03
    # In other units it is the same noise.
    again = moving_noise(10.0 * error, 4.0 * motion)
    torch.testing.assert_close(again[0], 10.0 * still, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(again[1][0], 5.0 * growth[0], rtol=1e-3, atol=1e-3)
    # A blow does not make it noisy.
    error[7] = 50.0
    struck = moving_noise(error, motion)
    assert float((struck[0] / still)[0]) < 1.05 and float((struck[1] / growth)[0]) < 1.05


def test_errors_of_nothing_are_no_noise() -> None:
    still, growth = moving_noise(torch.zeros(5, 2), torch.zeros(5))
    assert torch.isfinite(still).all() and torch.isfinite(growth).all()
    assert still.max() < 1e-12 and growth.max() < 1e-12
