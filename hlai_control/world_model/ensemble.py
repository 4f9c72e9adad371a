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


"""The learned world model: a probabilistic ensemble with the structure that physics gives."""

from typing import TYPE_CHECKING

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Outcomes
from hlai_control.world_model.looped import Looped
from hlai_control.world_model.structure import as_columns, LOG_STD, StructuredDynamics

if TYPE_CHECKING:
    from hlai_control.world_model.trajectories import CompiledTrajectories

# Trajectories, counted over all members, up to which compiled loops are faster on a CPU.
_FEW = 512


class EnsembleDynamics(StructuredDynamics, Looped):
    """
    E members, each with one outcome and Gaussian noise around it.

    Accelerations are linear in the :attr:`coefficients`; the robot's mirror
    symmetry holds exactly. Each member also predicts the standard deviation
    of every state coordinate: ``s' = mean + std * z`` with z ~ N(0, I), Z = S
    and R(z) = |z|^2 / 2.

    :param layout: the robot.
    :param settings: members and width.
    :param generator: draws the initial weights.
    """

    signs: Tensor
    coefficients: Tensor
    noise_weight: Tensor
    noise_bias: Tensor

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator) -> None:
        """Draw the trunk; coefficients begin at zero."""
        super().__init__(layout, settings, generator)
        count = self._count
        signs = [[one * other for other in self.monomials.signs]
                 for one in layout.mirror_positions]
        self.register_buffer('signs', torch.tensor(signs), persistent=False)
        # Coefficients: of coordinate n and monomial M, linear in the trunk's N features.
        self.register_buffer('coefficients', torch.zeros(
            settings.members, count, self.trunk.free, len(self.monomials.signs)))
        self.register_buffer('noise_weight', torch.zeros(
            settings.members, self.trunk.free, 2 * count))
        self.register_buffer('noise_bias', torch.zeros(settings.members, 1, 2 * count))
        self.fold()

    @property
    def latent_size(self) -> int:
        """Z = S: one component of z per state coordinate."""
        return 2 * self._count

    def design(self, hidden: Float[Tensor, 'E B H'], columns: Float[Tensor, '*e B M'],
               coordinate: int) -> Float[Tensor, 'E B NM']:
        """
        Products of features and monomials: one coordinate's regressors.

        :param hidden: output of the trunk.
        :param columns: output of the monomials.
        :param coordinate: index of the position whose acceleration is meant.
        """
        kept = self.trunk.basis(hidden, 1.0).unsqueeze(-1)
        flipped = self.trunk.basis(hidden, -1.0).unsqueeze(-1)
        features = torch.where(self.signs[coordinate] > 0, kept, flipped)
        return (features * columns.unsqueeze(-2)).flatten(-2)

    def predict(self, state: Float[Tensor, 'E B S'],
                action: Float[Tensor, 'E B A']) -> Float[Tensor, 'E B n']:
        """
        Predict what the learner fits, differentiable in the parameters.

        :param state: states, at the middle of a step.
        :returns: accelerations in units of ``acceleration``.
        """
        hidden = self.trunk(self.features(state))
        return self.driven(hidden, state[..., self._count:], action)

    def driven(self, hidden: Float[Tensor, 'E B H'], rates: Float[Tensor, 'E B n'],
               action: Float[Tensor, 'E B A']) -> Float[Tensor, 'E B n']:
        """
        Predict accelerations at other rates at the same positions.

        :param hidden: output of the trunk.
        :returns: in units of ``acceleration``.
        """
        columns = self.monomials(rates, action)
        return torch.cat([
            self.design(hidden, columns, i) @ self.coefficients[:, i].flatten(-2).unsqueeze(-1)
            for i in range(self._count)], dim=-1)

    def log_std(self, hidden: Float[Tensor, 'E B H']) -> Float[Tensor, 'E B S']:
        """
        Predict the noise.

        :param hidden: output of the trunk.
        :returns: logarithms of the standard deviations in units of ``noise_unit``.
        """
        return torch.baddbmm(self.noise_bias, self.trunk.basis(hidden, 1.0),
                             self.noise_weight).clamp(*LOG_STD)

    def _fold_heads(self) -> None:
        gain = (self.acceleration * self._dt)[:, None, None]
        unscale = self.monomials.fold().T @ self.monomials.square
        half = (self.coefficients * gain) @ unscale
        image = (self.coefficients * gain * self.signs.unsqueeze(1)) @ unscale
        both = torch.cat([half, image], dim=2) if self.trunk.mirrored else half
        # E n H M -> E (n M) H
        self._third, = self._lasting('third', both.permute(0, 1, 3, 2).flatten(1, 2).contiguous())
        self._compiled: CompiledTrajectories | None = None
        self._noise = self._lasting('noise', *as_columns(self.noise_bias, torch.cat(
            [self.noise_weight] * (2 if self.trunk.mirrored else 1), dim=1)))

    def step(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B S']:
        """
        Predict one control period ahead.

        :param state: each member's own states.
        :param action: the commands, the same for all members.
        :param z: latent, N(0, I) a priori; None is its mode, zero.
        :returns: each member's next states.
        """
        flat, command = self._flat(state, action)
        hidden, factors = self._factors(flat)
        ahead = self._ahead(flat, command, factors)
        if z is not None:
            ahead = ahead + self._std(hidden) * z.reshape(ahead.shape)
        return ahead.reshape(state.shape)

    def outcomes(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A']) -> Outcomes:
        """Return the one outcome of each member, see ``protocols.Decoder``."""
        flat, command = self._flat(state, action)
        hidden, factors = self._factors(flat)
        shape = (*state.shape[:-1], 1, state.shape[-1])
        mean = self._ahead(flat, command, factors).reshape(shape)
        return Outcomes(torch.zeros_like(mean[..., 0]), mean, self._std(hidden).reshape(shape))

    def _std(self, hidden: Tensor) -> Tensor:
        # E B S in SI units.
        log_std = torch.baddbmm(self._noise[0], self._noise[1], hidden).clamp(*LOG_STD)
        return self.noise_unit() * log_std.exp().mT

    def whole(self, like: Tensor, count: int) -> bool:
        """Tell whether :meth:`follow` and :meth:`linearise` may be called, and pay off."""
        return (like.device.type == 'cpu' and not torch.is_grad_enabled()
                and like.dtype == self.acceleration.dtype and count * self._members <= _FEW)

    def loops(self) -> 'CompiledTrajectories':
        """Return the compiled loops with the weights of now."""
        if self._compiled is None:
            # Only who plans needs the compiler: learners start sooner without it.
            from hlai_control.world_model.trajectories import compiled_ensemble
            self._compiled = compiled_ensemble(
                self.features.angles, self.features.linear, self._first, self._second,
                self._third, self.monomials.limit(), self.push[0, 0, 0], self._heading)
        return self._compiled
