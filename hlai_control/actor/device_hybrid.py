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

"""The hybrid planner that stays on its device, for a CUDA graph."""

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.device_ddp import DeviceDdpPlanner, Reference
from hlai_control.actor.noise import shaping
from hlai_control.actor.searching import AtHand, DevicePlanner, Found
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import DdpSettings, HybridSettings, PlannerSettings
from hlai_control.types import Budget, Plan


class DeviceHybridPlanner(DevicePlanner):
    """
    :class:`HybridPlanner` on the mean of the members, in tensor operations alone.

    The same proposals, the best of them refined by :class:`DeviceDdpPlanner`.
    Always just one is refined, and there are as many random ones without a
    previous plan as with one: samples cost a device next to nothing, so give
    it many. On a CPU, :class:`HybridPlanner` is much faster.

    :param layout: limits of the commands.
    :param settings: horizon and noise.
    :param proposing: number of random proposals.
    :param refining: of the second-order steps.
    """

    def __init__(self, layout: Layout, settings: PlannerSettings,
                 proposing: HybridSettings | None = None,
                 refining: DdpSettings | None = None) -> None:
        """Precompute the matrix that shapes the noise, and the scales of the proposals."""
        self.layout = layout
        self._ddp = DeviceDdpPlanner(layout, settings.horizon, refining)
        limits = torch.tensor([layout.action_low, layout.action_high], dtype=torch.float64)
        half = 0.5 * (limits[1] - limits[0])
        scale = torch.logspace(-1.3, 0.0, (proposing or HybridSettings()).samples).double()
        self._at_hand = AtHand(shaping(settings), settings.spread * scale[:, None, None] * half)

    def resume(self, start: Float[Tensor, ' S'], warm: Plan | None) -> Reference:
        """Move the previous plan on by one tick."""
        return self._ddp.resume(start, warm)

    def search(self, start: Float[Tensor, ' S'], resumed: Reference, problem: Problem,
               budget: Budget, generator: torch.Generator) -> tuple[Found, int]:
        """
        Propose and refine without ever waiting for the device.

        :returns: the result, and how many refinements were made.
        :raises SettingsError: if the problem's risk looks at single scenarios.
        """
        shape, scale = self._at_hand.like(start)
        white = torch.randn(len(scale), scale.shape[-1], shape.shape[1], generator=generator,
                            device=start.device, dtype=start.dtype)
        noise = scale * (white @ shape.T).mT
        return self._ddp.search_among(start, resumed, noise, problem, budget)
