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
from hlai_control.actor.given import check
from hlai_control.actor.noise import shaping
from hlai_control.actor.sampling import Found, to_plan
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import DdpSettings, HybridSettings, PlannerSettings
from hlai_control.types import Budget, Plan


class DeviceHybridPlanner:
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
        self._shape = shaping(settings)
        limits = torch.tensor([layout.action_low, layout.action_high], dtype=torch.float64)
        half = 0.5 * (limits[1] - limits[0])
        scale = torch.logspace(-1.3, 0.0, (proposing or HybridSettings()).samples).double()
        self._scale = settings.spread * scale[:, None, None] * half

    @torch.inference_mode(False)
    @torch.no_grad()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``, refining until the budget is spent.

        :param start: state at the moment the first command takes effect.
        :param warm: the previous tick's plan, not yet shifted.
        :param budget: one iteration is one second-order step.
        :param generator: on the device of ``start``.
        :raises PlanError: if no proposal has a finite energy.
        :raises SettingsError: if the problem's risk looks at single scenarios.
        :raises ShapeError: if axes or devices do not fit together.
        """
        check(self.layout, start, problem, warm, generator)
        start = start.clone()
        return to_plan(*self.search(start, self.resume(start, warm), problem, budget, generator))

    def resume(self, start: Float[Tensor, ' S'], warm: Plan | None) -> Reference:
        """Move the previous plan on by one tick."""
        self._shape, self._scale = self._shape.to(start), self._scale.to(start)
        return self._ddp.resume(start, warm)

    def search(self, start: Float[Tensor, ' S'], resumed: Reference, problem: Problem,
               budget: Budget, generator: torch.Generator) -> tuple[Found, int]:
        """
        Propose and refine without ever waiting for the device.

        :returns: the result, and how many refinements were made.
        :raises SettingsError: if the problem's risk looks at single scenarios.
        """
        white = torch.randn(len(self._scale), self._scale.shape[-1], self._shape.shape[1],
                            generator=generator, device=start.device, dtype=start.dtype)
        noise = self._scale * (white @ self._shape.T).mT
        return self._ddp.search_among(start, resumed, noise, problem, budget)
