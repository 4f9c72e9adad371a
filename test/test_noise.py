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

"""Noise: unit variance at each step, and the memory that was asked for."""

import pytest
import torch

from hlai_control.actor.noise import colouring, shaping, splining
from hlai_control.settings import PlannerSettings


def test_coloured_noise_has_unit_variance_and_its_colour():
    neighbours = []
    for colour in (0.0, 0.5, 1.0, 2.0, 3.0):
        covariance = colouring(16, colour) @ colouring(16, colour).T
        torch.testing.assert_close(covariance.diagonal(), torch.ones(16), rtol=1e-5, atol=1e-5)
        neighbours.append(float(covariance[0, 1]))
    # Without the zero frequency, white noise is left with -1 / 16 between neighbours.
    assert neighbours[0] == pytest.approx(-1 / 16, abs=1e-4)
    assert neighbours == sorted(neighbours)
    assert neighbours[-1] > 0.9


@pytest.mark.parametrize(('horizon', 'knots'), [(16, 5), (12, 12), (7, 50), (5, 1), (9, 2),
                                                (1, 5)])
def test_spline_noise_has_unit_variance_at_each_step(horizon, knots):
    shape = splining(horizon, knots)
    assert shape.shape == (horizon, min(knots, horizon))
    torch.testing.assert_close(shape.norm(dim=1), torch.ones(horizon))


def test_splines_are_the_known_ones():
    # Five control points over two spans, each 4 steps long: half way through the first span,
    # the clamped cubic basis is (1/8, 19/32, 1/4, 1/32, 0) (de Boor, by hand).
    known = torch.tensor([1 / 8, 19 / 32, 1 / 4, 1 / 32, 0.0])
    torch.testing.assert_close(splining(9, 5)[2], known / known.norm())
    # Two control points: a straight line; half way, both count alike.
    torch.testing.assert_close(splining(3, 2)[1], torch.full((2,), 0.5 ** 0.5))


def test_fewer_knots_are_smoother_and_mirrored_in_time():
    def wiggle(knots: int) -> float:
        shape = splining(32, knots)
        return float((shape[2:] - 2 * shape[1:-1] + shape[:-2]).square().sum(dim=1).mean())
    assert wiggle(4) < wiggle(8) < wiggle(16)
    shape = splining(32, 6)
    torch.testing.assert_close(shape.flip(0, 1), shape)


def test_settings_choose_the_noise():
    coloured = PlannerSettings(horizon=8, colour=2.0)
    assert torch.equal(shaping(coloured), colouring(8, 2.0))
    spline = PlannerSettings(horizon=8, noise='spline', knots=3)
    assert torch.equal(shaping(spline), splining(8, 3))
