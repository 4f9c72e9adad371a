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

from hlai_control.world_model.ensemble import EnsembleDynamics


def copied(dynamics: EnsembleDynamics, optimiser: torch.optim.Optimizer,
           generator: torch.Generator) -> dict[str, Tensor]:
    """Copy weights, the optimiser's state and that of the random numbers."""
    found = {f'dynamics.{name}': value for name, value in dynamics.export().items()}
    for number, state in optimiser.state_dict()['state'].items():
        found |= {f'optimiser.{number}.{name}': value.clone() for name, value in state.items()}
    return found | {'generator': generator.get_state()}


def take_back(progress: Mapping[str, Tensor], dynamics: EnsembleDynamics,
              optimiser: torch.optim.Optimizer, generator: torch.Generator) -> None:
    """Put all as it was when :func:`copied` was called."""
    dynamics.load({name.removeprefix('dynamics.'): value
                   for name, value in progress.items() if name.startswith('dynamics.')})
    steps: dict[int, dict[str, Tensor]] = {}
    for name, value in progress.items():
        if name.startswith('optimiser.'):
            _, number, key = name.split('.')
            steps.setdefault(int(number), {})[key] = value.clone()
    optimiser.load_state_dict(optimiser.state_dict() | {'state': steps})
    generator.set_state(progress['generator'])
