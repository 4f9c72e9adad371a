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

"""Planners of other packages on the same problem and device, for ``gpu_checks.py``."""

from collections.abc import Callable
from importlib.util import find_spec

from gpu_problems import CARTPOLE, Size
import torch

from hlai_control.bench.peers import Following, Units
from hlai_control.protocols import Problem

# Iterations of one plan, theirs and ours.
ROUNDS = {'pytorch-mppi MPPI': 1, 'torchrl MPPI': 3, 'torchrl CEM': 3}


def installed() -> list[str]:
    """Name the peers that are here; ``make bench-setup`` installs them."""
    packages = {'pytorch-mppi': 'pytorch_mppi', 'torchrl': 'torchrl'}
    return [name for name in ROUNDS if find_spec(packages[name.split()[0]]) is not None]


def peer(name: str, size: Size, problem: Problem) -> Callable[[], float]:
    """
    Set a planner up once; return what plans with it and hands over the first command.

    :param name: one of ``ROUNDS``.
    """
    own = Units.of(CARTPOLE)
    units = Units(own.middle.to(size.device), own.half.to(size.device))
    model = Following(problem, CARTPOLE.state_size, size.horizon)
    begin = model.begin(torch.zeros(CARTPOLE.state_size, device=size.device))
    make = _pytorch_mppi if name.startswith('pytorch') else _torchrl
    return make(name, size, model, units, begin)


def _pytorch_mppi(name: str, size: Size, model: Following, units: Units,
                  begin: torch.Tensor) -> Callable[[], float]:
    from pytorch_mppi import MPPI
    one = torch.ones(1, device=size.device)
    controller = MPPI(
        dynamics=lambda state, action, t: model.step(state, units.physical(action), t),
        running_cost=lambda state, action, t: state.new_zeros(len(state)),
        terminal_state_cost=lambda states, actions: states[..., -1, -1],
        nx=model.width, noise_sigma=torch.eye(1, device=size.device),
        num_samples=size.candidates, horizon=size.horizon, u_min=-one, u_max=one, lambda_=0.1,
        step_dependent_dynamics=True, device=size.device)

    @torch.inference_mode()
    def plan() -> float:
        return float(controller.command(begin).flatten()[0])
    return plan


def _torchrl(name: str, size: Size, model: Following, units: Units,
             begin: torch.Tensor) -> Callable[[], float]:
    from hlai_control.bench.torchrl_model import ImaginedEnv, planner
    environment = ImaginedEnv(model, units.physical, 1, size.horizon).to(size.device)
    search = planner(environment, name.endswith('MPPI'), size.horizon, ROUNDS[name],
                     size.candidates, max(size.candidates // 10, 2)).to(size.device)

    @torch.no_grad()
    def plan() -> float:
        return float(search(environment.start(begin))['action'].flatten()[0])
    return plan
