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


"""The critic's networks: V(s), anticipated cost, at least zero and never above a ceiling."""

from collections.abc import Mapping

from jaxtyping import Float
import torch
from torch import nn, Tensor
from torch.nn.functional import softplus

from hlai_control.layout import Layout
from hlai_control.learning.networks import MirrorMlp
from hlai_control.settings import CriticSettings
from hlai_control.world_model.features import Features

# softplus(-3) = 0.05: training begins just above zero, the value of an empty horizon, from
# where value iteration climbs through the optimal costs of ever longer ones.
_START = -3.0
# Added to the members' variance, as a share of the squared unit: their spread then has a slope
# where they agree, too.
_AGREED = 1e-8


class ValueNetwork(nn.Module):
    """
    V(s) = trust * (mean over E of V_e(s) + pessimism * their standard deviation).

    V_e(s) = min(unit * softplus(MLP_e(features of s)), ceiling). Each member
    is fitted to its own share of the data, so they differ where there is none;
    what that says about a state may be charged for (``critic.pessimism``).

    All positions are seen, also those on which the dynamics do not depend,
    since the cost may; a mirrored state has exactly the same value. The last
    layer begins blind, so an untrained critic is constant: added to every
    candidate alike, it cannot change which plan wins. ``trust``, 0 .. 1, is
    what the critic has earned on real steps that it had not yet learned from.

    :param layout: the robot.
    :param settings: members, width, pessimism.
    :param generator: draws the initial weights.
    """

    unit: Tensor
    trust: Tensor
    ceiling: Tensor

    def __init__(self, layout: Layout, settings: CriticSettings,
                 generator: torch.Generator) -> None:
        """Begin with a constant value."""
        super().__init__()
        self.features = Features(layout, tuple(range(layout.state_size)))
        self._pessimism = settings.pessimism
        self.network = MirrorMlp(settings.members, self.features.signs, settings.hidden, _START,
                                 generator)
        self.register_buffer('unit', torch.ones(()))
        self.register_buffer('trust', torch.zeros(()))
        self.register_buffer('ceiling', torch.full((), torch.finfo(torch.float32).max))

    def value(self, state: Float[Tensor, '*B S']) -> Float[Tensor, ' *B']:
        """
        Anticipate the cost, as far as it is to be trusted.

        :param state: states, SI units.
        :returns: expected discounted sum of stage costs from there on; NaN for NaN.
        """
        return self.trust * self.untempered(state)

    def untempered(self, state: Float[Tensor, '*B S']) -> Float[Tensor, ' *B']:
        """Anticipate the cost as if fully trusted."""
        each = self.each(state)
        return each.mean(dim=0) + self._pessimism * self._spread(each)

    def spread(self, state: Float[Tensor, '*B S']) -> Float[Tensor, ' *B']:
        """Measure how far the members are apart: one standard deviation."""
        return self._spread(self.each(state))

    def each(self, state: Float[Tensor, '*B S']) -> Float[Tensor, 'E ...']:
        """Ask every member; what the learner fits."""
        inputs = self.features(state).reshape(-1, len(self.features.signs))
        out = softplus(self.network(inputs)) * self.unit
        return torch.minimum(out, self.ceiling).reshape(-1, *state.shape[:-1])

    def _spread(self, each: Tensor) -> Tensor:
        variance = (each - each.mean(dim=0)).square().mean(dim=0)
        return (variance + _AGREED * self.unit.square()).sqrt()

    def expansion(self, state: Float[Tensor, 'B S']
                  ) -> tuple[Float[Tensor, 'B S'], Float[Tensor, 'B S S']]:
        """
        Differentiate :meth:`value` twice, in closed form.

        :param state: states, SI units.
        :returns: gradient and Hessian.
        """
        each, gradients, hessians = self._expansions(state)
        gradient, hessian = gradients.mean(dim=0), hessians.mean(dim=0)
        if self._pessimism:
            # std = (mean of d^2 + tiny)^(1/2) with d = V_e - mean; d^2 twice by the chain rule.
            off, lean = each - each.mean(dim=0), gradients - gradient
            spread = self._spread(each)
            slope = (off.unsqueeze(-1) * lean).mean(dim=0) / spread.unsqueeze(-1)
            bend = (lean.unsqueeze(-1) * lean.unsqueeze(-2)
                    + off[..., None, None] * (hessians - hessian)).mean(dim=0)
            bend = bend / spread[:, None, None] - (
                slope.unsqueeze(-1) * slope.unsqueeze(-2)) / spread[:, None, None]
            gradient = gradient + self._pessimism * slope
            hessian = hessian + self._pessimism * bend
        return self.trust * gradient, self.trust * hessian

    def _expansions(self, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate each member with its derivatives: E B, E B S, E B S S."""
        inputs, slopes, curves = self.features.expansion(state)
        out, gradient, hessian = self.network.expansion(inputs)
        # By the chain rule: first to the state, then through softplus and the ceiling.
        curved = (gradient.unsqueeze(-1) * curves).sum(dim=2)
        gradient = (gradient.unsqueeze(2) @ slopes).squeeze(2)
        hessian = slopes.mT @ hessian @ slopes + torch.diag_embed(curved)
        gate, value = torch.sigmoid(out), softplus(out) * self.unit
        free = gate * self.unit * (value < self.ceiling)
        outer = gradient.unsqueeze(-1) * gradient.unsqueeze(-2)
        bent = hessian + (1.0 - gate)[..., None, None] * outer
        return (torch.minimum(value, self.ceiling), free.unsqueeze(-1) * gradient,
                free[..., None, None] * bent)

    def export(self) -> dict[str, Tensor]:
        """Copy parameters and scales, for an artefact."""
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take parameters and scales from an artefact whose shapes have been checked."""
        self.load_state_dict(dict(tensors))
