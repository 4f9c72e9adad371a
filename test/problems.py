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

"""Planning problems with known answers, in float64, for the tests of the planners."""

from dataclasses import replace
from math import pi

import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.rollout import energy, roll_out
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.settings import WorldModelSettings
from hlai_control.types import generator
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.linear import LinearDynamics

START = torch.tensor([1.0, 0.5]).double()
HORIZON = 12
WIDE = replace(MASS, action_low=(-100.0,), action_high=(100.0,))
LINEAR = LinearDynamics(torch.tensor([[1.0, 0.125], [0.0, 1.0]]).double(),
                        torch.tensor([[0.0078125], [0.125]]).double())
# Weights that float32 holds exactly.
QUADRATIC = TaskCost(MASS, CostSpec('test', 1.0, (
    TermSpec('x', 'quadratic', 'x', 1.0), TermSpec('v', 'quadratic', 'x/rate', 0.125),
    TermSpec('u', 'quadratic', 'push', 0.0078125)))).double()
SWING = TaskCost(CARTPOLE, CostSpec('swing', 0.98, (
    TermSpec('upright', 'angle', 'pole.angle', 1.0, goal=pi),
    TermSpec('centre', 'quadratic', 'cart.x', 0.5),
    TermSpec('effort', 'quadratic', 'cart.force', 0.0005),
    TermSpec('rail', 'barrier', 'cart.x', 100.0, limit=0.5)))).double()


class LastStage:
    """V(s) = x^2 + v^2 / 8."""

    def value(self, state: torch.Tensor) -> torch.Tensor:
        return state[..., 0].square() + 0.125 * state[..., 1].square()


def lqr(horizon: int = HORIZON) -> tuple[float, list[torch.Tensor]]:
    """Cost to go from START and the gains, by the finite-horizon Riccati recursion."""
    a, b = LINEAR.transition, LINEAR.control
    q, r = torch.diag(torch.tensor([1.0, 0.125])).double(), torch.tensor([[0.0078125]]).double()
    p, gains = q, []
    for _ in range(horizon):
        gains.insert(0, -torch.linalg.solve(r + b.T @ p @ b, b.T @ p @ a))
        p = q + a.T @ p @ (a + b @ gains[0])
    return float(START @ p @ START), gains


class CartPole:
    """PILCO's cart-pole, written out; one midpoint step per control period."""

    members, latent_size = 1, 0

    def step(self, state, action, z=None):
        dt = CARTPOLE.period_s
        middle = state + 0.5 * dt * self.rates(state, action[..., 0])
        return state + dt * self.rates(middle, action[..., 0])

    @staticmethod
    def rates(state, force):
        """M = m = 0.5 kg, l = 0.5 m, b = 0.1 N s/m."""
        _, angle, dx, spin = state.unbind(dim=-1)
        s, c, push = torch.sin(angle), torch.cos(angle), force - 0.1 * dx
        ddx = (0.5 * spin ** 2 * s + 1.5 * 9.81 * s * c + 4 * push) / (4.0 - 1.5 * c ** 2)
        turn = (-0.75 * spin ** 2 * s * c - 6 * 9.81 * s - 6 * push * c) / (2.0 - 0.75 * c ** 2)
        return torch.stack([dx, spin, ddx, turn], dim=-1)


class Cliff(CartPole):
    """Pushing harder than 3 N to either side gives no number at all."""

    def step(self, state, action, z=None):
        return torch.where(action.abs() > 3.0, torch.nan, super().step(state, action))


def random_ensemble() -> EnsembleDynamics:
    """Three members with random coefficients, tame enough for a long horizon."""
    dynamics = EnsembleDynamics(CARTPOLE, WorldModelSettings(members=3, hidden=8),
                                generator(0, 'test'))
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        dynamics.coefficients.normal_(std=0.3, generator=draw)
        dynamics.monomials.rate.fill_(5.0)
        dynamics.acceleration.fill_(3.0)
    return dynamics.double()


def total_energy(start, actions, problem):
    """F as a differentiable function of the actions alone."""
    states = roll_out(start, actions.unsqueeze(0), problem.dynamics)
    return energy(states, actions.unsqueeze(0), problem)[0]


def slope(start, actions, problem):
    """DF / da by autograd."""
    actions = actions.clone().requires_grad_()
    found, = torch.autograd.grad(
        total_energy(start, actions, problem), actions)
    return found


def optimality_gap(actions, gradient, low, high):
    """Greatest violation of the conditions for a minimum within limits (Karush-Kuhn-Tucker)."""
    inward = torch.where(actions <= low, gradient.clamp_max(0.0), gradient)
    inward = torch.where(actions >= high, inward.clamp_min(0.0), inward)
    return float(inward.abs().max())
