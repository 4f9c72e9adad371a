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

"""Rigid bodies as the Euler-Lagrange equations have them, linear in what is unknown."""

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.layout import Layout
from hlai_control.world_model.trigonometry import Trigonometry


class Mechanism(nn.Module):
    """
    The Lagrangian ``L = v^T M(q) v / 2 - V(q)`` with linear friction D.

    M, V and D are sums of known functions with unknown coefficients, so that
    the equations of motion ``d/dt (M v) - dL/dq + D v = B u`` are linear in
    the P unknowns theta (Atkeson, An and Hollerbach 1986; the energy's form
    follows Lutter, Ritter and Peters 2019, *Deep Lagrangian Networks*, with a
    fixed basis in place of a network). B is known: commands are forces on
    named joints. What breaks the robot's mirror symmetry is left out.

    theta holds M's coefficients (of pairs i <= j and products), then V's,
    then the n of D.

    :param layout: the robot; :func:`hlai_control.layout.is_mechanism` must hold.
    """

    rows: Tensor
    columns: Tensor
    products: Tensor
    potentials: Tensor
    spread: Tensor
    drive: Tensor

    def __init__(self, layout: Layout) -> None:
        """List the unknowns."""
        super().__init__()
        self.basis = Trigonometry(layout)
        count, parity = len(layout.positions), self.basis.parity
        signs = layout.mirror_positions
        masses = [(i, j, m) for i in range(count) for j in range(i, count)
                  for m in range(len(parity)) if parity[m] == signs[i] * signs[j]]
        energies = [m for m in range(1, len(parity)) if parity[m] > 0]
        self.count, self.masses = count, len(masses)
        self.size = len(masses) + len(energies) + count
        for place, name in enumerate(('rows', 'columns', 'products')):
            self.register_buffer(name, torch.tensor([item[place] for item in masses]),
                                 persistent=False)
        self.register_buffer('potentials', torch.tensor(energies, dtype=torch.long),
                             persistent=False)
        spread = torch.zeros(len(masses), len(parity), count, count)
        for at, (i, j, m) in enumerate(masses):
            spread[at, m, i, j] = spread[at, m, j, i] = 1.0
        self.register_buffer('spread', spread, persistent=False)
        drive = torch.zeros(count, layout.action_size)
        for action, position in enumerate(layout.drives):
            drive[position, action] = 1.0
        self.register_buffer('drive', drive, persistent=False)

    def inertia(self, theta: Float[Tensor, '*E P']) -> Float[Tensor, '*E F n n']:
        """Return the matrix that multiplies each product in M(q)."""
        return torch.einsum('...c,cfij->...fij', theta[..., :self.masses], self.spread)

    def potential(self, theta: Float[Tensor, '*E P']) -> Float[Tensor, '*E F']:
        """Return the number that multiplies each product in V(q)."""
        found = theta.new_zeros(*theta.shape[:-1], len(self.basis.parity))
        found[..., self.potentials] = theta[..., self.masses:-self.count]
        return found

    def friction(self, theta: Float[Tensor, '*E P']) -> Float[Tensor, '*E n']:
        """Return the diagonal of D."""
        return theta[..., -self.count:]

    def mass(self, theta: Float[Tensor, ' P'],
             positions: Float[Tensor, 'B n']) -> Float[Tensor, 'B n n']:
        """Return M(q)."""
        values, _ = self.basis(positions)
        return (values @ self.inertia(theta).flatten(-2)).unflatten(-1, (self.count, self.count))

    def regressors(self, state: Float[Tensor, 'B S'], rates: Float[Tensor, 'B n'],
                   period_s: float) -> Float[Tensor, 'B n P']:
        """
        Return Y with ``Y theta = period_s B u`` where the rates are ``rates`` one period on.

        The equations are integrated over the period: the momentum gained is the
        integral of the forces, by Simpson's rule along the cubic through both
        ends. Positions at the end follow from the rates, which are measured
        better than differences of positions.
        """
        q, v = state[:, :self.count], state[:, self.count:]
        ahead = q + 0.5 * period_s * (v + rates)
        midway = 0.5 * (q + ahead) + period_s / 8.0 * (v - rates)
        ends = [(q, v, 1.0), (midway, 0.5 * (v + rates), 4.0), (ahead, rates, 1.0)]
        looks = [self.basis(place) for place, _, _ in ends]
        total = torch.stack([
            weight * period_s / 6.0 * self._forces(values, slopes, speed)
            for (values, slopes), (_, speed, weight) in zip(looks, ends, strict=True)]).sum(dim=0)
        total[:, :self.masses] += (self._momenta(looks[2][0], rates)
                                   - self._momenta(looks[0][0], v))
        return total.mT

    def _momenta(self, values: Tensor, rates: Tensor) -> Tensor:
        # B C n: what each unknown of M adds to M v.
        one = torch.eye(self.count, dtype=rates.dtype, device=rates.device)
        off = (self.rows != self.columns).unsqueeze(-1)
        turned = (rates[:, self.columns].unsqueeze(-1) * one[self.rows]
                  + off * rates[:, self.rows].unsqueeze(-1) * one[self.columns])
        return values[:, self.products].unsqueeze(-1) * turned

    def _forces(self, values: Tensor, slopes: Tensor, rates: Tensor) -> Tensor:
        # B P n: what each unknown adds to D v - dL/dq.
        full = rates.new_zeros(*slopes.shape[:-1], self.count)
        full[..., self.basis.seen] = slopes
        share = torch.where(self.rows == self.columns, 0.5, 1.0)
        energy = share * rates[:, self.rows] * rates[:, self.columns]
        return torch.cat([-full[:, self.products] * energy.unsqueeze(-1),
                          full[:, self.potentials], torch.diag_embed(rates)], dim=1)
