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

"""What training has changed, copied and taken back."""

from collections.abc import Mapping

import torch
from torch import Tensor

from hlai_control.learning.adam import Adam
from hlai_control.world_model.structure import StructuredDynamics


def copied(dynamics: StructuredDynamics, optimiser: Adam,
           generator: torch.Generator) -> dict[str, Tensor]:
    """Copy weights, the optimiser's state and that of the random numbers."""
    found = {f'dynamics.{name}': value for name, value in dynamics.export().items()}
    found |= {f'optimiser.{name}': value for name, value in optimiser.state().items()}
    return found | {'generator': generator.get_state()}


def take_back(progress: Mapping[str, Tensor], dynamics: StructuredDynamics, optimiser: Adam,
              generator: torch.Generator) -> None:
    """Put all as it was when :func:`copied` was called."""
    dynamics.load(_of('dynamics.', progress))
    optimiser.load(_of('optimiser.', progress))
    generator.set_state(progress['generator'])


def _of(prefix: str, progress: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in progress.items()
            if name.startswith(prefix)}
