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

"""Noise with a memory: action sequences that push long enough in one direction to move a mass."""

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.settings import PlannerSettings

_DEGREE = 3


def shaping(settings: PlannerSettings) -> Float[Tensor, 'T M']:
    """
    Matrix that makes the noise which the settings name out of independent numbers.

    :returns: C; rows of ``white @ C.T`` have unit variance at each step.
    """
    return {'coloured': lambda: colouring(settings.horizon, settings.colour),
            'spline': lambda: splining(settings.horizon, settings.knots)}[settings.noise]()


def colouring(horizon: int, colour: float) -> Float[Tensor, 'T T']:
    """
    Matrix that gives white noise the power spectrum 1 / f^colour.

    Stationary and of unit variance: the Cholesky factor of the
    autocorrelation that the spectrum has over two horizons (Pinneri et al.
    2020, *Sample-efficient cross-entropy method for real-time planning*,
    draw by inverse Fourier transform instead; a matrix is one product).

    :param horizon: T, length of the sequences.
    :param colour: exponent; 0 is white, 2 is Brownian.
    :returns: C; rows of ``white @ C.T`` are coloured.
    """
    length = 2 * horizon
    frequency = torch.arange(1, horizon + 1, dtype=torch.float64)
    power = frequency ** -colour
    lag = torch.arange(horizon, dtype=torch.float64)
    waves = torch.cos(2.0 * torch.pi * frequency * lag.unsqueeze(-1) / length)
    correlation = (waves * power).sum(dim=-1) / power.sum()
    distance = (lag.unsqueeze(-1) - lag).abs().long()
    # Rounding may leave the smallest eigenvalue just below zero.
    covariance = correlation[distance] + 1e-6 * torch.eye(horizon, dtype=torch.float64)
    return torch.linalg.cholesky(covariance / (1.0 + 1e-6)).float()


def splining(horizon: int, knots: int) -> Float[Tensor, 'T M']:
    """
    Matrix that draws a cubic B-spline through few control points, of unit variance.

    Few numbers per sequence make a search smooth and low-dimensional: STORM
    (Bhardwaj et al. 2021, *Fast joint space model-predictive control for
    reactive manipulation*) samples B-splines; predictive sampling (Howell et
    al. 2022, *Real-time behaviour synthesis with MuJoCo*) cubic ones. Clamped
    at both ends, with equal spans between (de Boor 1978, chapter IX). Each row
    is divided by its norm, so that a step between control points is not
    quieter than one at them.

    :param horizon: T, length of the sequences.
    :param knots: M, control points; more than T are of no use, and made T.
    """
    count = min(knots, horizon)
    degree = min(_DEGREE, count - 1)
    spans = count - degree
    inner = torch.arange(1, spans, dtype=torch.float64) / spans
    places = torch.cat([torch.zeros(degree + 1).double(), inner, torch.ones(degree + 1).double()])
    at = torch.linspace(0.0, 1.0, horizon, dtype=torch.float64).unsqueeze(-1)
    # The last place belongs to the last span.
    left, right = places[:-1], places[1:]
    last = (at >= 1.0) & (right >= 1.0)
    basis = ((at >= left) & ((at < right) | last) & (left < right)).double()
    for order in range(1, degree + 1):
        rising = _ramp(at, places[:-order - 1], places[order:-1])
        falling = _ramp(at, places[order + 1:], places[1:-order])
        basis = rising * basis[:, :-1] + falling * basis[:, 1:]
    return (basis / basis.norm(dim=1, keepdim=True)).float()


def _ramp(at: Tensor, zero: Tensor, one: Tensor) -> Tensor:
    # 0 at one place and 1 at the other; 0 throughout where both are the same (de Boor).
    width = one - zero
    return torch.where(width == 0.0, 0.0, (at - zero) / torch.where(width == 0.0, 1.0, width))
