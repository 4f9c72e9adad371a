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

"""The problems and sizes of ``gpu_checks.py``."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.critic.value import ValueNetwork
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.settings import CriticSettings, PlannerSettings, WorldModelSettings
from hlai_control.types import generator
from hlai_control.world_model.ensemble import EnsembleDynamics

CARTPOLE = Layout(
    robot='cartpole', positions=('cart.x', 'pole.angle'), actions=('cart.force',),
    period_s=0.05, delay_ticks=1, angle=(False, True), invariant=(True, False),
    mirror_positions=(-1.0, -1.0), mirror_actions=(-1.0,), action_low=(-10.0,),
    action_high=(10.0,), noise_std=(0.01,) * 4)
DRIVE = Layout(
    robot='drive', positions=('x', 'y', 'yaw'), actions=('forward', 'turn'), period_s=0.02,
    delay_ticks=0, angle=(False, False, True), invariant=(False,) * 3,
    mirror_positions=(1.0,) * 3, mirror_actions=(1.0,) * 2, action_low=(-0.5, -2.0),
    action_high=(1.0, 2.0), noise_std=(0.01,) * 6)
SWING = CostSpec(task='swingup', discount=0.98, terms=(
    TermSpec('upright', 'angle', 'pole.angle', 1.0, goal=3.141592653589793),
    TermSpec('centre', 'quadratic', 'cart.x', 0.5),
    TermSpec('effort', 'quadratic', 'cart.force', 0.0005),
    TermSpec('rail', 'barrier', 'cart.x', 100.0, limit=1.6)))


@dataclass(frozen=True)
class Size:
    """
    How large the checks are.

    :param judged: whether times are held against their limits.
    """

    device: torch.device
    plans: int
    candidates: int
    horizon: int
    members: int
    hidden: int
    drive_steps: int
    scaling: tuple[int, ...]
    judged: bool


def chosen(device: str, plans: int) -> Size:
    """Full size on a GPU, small elsewhere."""
    if device == 'cuda':
        return Size(torch.device('cuda', 0), plans, 1024, 30, 5, 128, 100,
                    tuple(2 ** k for k in range(8, 17)), True)
    return Size(torch.device(device), min(plans, 20), 64, 5, 2, 16, 10, (64, 128), False)


class Drive:
    """A differential drive: forward speed and turning rate take effect at once."""

    members, latent_size = 1, 0

    def step(self, state: Tensor, action: Tensor, z: Tensor | None = None) -> Tensor:
        """Roll on by one period along the mean heading."""
        x, y, yaw = state[..., :3].unbind(dim=-1)
        forward, turn = action.expand(*state.shape[:-1], 2).unbind(dim=-1)
        middle = torch.add(yaw, turn, alpha=0.5 * DRIVE.period_s)
        dx, dy = forward * torch.cos(middle), forward * torch.sin(middle)
        rates = torch.stack([dx, dy, turn], dim=-1)
        moved = torch.add(torch.stack([x, y, yaw], dim=-1), rates, alpha=DRIVE.period_s)
        return torch.cat([moved, rates], dim=-1)


class MapCost(torch.nn.Module):
    """What the cell below the robot costs, and how far the goal is: no derivative needed."""

    names = ('map', 'goal')
    cells: Tensor

    def __init__(self) -> None:
        """Scatter obstacles over 20 x 20 m, 0.1 m a cell."""
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.register_buffer('cells', (torch.rand(200, 200, generator=draw) < 0.05).float())

    def terms(self, state: Tensor, action: Tensor) -> Tensor:
        """Cost of the cell, and distance to (3, 3)."""
        place = ((state[..., :2] + 10.0) * 10.0).clamp(0.0, 199.0).long()
        cell = torch.take(self.cells, place[..., 0] * 200 + place[..., 1])
        return torch.stack([100.0 * cell, (state[..., :2] - 3.0).norm(dim=-1)], dim=-1)

    def stage(self, state: Tensor, action: Tensor) -> Tensor:
        """Sum of both."""
        return self.terms(state, action).sum(dim=-1)


def ensemble(size: Size, seed: int = 0) -> EnsembleDynamics:
    """Return a world model with random weights, on the device."""
    shape = WorldModelSettings(members=size.members, hidden=size.hidden)
    dynamics = EnsembleDynamics(CARTPOLE, shape, generator(seed, 'world_model'))
    with torch.no_grad():
        dynamics.coefficients.normal_(std=0.3, generator=torch.Generator().manual_seed(seed))
    dynamics.fold()
    return dynamics.to(size.device)


def swinging(size: Size, dynamics: EnsembleDynamics) -> Problem:
    """Put cost and critic beside a world model."""
    critic = ValueNetwork(CARTPOLE, CriticSettings(), generator(0, 'critic'))
    return Problem(dynamics, TaskCost(CARTPOLE, SWING).to(size.device), critic.to(size.device),
                   SWING.discount)


def settings(size: Size, candidates: int) -> PlannerSettings:
    """Return the candidates and horizon of one check."""
    return PlannerSettings(candidates=candidates, horizon=size.horizon,
                           elites=min(64, candidates))


def random(size: Size, seed: int = 0) -> torch.Generator:
    """Return a generator on the device."""
    return torch.Generator(size.device).manual_seed(seed)


def slanted(size: Size) -> Tensor:
    """Return a state in which something must be done."""
    return torch.tensor([0.1, 0.5, 0.3, -0.2], device=size.device)
