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

"""Two hypotheses about a robot in one world model, of which the better one is believed."""

from collections.abc import Mapping

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.layout import Layout
from hlai_control.settings import WorldModelSettings
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.rigid_body import RigidBodyDynamics

_PARTS = ('ensemble', 'mechanism')


class Hypotheses(nn.Module):
    """
    The ensemble, which can be any robot, and the mechanism, which needs a second of motion.

    :param layout: the robot; ``mechanism.is_mechanism`` must hold.
    :param settings: members and width.
    :param generator: draws the initial weights.
    """

    believed: Tensor

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator) -> None:
        """Believe the ensemble."""
        super().__init__()
        self.ensemble = EnsembleDynamics(layout, settings, generator)
        self.mechanism = RigidBodyDynamics(layout, settings.members)
        self.register_buffer('believed', torch.zeros(1))
        self._mechanical = False

    @property
    def _now(self) -> EnsembleDynamics | RigidBodyDynamics:
        return self.mechanism if self._mechanical else self.ensemble

    @property
    def members(self) -> int:
        return self.ensemble.members

    @property
    def latent_size(self) -> int:
        return self.ensemble.latent_size

    def believe(self, mechanism: bool) -> None:
        self.believed.fill_(float(mechanism))
        self._mechanical = mechanism

    def step(self, state, action, z=None):
        return self._now.step(state, action, z)

    def whole(self, like, count):
        return self._now.whole(like, count)

    def follow(self, *args):
        return self._now.follow(*args)

    def linearise(self, *args):
        return self._now.linearise(*args)

    def export(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.load_state_dict(dict(tensors))
        self.ensemble.fold()
        self.mechanism.load(self.mechanism.export())
        self.believe(bool(tensors['believed'][0] > 0))
