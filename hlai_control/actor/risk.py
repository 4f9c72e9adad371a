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

"""
The scenarios that a plan is judged by, and how much each counts.

A scenario is a member of the ensemble together with its own sequence of z.
Scenarios take the place of the members on the axis E of all trajectories:
E = members times draws, the draws of one member next to each other. They are
drawn once per plan, so that all its candidates and refinements are compared
in the same ones (common random numbers).
"""

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.protocols import Problem


def draw_latents(problem: Problem, horizon: int, like: Tensor,
                 generator: torch.Generator) -> Float[Tensor, 'E T Z'] | None:
    """
    Draw z ~ N(0, I), which is exp(-R(z)) normalised, for each scenario and step.

    :param horizon: T.
    :param like: a tensor of the type and on the device wanted.
    :param generator: on that device.
    :returns: None if the problem's risk asks for no draws, or if there is no
        z to draw: the members are the scenarios, z at its mode.
    """
    draws, size = problem.risk.latents, problem.dynamics.latent_size
    if not (draws and size):
        return None
    return torch.randn(problem.dynamics.members * draws, horizon, size, generator=generator,
                       device=like.device, dtype=like.dtype)


def risk_weights(energies: Float[Tensor, 'E K'], tail: float) -> Float[Tensor, 'E K']:
    """
    Weights of the scenarios whose weighted sum of energies is their CVaR.

    The conditional value at risk is the mean over the worst share of the
    scenarios; the one at the boundary counts in part (Rockafellar and
    Uryasev 2002, *Conditional value-at-risk for general loss distributions*,
    proposition 8). A tail of 1 gives the mean, one of a scenario or less the
    worst. At fixed weights the sum's gradient is that of CVaR, wherever it
    has one (Danskin): CVaR is the greatest of all such sums.

    :param energies: one per scenario; NaN counts as the worst.
    :param tail: share of the scenarios, 0 .. 1.
    :returns: at least zero, summing to 1 over the scenarios.
    """
    mass = max(tail * len(energies), 1.0)
    rank = torch.arange(len(energies), dtype=energies.dtype, device=energies.device)
    share = (mass - rank).clamp(0.0, 1.0) / mass
    order = energies.argsort(dim=0, descending=True, stable=True)
    return torch.zeros_like(energies).scatter(0, order, share.unsqueeze(1).expand_as(energies))
