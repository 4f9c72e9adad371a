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


"""A world model for what has several outcomes: which of them comes is part of the latent z."""

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Outcomes
from hlai_control.world_model.structure import LOG_STD, StructuredDynamics


class MixtureDynamics(StructuredDynamics):
    """
    E members, each a mixture of J modes on one trunk (mixture density network: Bishop 1994).

    ``s' = mean[c](s, a) + std[c](s) e``: the latent is which mode c it is and
    Gaussian noise e within it, ``R = -log chance[c](s, a) + |e|^2 / 2``. Each
    mode has its own coefficients and noise; a gate, linear in the products of
    the trunk's features with ``[1, rates, actions]``, tells how probable each is.
    ``mixture_learner.py`` fits them.

    For whoever draws, z stays N(0, I), Z = S + 1: its last component u picks
    the mode, ``P(|u| < x) = erf(x / sqrt 2)`` being split among the modes, the
    most probable one first. So z = 0 is the most probable mode without noise,
    and -log chance is the free energy of the u that pick a mode.

    A mirror is not imposed: which side something falls to is what breaks it.

    :param layout: the robot.
    :param settings: members, width and modes.
    :param generator: draws the initial weights.
    """

    branches: Tensor
    spread: Tensor
    gate_weight: Tensor
    gate_bias: Tensor
    gated: Tensor
    tried: Tensor

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator) -> None:
        """Draw the trunk; all modes begin alike."""
        super().__init__(layout, settings, generator)
        members, full = settings.members, self.trunk.full
        count, self._modes = self._count, settings.modes
        lead = (members, self._modes)
        self.register_buffer('branches', torch.zeros(
            *lead, count, full, len(self.monomials.signs)))
        # Logarithms of each mode's typical noise, in units of noise_unit().
        self.register_buffer('spread', torch.zeros(*lead, 2 * count))
        gated = [*range(1 + count), *range(len(self.monomials.signs) - layout.action_size,
                                           len(self.monomials.signs))]
        self.register_buffer('gated', torch.tensor(gated), persistent=False)
        self.register_buffer('gate_weight', torch.zeros(*lead, full, len(gated)))
        self.register_buffer('gate_bias', torch.zeros(members, 1, self._modes))
        # Transitions that there were when modes were last looked for anew.
        self.register_buffer('tried', torch.zeros(1))
        self.fold()

    @property
    def modes(self) -> int:
        """J, the number of modes."""
        return self._modes

    @property
    def latent_size(self) -> int:
        """Z = S + 1: noise of each state coordinate, and what picks the mode."""
        return 2 * self._count + 1

    def design(self, hidden: Float[Tensor, 'E B H'],
               columns: Float[Tensor, '*e B M']) -> Float[Tensor, 'E B HM']:
        """Products of the trunk's features and the monomials: the regressors of all modes."""
        return (hidden.unsqueeze(-1) * columns.unsqueeze(-2)).flatten(-2)

    def predict(self, middle: Float[Tensor, 'E B S'], rates: Float[Tensor, 'E B n'],
                action: Float[Tensor, 'E B A']) -> tuple[
                    Float[Tensor, 'E B J'], Float[Tensor, 'E B J n']]:
        """
        Predict what the learner fits, differentiable in the parameters.

        :param middle: states at the middle of a step.
        :param rates: at its beginning; the gate must not see the outcome.
        :returns: log of the chances; accelerations in units of ``acceleration``.
        """
        hidden = self.trunk(self.features(middle))
        columns = self.monomials(middle[..., self._count:], action)
        # E J n D -> E D (J n)
        weights = self.branches.flatten(-2).flatten(1, 2).mT
        mean = (self.design(hidden, columns) @ weights).unflatten(-1, (self._modes, -1))
        return self.log_chance(self.gate_design(hidden, rates, action)), mean

    def gate_design(self, hidden: Float[Tensor, 'E B H'], rates: Float[Tensor, '*e B n'],
                    action: Float[Tensor, '*e B A']) -> Float[Tensor, 'E B G']:
        """Products of the trunk's features and ``[1, rates, actions]``."""
        return self.design(hidden, self.monomials(rates, action)[..., self.gated])

    def log_chance(self, design: Float[Tensor, 'E B G']) -> Float[Tensor, 'E B J']:
        """
        Return the logarithms of the modes' probabilities.

        :param design: what :meth:`gate_design` returned.
        """
        logits = design @ self.gate_weight.flatten(-2).mT + self.gate_bias
        return logits.log_softmax(dim=-1)

    def _fold_heads(self) -> None:
        gain = (self.acceleration * self._dt)[:, None, None]
        scale = self.monomials.fold()
        unscaled = (self.branches * gain) @ (scale.T @ self.monomials.square)
        # E J n H M -> E (J n M) H
        self._third, = self._lasting(
            'third', unscaled.transpose(-1, -2).flatten(1, 3).contiguous())
        # E J H M -> E (J M) H, for columns in SI units
        gate = self.gate_weight @ scale[self.gated][:, self.gated].T
        self._gate, self._prior = self._lasting(
            'gate', gate.mT.flatten(1, 2).contiguous(),
            self.gate_bias.mT.clone(memory_format=torch.contiguous_format))
        std = self.spread.clamp(*LOG_STD).exp() * self.noise_unit()
        self._noise, = self._lasting('noise', std.unsqueeze(-1))

    def step(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B S']:
        """
        Predict one control period ahead.

        :param state: each member's own states.
        :param action: the commands, the same for all members.
        :param z: latent, N(0, I) a priori; None is zero, the most probable mode.
        :returns: each member's next states.
        """
        flat, command = self._flat(state, action)
        hidden, factors = self._factors(flat)
        logits = self._logits(hidden, flat, command)
        if z is None:
            chosen = logits.argmax(dim=1, keepdim=True)
        else:
            z = z.reshape(*flat.mT.shape[:-1], -1)
            chosen = _picked(logits, z[..., -1])
        factors = _of_mode(factors.unflatten(1, (self._modes, -1)), chosen)
        ahead = self._ahead(flat, command, factors)
        if z is not None:
            noise = self._noise.expand(-1, -1, -1, flat.shape[-1])
            ahead = ahead + _of_mode(noise, chosen).mT * z[..., :-1]
        return ahead.reshape(state.shape)

    def outcomes(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A']) -> Outcomes:
        """List the modes, see ``protocols.Decoder``."""
        flat, command = self._flat(state, action)
        hidden, factors = self._factors(flat)
        each = factors.unflatten(1, (self._modes, -1)).unbind(dim=1)
        mean = torch.stack([self._ahead(flat, command, one) for one in each], dim=2)
        chance = self._logits(hidden, flat, command).log_softmax(dim=1).mT
        lead, std = state.shape[:-1], self._noise.permute(0, 3, 1, 2).expand_as(mean)
        return Outcomes(*(part.reshape(*lead, *part.shape[2:]) for part in (chance, mean, std)))

    def _logits(self, hidden: Tensor, flat: Tensor, command: Tensor) -> Tensor:
        # E J B
        columns = self.monomials.first_order(flat[:, self._count:], command).unsqueeze(1)
        factors = torch.bmm(self._gate, hidden).unflatten(1, (self._modes, -1))
        return (factors * columns).sum(dim=2) + self._prior


def _picked(logits: Float[Tensor, 'E J B'], u: Float[Tensor, 'E B']) -> Tensor:
    """Return the mode that u picks, E 1 B."""
    chance, order = logits.softmax(dim=1).sort(dim=1, descending=True, stable=True)
    place = torch.erf(u.abs() * 0.5 ** 0.5).unsqueeze(1)
    rank = (chance.cumsum(dim=1) <= place).sum(dim=1, keepdim=True)
    return order.gather(1, rank.clamp_max(logits.shape[1] - 1))


def _of_mode(parts: Float[Tensor, 'E J *n B'], chosen: Tensor) -> Float[Tensor, 'E *n B']:
    """Take each row's own mode."""
    index = chosen.reshape(len(parts), 1, *(1,) * (parts.dim() - 3), -1)
    return parts.gather(1, index.expand(-1, -1, *parts.shape[2:])).squeeze(1)
