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


"""The critic's network: V(s), anticipated cost, at least zero and never above a ceiling."""

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


class ValueNetwork(nn.Module):
    """
    V(s) = trust * min(unit * softplus(MLP(features of s)), ceiling).

    All positions are seen, also those on which the dynamics do not depend,
    since the cost may; a mirrored state has exactly the same value. The last
    layer begins blind, so an untrained critic is constant: added to every
    candidate alike, it cannot change which plan wins. ``trust``, 0 .. 1, is
    what the critic has earned on real steps that it had not yet learned from.

    :param layout: the robot.
    :param settings: width.
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
        self.network = MirrorMlp(self.features.signs, settings.hidden, _START, generator)
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
        """Anticipate the cost as if fully trusted: what the learner fits."""
        inputs = self.features(state).reshape(1, -1, len(self.features.signs))
        out = softplus(self.network(inputs)) * self.unit
        return torch.minimum(out, self.ceiling).reshape(state.shape[:-1])

    def expansion(self, state: Float[Tensor, 'B S']
                  ) -> tuple[Float[Tensor, 'B S'], Float[Tensor, 'B S S']]:
        """
        Differentiate :meth:`value` twice, in closed form.

        :param state: states, SI units.
        :returns: gradient and Hessian.
        """
        inputs, slopes, curves = self.features.expansion(state)
        out, gradient, hessian = self.network.expansion(inputs)
        # By the chain rule: first to the state, then through softplus and the ceiling.
        curved = (gradient.unsqueeze(-1) * curves).sum(dim=1)
        gradient = (gradient.unsqueeze(1) @ slopes)[:, 0]
        hessian = slopes.mT @ hessian @ slopes + torch.diag_embed(curved)
        gate = torch.sigmoid(out)
        free = self.trust * self.unit * (softplus(out) * self.unit < self.ceiling)
        outer = gradient.unsqueeze(-1) * gradient.unsqueeze(1)
        return ((free * gate).unsqueeze(-1) * gradient,
                (free * gate)[:, None, None] * (hessian + (1.0 - gate)[:, None, None] * outer))

    def export(self) -> dict[str, Tensor]:
        """Copy parameters and scales, for an artefact."""
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take parameters and scales from an artefact whose shapes have been checked."""
        self.load_state_dict(dict(tensors))
