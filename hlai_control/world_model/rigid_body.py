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

"""The world model of a mechanism: Euler-Lagrange equations with learned coefficients."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.layout import Layout
from hlai_control.types import Batch
from hlai_control.world_model.looped import Looped
from hlai_control.world_model.mechanism import Mechanism
from hlai_control.world_model.residuals import moving_noise
from hlai_control.world_model.steps import turning, wrapped

if TYPE_CHECKING:
    from hlai_control.world_model.trajectories import CompiledTrajectories

# A bound that no motion reaches, and that squares without overflow.
_UNBOUNDED = 1e9
# Trajectories, counted over all members, up to which compiled loops are faster on a CPU.
_FEW = 4096
# Typical changes of rates are at least so large.
_LEAST = 1e-6


class RigidBodyDynamics(nn.Module, Looped):
    """
    E members, each a :class:`Mechanism` with coefficients of its own.

    Integration is by one Runge-Kutta step of 4th order per control period.
    Rates and accelerations far beyond what was ever seen count as if they
    were at that bound: coefficients of which little is known yet must not
    make an imagined trajectory overflow. As in the ensemble,
    ``s' = mean + std * z`` with z ~ N(0, I) and Z = S; the std of each state
    coordinate grows with the change of the rates.

    :param layout: the robot; ``layout.is_mechanism`` must hold.
    :param members: E.
    """

    inertia: Tensor
    potential: Tensor
    friction: Tensor
    still: Tensor
    growth: Tensor
    typical: Tensor
    fastest: Tensor
    sharpest: Tensor

    def __init__(self, layout: Layout, members: int) -> None:
        """Begin as unit masses that nothing but commands moves."""
        super().__init__()
        self.mechanism = Mechanism(layout)
        self.count, self._dt, self._members = len(layout.positions), layout.period_s, members
        products = len(self.mechanism.basis.parity)
        inertia = torch.zeros(members, products, self.count, self.count)
        inertia[:, 0] = torch.eye(self.count)
        self.register_buffer('inertia', inertia)
        self.register_buffer('potential', torch.zeros(members, products))
        self.register_buffer('friction', torch.zeros(members, self.count))
        self.register_buffer('still', torch.zeros(2 * self.count))
        self.register_buffer('growth', torch.zeros(2 * self.count))
        self.register_buffer('typical', torch.ones(self.count))
        for name in ('fastest', 'sharpest'):
            self.register_buffer(name, torch.full((self.count,), _UNBOUNDED))
        self._turns = turning(layout)
        self._compiled: CompiledTrajectories | None = None

    @property
    def members(self) -> int:
        """E, the number of ensemble members."""
        return self._members

    @property
    def latent_size(self) -> int:
        """Z = S: one component of z per state coordinate."""
        return 2 * self.count

    def take(self, theta: Float[Tensor, 'E P']) -> None:
        """Take coefficients that were identified."""
        self.inertia.copy_(self.mechanism.inertia(theta))
        self.potential.copy_(self.mechanism.potential(theta))
        self.friction.copy_(self.mechanism.friction(theta))
        self._compiled = None

    @torch.no_grad()
    def explain(self, rows: Batch) -> None:
        """Find the std of what the members' mean leaves unexplained of these transitions."""
        ahead = self.step(rows.state.expand(self._members, -1, -1), rows.action).mean(dim=0)
        change = (rows.next_state - rows.state)[:, self.count:]
        self.typical.copy_(change.square().mean(dim=0).sqrt().clamp_min(_LEAST))
        error = wrapped(rows.next_state - ahead, self._turns)
        still, growth = moving_noise(error, self._motion(rows.state, ahead))
        self.still.copy_(still)
        self.growth.copy_(growth)

    def bound(self, fastest: Float[Tensor, ' n'], sharpest: Float[Tensor, ' n']) -> None:
        """Set the greatest rates [SI] and accelerations [SI] that are told apart."""
        self.fastest.copy_(fastest)
        self.sharpest.copy_(sharpest)
        self._compiled = None

    def step(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B S']:
        """
        Predict one control period ahead.

        :param state: each member's own states.
        :param action: the commands, the same for all members.
        :param z: latent, N(0, I) a priori; None is its mode, zero.
        :returns: each member's next states.
        """
        flat = state.reshape(self._members, -1, 2 * self.count)
        force = action.reshape(1, -1, action.shape[-1]) @ self.mechanism.drive.T
        q, v, h = flat[..., :self.count], flat[..., self.count:], self._dt
        first = self._acceleration(q, v, force)
        second_v = v + 0.5 * h * first
        second = self._acceleration(q + 0.5 * h * v, second_v, force)
        third_v = v + 0.5 * h * second
        third = self._acceleration(q + 0.5 * h * second_v, third_v, force)
        last_v = v + h * third
        last = self._acceleration(q + h * third_v, last_v, force)
        ahead = torch.cat([q + h / 6.0 * (v + 2.0 * second_v + 2.0 * third_v + last_v),
                           v + h / 6.0 * (first + 2.0 * second + 2.0 * third + last)], dim=-1)
        if z is not None:
            motion = self._motion(flat, ahead).unsqueeze(-1)
            std = (self.still.square() + self.growth.square() * motion).sqrt()
            ahead = ahead + std * z.reshape(ahead.shape)
        return ahead.reshape(state.shape)

    def _motion(self, state: Float[Tensor, '*B S'],
                ahead: Float[Tensor, '*B S']) -> Float[Tensor, ' *B']:
        # Squared changes of the rates, in units of the typical ones.
        change = (ahead - state)[..., self.count:]
        return (change / self.typical).square().mean(dim=-1)

    def whole(self, like: Tensor, count: int) -> bool:
        """Tell whether :meth:`follow` and :meth:`linearise` may be called, and pay off."""
        return (like.device.type == 'cpu' and not torch.is_grad_enabled()
                and like.dtype == self.inertia.dtype and count * self._members <= _FEW)

    def loops(self) -> 'CompiledTrajectories':
        """Return the compiled loops with the coefficients of now."""
        if self._compiled is None:
            # Only who plans needs the compiler: learners start sooner without it.
            from hlai_control.world_model.trajectories import compiled_mechanism
            self._compiled = compiled_mechanism(
                self.mechanism.basis, self.inertia, self.potential, self.friction,
                self.mechanism.drive, (self.fastest, self.sharpest), self._dt)
        return self._compiled

    def _acceleration(self, q: Tensor, v: Tensor, force: Tensor) -> Tensor:
        v = torch.clamp(v, -self.fastest, self.fastest)
        values, slopes = self.mechanism.basis(q)
        mass = torch.bmm(values, self.inertia.flatten(2)).unflatten(-1, (self.count, self.count))
        # A_f v for the matrix A_f of each product: E B F n.
        moved = torch.einsum('efij,ebj->ebfi', self.inertia, v)
        turning = (slopes * v[..., self.mechanism.basis.seen].unsqueeze(-2)).sum(dim=-1)
        energy = 0.5 * (moved * v.unsqueeze(-2)).sum(dim=-1) - self.potential.unsqueeze(1)
        pull = torch.zeros_like(v)
        pull[..., self.mechanism.basis.seen] = (slopes * energy.unsqueeze(-1)).sum(dim=-2)
        rest = (force + pull - self.friction.unsqueeze(1) * v
                - (turning.unsqueeze(-1) * moved).sum(dim=-2))
        return torch.clamp(solved(mass, rest), -self.sharpest, self.sharpest)

    def export(self) -> dict[str, Tensor]:
        """Copy coefficients and scales, for an artefact."""
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take coefficients and scales from an artefact whose shapes have been checked."""
        self.load_state_dict(dict(tensors))
        self._compiled = None


def solved(matrix: Float[Tensor, '*B n n'], right: Float[Tensor, '*B n']
           ) -> Float[Tensor, '*B n']:
    """
    Solve for few unknowns by elimination without pivots, which positive matrices do not need.

    Small operations over the whole batch: a library's solver takes the matrices one by one.
    """
    count = right.shape[-1]
    a = [[matrix[..., i, j] for j in range(count)] for i in range(count)]
    b = [right[..., i] for i in range(count)]
    for k in range(count):
        for i in range(k + 1, count):
            share = a[i][k] / a[k][k]
            for j in range(k + 1, count):
                a[i][j] = a[i][j] - share * a[k][j]
            b[i] = b[i] - share * b[k]
    x: list[Tensor] = [*b]
    for i in reversed(range(count)):
        for j in range(i + 1, count):
            x[i] = x[i] - a[i][j] * x[j]
        x[i] = x[i] / a[i][i]
    return torch.stack(x, dim=-1)
