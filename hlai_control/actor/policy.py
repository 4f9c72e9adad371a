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

"""The policy's network: a[t] = P(s[t]), within the limits, and mirrored where the robot is."""

from collections.abc import Mapping

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.layout import Layout
from hlai_control.learning.networks import MirrorTrunk
from hlai_control.settings import PolicySettings
from hlai_control.world_model.features import Features


class PolicyNetwork(nn.Module):
    """
    P(s) = middle + half range * tanh(MLP(features of s)).

    The mirrored state has exactly the mirrored command: a command that flips
    in the mirror is read off the trunk's odd features, without a bias, any
    other off its even ones. The last layer begins blind, so an untrained
    policy answers the middle of the limits.

    :param layout: the robot; commands that flip have limits that are alike on both sides.
    :param settings: width.
    :param generator: draws the initial weights.
    """

    middle: Tensor
    reach: Tensor
    odd: Tensor

    def __init__(self, layout: Layout, settings: PolicySettings,
                 generator: torch.Generator) -> None:
        """Begin with the middle of the limits everywhere."""
        super().__init__()
        self.features = Features(layout, tuple(range(layout.state_size)))
        self.trunk = MirrorTrunk(1, self.features.signs, layout.has_mirror, settings.hidden, 1.0,
                                 generator)
        low, high = torch.tensor(layout.action_low), torch.tensor(layout.action_high)
        self.register_buffer('middle', 0.5 * (low + high), persistent=False)
        self.register_buffer('reach', 0.5 * (high - low), persistent=False)
        self.register_buffer('odd', torch.tensor(layout.mirror_actions) < 0, persistent=False)
        self.weight = nn.Parameter(torch.zeros(self.trunk.free, layout.action_size))
        self.bias = nn.Parameter(torch.zeros(layout.action_size))

    def action(self, state: Float[Tensor, '*B S']) -> Float[Tensor, '*B A']:
        """
        Answer states, within the limits.

        :param state: states, SI units.
        :returns: one command each; NaN for NaN.
        """
        inputs = self.features(state).reshape(1, -1, len(self.features.signs))
        hidden = self.trunk(inputs)
        even = self.trunk.basis(hidden, 1.0) @ self.weight + self.bias
        odd = self.trunk.basis(hidden, -1.0) @ self.weight
        push = torch.tanh(torch.where(self.odd, odd, even)[0])
        return (self.middle + self.reach * push).reshape(*state.shape[:-1], -1)

    def export(self) -> dict[str, Tensor]:
        """Copy parameters and scales, for an artefact."""
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take parameters and scales from an artefact whose shapes have been checked."""
        self.load_state_dict(dict(tensors))
