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


"""Coloured noise: action sequences that push long enough in one direction to move a mass."""

from jaxtyping import Float
import torch
from torch import Tensor


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
