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


class Hypotheses(nn.Module):
    """
    An ensemble, which can become any robot, and a mechanism, which needs a second of motion.

    Every prediction is that of the one that is believed; both have the same
    members, latent and units.

    :param layout: the robot; ``layout.is_mechanism`` must hold.
    :param settings: members and width.
    :param generator: draws the ensemble's initial weights.
    """

    believed: Tensor

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator) -> None:
        """Believe the ensemble."""
        super().__init__()
        self.ensemble = EnsembleDynamics(layout, settings, generator)
        self.rigid = RigidBodyDynamics(layout, settings.members)
        # 1: the mechanism. A tensor, for it travels with the weights.
        self.register_buffer('believed', torch.zeros(1))
        self._mechanical = False

    @property
    def members(self) -> int:
        """E, the number of ensemble members."""
        return self.ensemble.members

    @property
    def latent_size(self) -> int:
        """Z = S: one component of z per state coordinate."""
        return self.ensemble.latent_size

    @property
    def mechanical(self) -> bool:
        """Whether it is the mechanism that is believed."""
        return self._mechanical

    def believe(self, mechanical: bool) -> None:
        """Choose whose predictions count."""
        self.believed.fill_(float(mechanical))
        self._mechanical = mechanical

    def step(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B S']:
        """Predict one control period ahead, see ``protocols.Dynamics``."""
        if state.device.type == 'cpu':
            return self._chosen.step(state, action, z)
        # What was recorded on a device cannot branch: both, of which one is taken.
        return torch.where(self.believed > 0, self.rigid.step(state, action, z),
                           self.ensemble.step(state, action, z))

    def whole(self, like: Tensor, count: int) -> bool:
        """Tell whether :meth:`follow` and :meth:`linearise` may be called, and pay off."""
        return self._chosen.whole(like, count)

    def follow(self, start: Float[Tensor, ' S'], base: Float[Tensor, 'K T A'],
               reference: Float[Tensor, 'G T S'], gains: Float[Tensor, 'G T A S'],
               closed: Float[Tensor, ' K'], low: Float[Tensor, ' A'], high: Float[Tensor, ' A']
               ) -> tuple[Float[Tensor, 'K T A'], Float[Tensor, 'G K T1 S']]:
        """Roll out with feedback, see ``protocols.Trajectories``."""
        return self._chosen.follow(start, base, reference, gains, closed, low, high)

    def linearise(self, states: Float[Tensor, 'G T S'],
                  actions: Float[Tensor, 'T A']) -> Float[Tensor, 'G T S N']:
        """Differentiate each step, see ``protocols.Trajectories``."""
        return self._chosen.linearise(states, actions)

    def export(self) -> dict[str, Tensor]:
        """Copy parameters and scales, for an artefact."""
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take parameters and scales from an artefact whose shapes have been checked."""
        for name, part in (('ensemble', self.ensemble), ('rigid', self.rigid)):
            part.load({key.removeprefix(f'{name}.'): value for key, value in tensors.items()
                       if key.startswith(f'{name}.')})
        self.believe(bool(tensors['believed'][0] > 0))

    @property
    def _chosen(self) -> EnsembleDynamics | RigidBodyDynamics:
        return self.rigid if self._mechanical else self.ensemble
