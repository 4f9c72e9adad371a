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

from collections.abc import Mapping

from jaxtyping import Float
import torch
from torch import nn, Tensor
from torch.nn.functional import silu

from hlai_control.layout import Layout
from hlai_control.learning.networks import MirrorMlp
from hlai_control.settings import WorldModelSettings
from hlai_control.world_model.features import Features

# Predicted noise lies between these, as logarithms of the units below.
_LOG_STD = (-7.0, 3.0)


class EnsembleDynamics(nn.Module):
    """
    E small networks that predict accelerations; integration gives the state.

    ``dq' = dq + a dt`` and ``q' = q + dt (dq + dq') / 2``: the network need
    not learn that velocity moves position. It sees sines and cosines of
    angles, and no coordinate on which the dynamics do not depend; the mirror
    symmetry of the robot holds exactly (:class:`MirrorMlp`). Each member also
    predicts the standard deviation of every state coordinate, and
    ``s' = mean + std * z`` with z ~ N(0, I), so Z = S and R(z) = |z|^2 / 2.

    ``step`` uses matrices into which normalisation and integration are
    folded; call :meth:`fold` after the parameters have changed.

    :param layout: the robot.
    :param settings: members and width.
    :param generator: draws the initial weights.
    """

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator) -> None:
        """Draw the initial weights; scales begin at one."""
        super().__init__()
        count, dt = len(layout.positions), layout.period_s
        self._count, self._dt, self._members = count, dt, settings.members
        self.features = Features(layout, layout.invariant, actions=True)
        self.network = MirrorMlp(
            settings.members, self.features.signs,
            layout.mirror_positions + (1.0,) * (2 * count), settings.hidden, generator)
        # Typical accelerations [SI]; the network's first n outputs are in units of it.
        self.register_buffer('acceleration', torch.ones(count))
        carry = torch.eye(2 * count)
        carry[count:, :count] += dt * torch.eye(count)
        self.register_buffer('carry', carry.expand(settings.members, -1, -1), persistent=False)
        self.fold()

    @property
    def members(self) -> int:
        """E, the number of ensemble members."""
        return self._members

    @property
    def latent_size(self) -> int:
        """Z = S: one component of z per state coordinate."""
        return 2 * self._count

    def predict(self, state: Float[Tensor, 'E B S'], action: Float[Tensor, 'E B A']
                ) -> tuple[Float[Tensor, 'E B n'], Float[Tensor, 'E B S']]:
        """
        Predict what the learner fits, differentiable in the parameters.

        :returns: accelerations in units of ``acceleration``, and the
            logarithms of the standard deviations in units of ``noise_unit``.
        """
        out = self.network(self.features(state, action))
        return out[..., :self._count], out[..., self._count:].clamp(*_LOG_STD)

    def noise_unit(self) -> Float[Tensor, ' S']:
        """Units of the predicted standard deviations: a dt^2 and a dt of typical a."""
        return torch.cat([self.acceleration * self._dt, self.acceleration]) * self._dt

    @torch.no_grad()
    def fold(self) -> None:
        """Fold normalisation and integration into the matrices that ``step`` uses."""
        w1, b1, w2, b2, w3, b3 = (part.detach() for part in self.network.dense())
        scaled = w1 / self.features.scale.unsqueeze(-1)
        gain = self.acceleration * self._dt
        moved = torch.cat([w3[..., :self._count] * gain * (0.5 * self._dt),
                           w3[..., :self._count] * gain], dim=-1)
        shift = torch.cat([b3[..., :self._count] * gain * (0.5 * self._dt),
                           b3[..., :self._count] * gain], dim=-1)
        self._first = (b1 - self.features.mean.unsqueeze(0) @ scaled).contiguous(), scaled.contiguous()
        self._second = b2.clone(), w2.clone()
        self._third = shift.contiguous(), moved.contiguous()
        self._noise = b3[..., self._count:].clone(), w3[..., self._count:].contiguous()

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
        hidden = silu(torch.baddbmm(self._first[0], self.features.raw(flat, command),
                                    self._first[1]))
        hidden = silu(torch.baddbmm(self._second[0], hidden, self._second[1]))
        drift = torch.baddbmm(self._third[0], flat, self.carry)
        ahead = torch.baddbmm(drift, hidden, self._third[1])
        if z is not None:
            log_std = torch.baddbmm(self._noise[0], hidden, self._noise[1]).clamp(*_LOG_STD)
            ahead = ahead + self.noise_unit() * log_std.exp() * z.reshape(ahead.shape)
        return ahead.reshape(state.shape)

    def export(self) -> dict[str, Tensor]:
        """Copy parameters and scales, for an artefact."""
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take parameters and scales from an artefact whose shapes have been checked."""
        self.load_state_dict(dict(tensors))
        self.fold()
