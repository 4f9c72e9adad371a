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
The energy of a step, F(s, a, s') = min over z of distance(s', G(s, a, z)) + R(z).

z is the mode j and Gaussian noise e within it, R = -log chance[j](s, a) + |e|^2 / 2;
the distance is half the squared error in units of a tolerance. Where a world model is
linear in e (``protocols.Decoder``), the minimum is known; :func:`refine` finds it anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.protocols import decodes, Dynamics
from hlai_control.types import Outcomes
from hlai_control.world_model.steps import turning, wrapped
from hlai_control.world_model.surprise import energy_at, free_energy

_HALVINGS = 4


@dataclass(frozen=True)
class Inferred:
    """
    The z that explains a step best.

    :param energy: F.
    :param mode: j.
    :param noise: e.
    """

    energy: Float[Tensor, ' *B']
    mode: Int[Tensor, ' *B']
    noise: Float[Tensor, '*B S']


def outcomes(dynamics: Dynamics, state: Float[Tensor, 'E *B S'],
             action: Float[Tensor, '*B A']) -> Outcomes:
    """List what may follow; of world models that do not say, by where z = 0 and z = 1 lead."""
    if decodes(dynamics):
        return dynamics.outcomes(state, action)
    mean = dynamics.step(state, action)
    if not dynamics.latent_size:
        std = torch.zeros_like(mean)
    else:
        one = mean.new_ones(()).expand(*mean.shape[:-1], dynamics.latent_size)
        std = dynamics.step(state, action, one) - mean
    return Outcomes(torch.zeros_like(mean[..., :1]), mean.unsqueeze(-2), std.unsqueeze(-2))


def errors(found: Outcomes, ahead: Float[Tensor, '*B S'],
           layout: Layout) -> Float[Tensor, 'E *B J S']:
    """Compare what happened with each mode's mean; angles are wrapped."""
    return wrapped(ahead.unsqueeze(-2) - found.mean, turning(layout).to(ahead.device))


def infer(found: Outcomes, ahead: Float[Tensor, '*B S'], layout: Layout,
          tolerance: Float[Tensor, ' S']) -> Inferred:
    """
    Find the z of least energy, in closed form.

    :param found: what might have followed, see :func:`outcomes`.
    :param ahead: what did.
    :param tolerance: distance that counts as 1, above zero, per coordinate.
    """
    energy, noise = free_energy(errors(found, ahead, layout), found.std, tolerance)
    return least(energy - found.log_chance, noise)


def least(energy: Float[Tensor, 'E *B J'], noise: Float[Tensor, 'E *B J S']) -> Inferred:
    """
    Take the best mode of each row.

    :param energy: of each mode, its R included.
    :param noise: e of each mode.
    """
    lowest, mode = energy.min(dim=-1)
    index = mode[..., None, None].expand(*mode.shape, 1, noise.shape[-1])
    return Inferred(lowest, mode, noise.gather(-2, index).squeeze(-2))


def latent(found: Outcomes, inferred: Inferred, size: int) -> Float[Tensor, 'E *B Z']:
    """
    Write mode and noise as the z that ``Dynamics.step`` takes.

    :param size: Z; if there are modes, its last component picks them.
    """
    if size <= inferred.noise.shape[-1]:
        return inferred.noise[..., :size]
    chance, order = found.log_chance.exp().sort(dim=-1, descending=True, stable=True)
    # The middle of the mode's part of 0 .. 1, through P(|u| < x) = erf(x / sqrt 2).
    middle = chance.cumsum(dim=-1) - 0.5 * chance
    place = (middle * (order == inferred.mode.unsqueeze(-1))).sum(dim=-1, keepdim=True)
    return torch.cat([inferred.noise, torch.erfinv(place) * 2.0 ** 0.5], dim=-1)


def refine(error: Callable[[Tensor], Tensor], tolerance: Float[Tensor, ' S'],
           guess: Float[Tensor, 'B S'], steps: int = 3
           ) -> tuple[Float[Tensor, ' B'], Float[Tensor, 'B S']]:
    """
    Lower the energy of a guessed e by Gauss-Newton steps, halved until they do lower it.

    :param error: measured minus decoded next state, as a differentiable
        function of e; its rows must not depend on each other.
    :param tolerance: see :func:`infer`.
    :param guess: where to begin.
    :returns: distance plus |e|^2 / 2, nowhere above the guess's, and e.
    """
    zero, noise = torch.zeros_like(guess), guess.detach()

    def energy(at: Tensor) -> Tensor:
        return energy_at(error(at), zero, tolerance, at).detach()

    lowest = energy(noise)
    for _ in range(steps):
        step = _newton_step(error, tolerance, noise)
        for _ in range(_HALVINGS):
            tried = noise + step
            found = energy(tried)
            better = found < lowest
            noise = torch.where(better.unsqueeze(-1), tried, noise)
            lowest = torch.where(better, found, lowest)
            step = torch.where(better.unsqueeze(-1), 0.0, 0.5 * step)
    return lowest, noise


@torch.enable_grad()
def _newton_step(error: Callable[[Tensor], Tensor], tolerance: Float[Tensor, ' S'],
                 at: Float[Tensor, 'B S']) -> Float[Tensor, 'B S']:
    point = at.clone().requires_grad_()
    scaled = error(point) / tolerance
    slopes = torch.stack([torch.autograd.grad(column.sum(), point, retain_graph=True)[0]
                          for column in scaled.unbind(dim=-1)], dim=-2)
    one = torch.eye(at.shape[-1], dtype=at.dtype, device=at.device)
    downhill = -(slopes.mT @ scaled.detach().unsqueeze(-1)).squeeze(-1) - at
    return torch.linalg.solve(slopes.mT @ slopes + one, downhill)
