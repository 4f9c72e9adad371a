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

"""Where the engine computes: the CPU, or a device that plans are brought to on purpose."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.actor.planners import make_device_planner, make_planner, PlanningSettings
from hlai_control.errors import SettingsError
from hlai_control.layout import Layout
from hlai_control.protocols import Planner
from hlai_control.types import Estimate, generator

M = TypeVar('M', bound=nn.Module)


@dataclass(frozen=True)
class Place:
    """
    One device, and the planners made for it.

    :param device: of world model, cost, critic, plans and random numbers.
    :param make: makes a planner for it.
    :param records: whether the first plan of each sort is slow there, because
        its search is recorded.
    """

    device: torch.device
    make: Callable[[Layout, PlanningSettings], Planner]
    records: bool

    def generator(self, seed: int, module: str) -> torch.Generator:
        """Return the random numbers of a module there, see ``types.generator``."""
        own = generator(seed, module)
        # Numbers drawn for shapes alone (device meta) have no generator of their own.
        if self.device.type in ('cpu', 'meta'):
            return own
        return torch.Generator(self.device).manual_seed(own.initial_seed())

    def settle(self, module: M) -> M:
        """Bring a world model, critic or cost there, for good."""
        return module.to(self.device)

    def bring(self, estimate: Estimate, pending: Float[Tensor, 'D A'],
              last: Float[Tensor, ' A']) -> tuple[Estimate, Tensor, Tensor]:
        """
        Bring what a tick begins with there: the one transfer from the host.

        :param estimate: the state.
        :param pending: commands on their way.
        :param last: the command sent last.
        """
        parts = (estimate.mean, estimate.std, pending, last)
        there = torch.cat([part.flatten() for part in parts]).to(self.device)
        mean, std, flat, sent = there.split([part.numel() for part in parts])
        return Estimate(mean, std), flat.view_as(pending), sent


def place(name: str) -> Place:
    """
    Find the device that the setting ``planner.device`` names.

    :raises SettingsError: if it is not here; with what to do about it.
    """
    here = torch.cuda.is_available()
    if name == 'cuda' and not here:
        build = torch.version.cuda
        why = 'a build for CPUs only' if build is None else f'built for CUDA {build}'
        raise SettingsError(
            f'planner.device = {name!r}, but torch {torch.__version__} ({why}) sees no GPU; '
            'valid here: cpu, auto; for a GPU install its driver and a CUDA build of torch '
            '(HLAI_TORCH_INDEX=default scripts/setup_venv), then look at hlai doctor')
    if name == 'cpu' or not here:
        return Place(torch.device('cpu'), make_planner, records=False)
    return Place(torch.device('cuda', torch.cuda.current_device()), make_device_planner,
                 records=True)
