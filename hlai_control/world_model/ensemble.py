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

from collections.abc import Callable, Mapping

from jaxtyping import Float
import torch
from torch import nn, Tensor
from torch.nn.functional import silu

from hlai_control.layout import Layout
from hlai_control.learning.networks import MirrorTrunk
from hlai_control.settings import WorldModelSettings
from hlai_control.world_model.features import Features
from hlai_control.world_model.monomials import Monomials

# Predicted noise lies between these, as logarithms of the units below.
_LOG_STD = (-7.0, 3.0)
# Initial weights this much larger than usual: the first random features of a trunk must
# bend enough within one turn of an angle to fit it by their last layer alone.
_GAIN = 3.0


class EnsembleDynamics(nn.Module):
    """
    E members that predict accelerations as a rigid body has them.

    Each member is a small network of the positions whose outputs are the
    coefficients of the :class:`Monomials` of rates and actions. Positions on
    which the dynamics do not depend are not seen, angles are seen as sine
    and cosine, and the robot's mirror symmetry holds exactly. Integration is
    by a midpoint rule: ``dq' = dq + a dt`` and ``q' = q + dt (dq + dq') / 2``,
    where a holds at ``q + dq dt / 2`` and at the mean of dq and dq'; the
    latter by one fixed-point step, which needs no second look at the trunk.

    Each member also predicts the standard deviation of every state
    coordinate: ``s' = mean + std * z`` with z ~ N(0, I), Z = S and
    R(z) = |z|^2 / 2. Untrained, all accelerations are zero.

    ``step`` uses matrices into which all scales are folded; call
    :meth:`fold` after parameters or scales have changed.

    :param layout: the robot.
    :param settings: members and width.
    :param generator: draws the initial weights.
    """

    signs: Tensor
    coefficients: Tensor
    acceleration: Tensor
    carry: Tensor
    push: Tensor

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator) -> None:
        """Draw the trunk; all scales begin at one."""
        super().__init__()
        count, dt = len(layout.positions), layout.period_s
        self._count, self._dt, self._members = count, dt, settings.members
        self.features = Features(
            layout, tuple(i for i in range(count) if not layout.invariant[i]))
        self.monomials = Monomials(layout)
        self.trunk = MirrorTrunk(settings.members, self.features.signs, layout.has_mirror,
                                 settings.hidden, _GAIN, generator)
        signs = [[one * other for other in self.monomials.signs]
                 for one in layout.mirror_positions]
        self.register_buffer('signs', torch.tensor(signs), persistent=False)
        # Coefficients: of coordinate n and monomial M, linear in the trunk's N features.
        self.register_buffer('coefficients', torch.zeros(
            settings.members, count, self.trunk.free, len(self.monomials.signs)))
        self.noise_weight = nn.Parameter(
            torch.zeros(settings.members, self.trunk.free, 2 * count))
        self.noise_bias = nn.Parameter(torch.zeros(settings.members, 1, 2 * count))
        # Typical accelerations [SI]; predictions are fitted in units of it.
        self.register_buffer('acceleration', torch.ones(count))
        # s' = s @ carry + (a dt) @ push: rates move positions for one period.
        one = torch.eye(count)
        carry = torch.eye(2 * count)
        carry[count:, :count] = dt * one
        push = torch.cat([0.5 * dt * one, one], dim=1).expand(settings.members, -1, -1)
        self.register_buffer('carry', carry, persistent=False)
        self.register_buffer('push', push.contiguous(), persistent=False)
        self._angles, self._linear = (_columns(index.tolist()) for index in (
            self.features.angles, self.features.linear))
        self.fold()

    @property
    def members(self) -> int:
        """E, the number of ensemble members."""
        return self._members

    @property
    def latent_size(self) -> int:
        """Z = S: one component of z per state coordinate."""
        return 2 * self._count

    def noise_unit(self) -> Float[Tensor, ' S']:
        """Units of the predicted standard deviations: a dt^2 and a dt of typical a."""
        return torch.cat([self.acceleration * self._dt, self.acceleration]) * self._dt

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

    def predict(self, state: Float[Tensor, 'E B S'], action: Float[Tensor, 'E B A']
                ) -> tuple[Float[Tensor, 'E B n'], Float[Tensor, 'E B S']]:
        """
        Predict what the learner fits, differentiable in the parameters.

        :param state: states, at the middle of a step.
        :returns: accelerations in units of ``acceleration``, and the
            logarithms of the standard deviations in units of ``noise_unit``.
        """
        hidden = self.trunk(self.features(state))
        columns = self.monomials(state[..., self._count:], action)
        mean = torch.cat([
            self.design(hidden, columns, i) @ self.coefficients[:, i].flatten(-2).unsqueeze(-1)
            for i in range(self._count)], dim=-1)
        log_std = torch.baddbmm(self.noise_bias, self.trunk.basis(hidden, 1.0),
                                self.noise_weight)
        return mean, log_std.clamp(*_LOG_STD)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'EnsembleDynamics':
        # Called by to(), double() and their like: the folded matrices must follow.
        super()._apply(fn, recurse)
        self.fold()
        return self

    @torch.no_grad()
    def fold(self) -> None:
        """Fold scales and mirror images into the matrices that ``step`` uses."""
        w1, b1, w2, b2 = (part.detach() for part in self.trunk.dense())
        turns = 2 * len(self.features.angles)
        w1 = w1.clone()
        w1[:, turns:] /= self.features.scale.unsqueeze(-1)
        self._first = (b1 - self.features.mean.unsqueeze(0) @ w1[:, turns:], w1)
        self._second = b2.clone(), w2.clone()
        gain = (self.acceleration * self._dt)[:, None, None]
        half = (self.coefficients * gain) @ self.monomials.fold().T
        image = (self.coefficients * gain * self.signs.unsqueeze(1)) @ self.monomials.fold().T
        both = torch.cat([half, image], dim=2) if self.trunk.mirrored else half
        # E n H M -> E H (n M)
        self._third = both.permute(0, 2, 1, 3).flatten(-2).contiguous()
        self._noise = self.noise_bias.detach().clone(), torch.cat(
            [self.noise_weight.detach()] * (2 if self.trunk.mirrored else 1), dim=1)

    def step(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B S']:
        """
        Predict one control period ahead.

        :param state: each member's own states.
        :param action: the commands, the same for all members.
        :param z: latent, N(0, I) a priori; None is its mode, zero.
        :returns: each member's next states.
        """
        flat = state.reshape(self._members, -1, 2 * self._count)
        command = action.reshape(1, flat.shape[1], -1).expand(self._members, -1, -1)
        rates = flat[..., self._count:]
        hidden, factors = self._factors(flat[..., :self._count] + (0.5 * self._dt) * rates)
        gained = self._gain(factors, rates, command)
        gained = self._gain(factors, rates + 0.5 * gained, command)
        ahead = torch.baddbmm(flat @ self.carry, gained, self.push)
        if z is not None:
            log_std = torch.baddbmm(self._noise[0], hidden, self._noise[1]).clamp(*_LOG_STD)
            ahead = ahead + self.noise_unit() * log_std.exp() * z.reshape(ahead.shape)
        return ahead.reshape(state.shape)

    def _factors(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        # The trunk's features and the coefficients of the monomials, in SI units.
        angle = positions[..., self._angles]
        inputs = torch.cat([torch.sin(angle), torch.cos(angle), positions[..., self._linear]],
                           dim=-1)
        hidden = silu(torch.baddbmm(self._first[0], inputs, self._first[1]), inplace=True)
        hidden = silu(torch.baddbmm(self._second[0], hidden, self._second[1]), inplace=True)
        return hidden, torch.bmm(hidden, self._third).unflatten(-1, (self._count, -1))

    def _gain(self, factors: Tensor, rates: Tensor, action: Tensor) -> Tensor:
        # Gain in rate over one period, at the acceleration that holds at these rates.
        columns = self.monomials.raw(rates, action)
        return (factors * columns.unsqueeze(-2)).sum(dim=-1)

    def export(self) -> dict[str, Tensor]:
        """Copy parameters and scales, for an artefact."""
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take parameters and scales from an artefact whose shapes have been checked."""
        self.load_state_dict(dict(tensors))
        self.fold()


def _columns(index: list[int]) -> slice | list[int]:
    # A slice is a view, a list is a copy: worth having in the planner's inner loop.
    if index and index == list(range(index[0], index[0] + len(index))):
        return slice(index[0], index[0] + len(index))
    return index
