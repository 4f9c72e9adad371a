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

"""How much a fitted mean leaves over, and in which states: found exactly, like the mean itself."""

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.learning.crew import Crew

# Penalty on squared weights; the bias is free.
_RIDGE = 10.0
# Fisher scoring converges quadratically; further steps change nothing that counts.
_STEPS = 4
# Squared errors in units of the predicted variance count so much at most, else one row decides.
_MOST = 10.0
_LEAST = 1e-6
# 1 - leverage is not less, but for rounding.
_LEFT = 1e-6
# Multiplicative updates of two variances: from afar they need some tens.
_UPDATES = 60


def left_out(residual: Float[Tensor, 'E B n'], design: Float[Tensor, 'E B D'],
             factor: Float[Tensor, 'E D D']) -> Float[Tensor, 'E B n']:
    """
    Turn the residuals of a ridge regression into those of rows that it had not seen.

    A residual divided by one less the row's leverage is that of the regression
    on all other rows (Allen 1974, *The relationship between variable selection
    and data augmentation and a method for prediction*, PRESS), so that many
    regressors and few rows do not look like little noise.

    :param residual: of the rows that were fitted.
    :param design: their regressors.
    :param factor: lower Cholesky factor of ``X'X + ridge``.
    """
    spread = torch.linalg.solve_triangular(factor, design.mT, upper=False)
    return residual / (1.0 - spread.square().sum(dim=1)).clamp_min(_LEFT).unsqueeze(-1)


def fitted_noise(features: Float[Tensor, 'E B N'], error: Float[Tensor, 'E B S'], crew: Crew
                 ) -> tuple[Float[Tensor, 'E N S'], Float[Tensor, 'E o S']]:
    """
    Fit ``log std = features weight + bias`` to errors, by likelihood.

    Fisher scoring from equal noise everywhere; its matrix does not depend on
    the parameters (Aitkin 1987, *Modelling variance heterogeneity in normal
    regression*).

    :param features: what the noise may depend on.
    :param error: of each state coordinate.
    :param crew: the processes that hold a part of the rows each.
    :returns: weight and bias.
    """
    columns = torch.cat([features, torch.ones_like(features[..., :1])], dim=-1).double()
    squares, inner = error.double().square(), 2.0 * columns.mT @ columns
    rows, total = columns.new_tensor(float(squares.shape[1])), squares.sum(dim=1)
    for part in (rows, total, inner):
        crew.total(part)
    penalty = columns.new_full((columns.shape[-1], 1), _RIDGE)
    penalty[-1] = 0.0
    inner.diagonal(dim1=-2, dim2=-1).add_(penalty[:, 0])
    factor = torch.linalg.cholesky(inner)
    found = columns.new_zeros(*inner.shape[:2], squares.shape[-1])
    found[:, -1] = 0.5 * (total / rows).clamp_min(_LEAST).log()
    for _ in range(_STEPS):
        excess = (squares * torch.exp(-2.0 * (columns @ found))).clamp_max(_MOST) - 1.0
        slope = columns.mT @ excess
        crew.total(slope)
        found = found + torch.cholesky_solve(slope - penalty * found, factor)
    return found[:, :-1].float(), found[:, -1:].float()


def moving_noise(error: Float[Tensor, 'B S'], motion: Float[Tensor, ' B']
                 ) -> tuple[Float[Tensor, ' S'], Float[Tensor, ' S']]:
    """
    Fit ``std^2 = still^2 + growth^2 motion`` to errors, by likelihood.

    What sensors and perception add at rest is not all: where a robot is
    accelerated, an estimate lags. Multiplicative updates keep both parts
    positive, and each raises the likelihood (Fevotte, Bertin and Durrieu 2009,
    *Nonnegative matrix factorization with the Itakura-Saito divergence*,
    equation 2.22 with exponent one half).

    :param error: of each state coordinate.
    :param motion: how much each row moves, at least 0; of the order of 1.
    :returns: still and growth, as standard deviations.
    """
    squares, moved = error.double().square(), motion.double().unsqueeze(-1)
    least = squares.new_tensor(torch.finfo(torch.float32).tiny)
    still = (0.5 * squares.mean(dim=0)).clamp_min(least)
    growth = still / moved.mean(dim=0).clamp_min(least)
    for _ in range(_UPDATES):
        variance = still + growth * moved
        # One blow is an outlier, and not how noisy it always is.
        excess = (squares / variance).clamp_max(_MOST) / variance
        still = (still * (excess.sum(dim=0) * variance.reciprocal().sum(dim=0).reciprocal()).sqrt()
                 ).clamp_min(least)
        growth = (growth * ((moved * excess).sum(dim=0)
                            / (moved / variance).sum(dim=0).clamp_min(least)).sqrt()
                  ).clamp_min(least)
    return still.sqrt(), growth.sqrt()
