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

"""Which mechanism it is: the coefficients that explain the motion, and how sure they are."""

from dataclasses import dataclass

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.types import Batch
from hlai_control.world_model.rigid_body import RigidBodyDynamics

# Steps of the search per fit at most, at each of which damping may rise this often.
_STEPS, _TRIES = 10, 10
# Gains below this share of the objective end a fit.
_CONVERGED = 1e-5
# A coefficient is a priori within so many typical inertias (and their energies).
_PRIOR = 3.0
# Residuals beyond so many standard deviations count less and less (Cauchy).
_OUTLIER = 4.0
# Inertia matrices must have eigenvalues above this fraction of their diagonal's, everywhere.
_POSITIVE = 1e-2
# So many standard deviations, and transitions per coefficient, leave nothing to be found.
_SETTLED = 2.0
# Transitions that a half must have to be tried on its own.
_PART = 10
# Points per position at which that is looked at.
_GRID = 8


@dataclass(frozen=True)
class Found:
    """
    One identification.

    :param theta: the coefficients (P).
    :param precision: inverse of their covariance (P P), Laplace's approximation.
    :param residual: root mean square of the rates' errors [SI], over what is no outlier (n).
    :param rows: how many transitions it explains.
    """

    theta: Tensor
    precision: Tensor
    residual: Tensor
    rows: int


class Identifier:
    """
    Finds a mechanism's coefficients from transitions.

    The most probable coefficients under Gaussian errors of the predicted
    rates and a broad prior, by Levenberg and Marquardt's method with Cauchy
    weights. The prediction is the integrator's own, from the measured state
    on: an error in what was measured at the end of a step is then an error in
    the target alone, and does not bias (output error: Ljung 1999, *System
    Identification*, section 4.3). The derivative with regard to theta is the
    mass-weighted regressor of the equations of motion along the prediction.

    :param layout: the robot, a mechanism.
    """

    def __init__(self, layout: Layout) -> None:
        """Know nothing."""
        self._layout, self._dt = layout, layout.period_s
        self._body = RigidBodyDynamics(layout, 1).double()
        self.mechanism = self._body.mechanism
        noise = torch.tensor(layout.noise_std, dtype=torch.float64)[len(layout.positions):]
        self._noise = torch.nan_to_num(noise, nan=1e-2).clamp_min(1e-6) * 2 ** 0.5
        self.found: Found | None = None

    def fit(self, rows: Batch) -> Found:
        """Find the coefficients that explain these transitions, beginning where the last did."""
        state, action, ahead = (part.double() for part in (rows.state, rows.action,
                                                           rows.next_state))
        prior, width = self._prior(state, action, ahead)
        tries = [] if self.found is None else [self.found.theta]
        if not self.settled():
            # From a part without a blow, if all of them together are thrown off by one.
            half = len(state) // 2
            parts = [slice(None)]
            parts += [slice(half), slice(half, None)] if half >= _PART else []
            tries += [self._equations(state[part], action[part], ahead[part], prior, width)
                      for part in parts]
        tries = [theta for theta in tries if self.positive(theta, state)] or [prior]
        ends = [self._search(theta, (state, action, ahead), prior, width) for theta in tries]
        self.found = min(ends, key=lambda end: end[0])[1]
        return self.found

    def settled(self) -> bool:
        """Tell whether motion is explained down to the noise, by more steps than unknowns."""
        return (self.found is not None
                and bool((self.found.residual < _SETTLED * self._noise).all())
                and bool(self.found.rows > _SETTLED * self.mechanism.size))

    def positive(self, theta: Tensor, state: Tensor) -> bool:
        """Tell whether inertia is positive at any position, as far as a grid can tell."""
        masses = self.mechanism.mass(theta, self._grid(state))
        diagonal = masses.diagonal(dim1=-2, dim2=-1)
        if not (torch.isfinite(masses).all() and (diagonal > 0).all()):
            return False
        scale = diagonal.rsqrt()
        plain = masses * scale.unsqueeze(-1) * scale.unsqueeze(-2)
        return bool((torch.linalg.eigvalsh(plain) > _POSITIVE).all())

    def draws(self, noise: Float[Tensor, 'E P'], state: Float[Tensor, 'B S']
              ) -> Float[Tensor, 'E P']:
        """
        Draw coefficients from what is still possible, each with positive inertia.

        :param noise: N(0, I); the same noise gives draws that move with what is found.
        :param state: see :meth:`positive`.
        """
        assert self.found is not None
        excess = float((self.found.residual / self._noise).square().mean().clamp_min(1.0))
        factor = torch.linalg.cholesky(self.found.precision / excess)
        offsets = torch.linalg.solve_triangular(factor.mT, noise.double().T, upper=True).T
        drawn = torch.stack([self._drawn(offset, state) for offset in offsets])
        drawn[:, -self.mechanism.count:].clamp_(min=0.0)  # friction takes energy
        return drawn

    def _drawn(self, offset: Tensor, state: Tensor) -> Tensor:
        assert self.found is not None
        for _ in range(_TRIES):
            theta = self.found.theta + offset
            if self.positive(theta, state):
                return theta
            offset = 0.5 * offset
        return self.found.theta

    def _grid(self, state: Tensor) -> Tensor:
        axes = []
        for i in range(len(self._layout.positions)):
            if self._layout.invariant[i]:
                axes.append(torch.zeros(1, dtype=torch.float64))
            elif self._layout.angle[i]:
                axes.append(2 * torch.pi / _GRID * torch.arange(_GRID, dtype=torch.float64))
            else:
                axes.append(torch.linspace(float(state[:, i].min()), float(state[:, i].max()),
                                           _GRID, dtype=torch.float64))
        return torch.cartesian_prod(*axes).reshape(-1, len(axes))

    def _prior(self, state: Tensor, action: Tensor, ahead: Tensor) -> tuple[Tensor, Tensor]:
        # Inertias of which typical forces make typical accelerations; energies to match.
        n, m = self.mechanism.count, self.mechanism
        rates = ahead[:, n:]
        speed = torch.maximum(rates.square().mean(0).sqrt(), self._noise)
        gained = torch.maximum((rates - state[:, n:]).square().mean(0).sqrt(), self._noise)
        force = (action @ m.drive.double().T).square().mean(0).sqrt()
        driven = force > 0
        mass = torch.where(driven, force * self._dt / gained, 0.0)
        energy = (mass * speed.square()).sum() / driven.sum().clamp_min(1)
        mass = torch.where(driven, mass, energy / speed.square())
        mass = torch.where(mass > 0, mass, 1.0)  # nothing has been pushed yet
        theta = torch.zeros(m.size, dtype=torch.float64)
        straight = (m.rows == m.columns) & (m.products == 0)
        theta[:m.masses][straight] = mass
        width = torch.cat([(mass[m.rows] * mass[m.columns]).sqrt(),
                           (mass * gained / self._dt).mean().expand(len(m.potentials)),
                           mass * gained / self._dt / speed])
        return theta, _PRIOR * width

    def _equations(self, state: Tensor, action: Tensor, ahead: Tensor, prior: Tensor,
                   width: Tensor) -> Tensor:
        # The equations of motion themselves, with what was measured: biased, but needs no start.
        m, theta = self.mechanism, prior
        design = m.regressors(state, ahead[:, m.count:], self._dt)
        impulse = self._dt * action @ m.drive.double().T
        for _ in range(_STEPS):
            mass = m.mass(theta, ahead[:, :m.count])
            error = torch.linalg.solve(mass, (design @ theta - impulse).unsqueeze(-1)).squeeze(-1)
            slope = torch.linalg.solve(mass, design) / self._noise.unsqueeze(-1)
            error = error / self._noise
            weight = _weights(error)
            gram, right = _normal(weight, slope, error, theta - prior, width)
            step = torch.linalg.solve(gram, right)
            for _ in range(_TRIES):
                if self.positive(theta - step, state):
                    theta = theta - step
                    break
                step = 0.5 * step
        return theta

    def _search(self, theta: Tensor, rows: tuple[Tensor, Tensor, Tensor], prior: Tensor,
                width: Tensor) -> tuple[float, Found]:
        m, damping = self.mechanism, 1e-6
        error, ends = self._error(theta, rows)
        weight = _weights(error)
        held = self._objective(theta, error, weight, prior, width)
        for _ in range(_STEPS):
            slope = torch.linalg.solve(
                m.mass(theta, ends[:, :m.count]),
                m.regressors(rows[0], ends[:, m.count:], self._dt)) / self._noise.unsqueeze(-1)
            gram, right = _normal(weight, slope, error, theta - prior, width)
            for _ in range(_TRIES):
                damped = gram + damping * torch.diag(gram.diagonal())
                moved = theta - torch.linalg.solve(damped, right)
                if self.positive(moved, rows[0]):
                    next_error, next_ends = self._error(moved, rows)
                    value = self._objective(moved, next_error, weight, prior, width)
                    if value < held:
                        break
                damping = max(10 * damping, 1e-4)
            else:
                break
            gain = held - value
            theta, error, ends, damping = moved, next_error, next_ends, damping / 10
            # What is an outlier to a better fit may not have been one before.
            weight = _weights(error)
            held = self._objective(theta, error, weight, prior, width)
            if gain < _CONVERGED * held:
                break
        spread = (weight.unsqueeze(-1) * error.square()).sum(0) / weight.sum()
        misfit = torch.log1p(error.square().mean(dim=-1) / _OUTLIER ** 2).sum()
        return float(misfit), Found(theta, gram, spread.sqrt() * self._noise, len(error))

    def _objective(self, theta: Tensor, error: Tensor, weight: Tensor, prior: Tensor,
                   width: Tensor) -> float:
        value = 0.5 * ((weight.unsqueeze(-1) * error.square()).sum()
                       + ((theta - prior) / width).square().sum())
        return float(value) if torch.isfinite(value) else float('inf')

    def _error(self, theta: Tensor, rows: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        state, action, ahead = rows
        self._body.take(theta.unsqueeze(0))
        ends = self._body.step(state.unsqueeze(0), action)[0]
        n = self.mechanism.count
        return (ahead[:, n:] - ends[:, n:]) / self._noise, ends


def _normal(weight: Float[Tensor, ' B'], slope: Float[Tensor, 'B n P'],
            error: Float[Tensor, 'B n'], off: Float[Tensor, ' P'], width: Float[Tensor, ' P']
            ) -> tuple[Float[Tensor, 'P P'], Float[Tensor, ' P']]:
    # The normal equations of weighted errors and of the distance from the prior.
    gram = torch.einsum('b,bnp,bnq->pq', weight, slope, slope)
    gram.diagonal().add_(width.square().reciprocal())
    return gram, torch.einsum('b,bnp,bn->p', weight, slope, error) + off / width.square()


def _weights(error: Float[Tensor, 'B n']) -> Float[Tensor, ' B']:
    squared = error.square().mean(dim=-1)
    scale = squared.median().clamp_min(1.0)
    return 1.0 / (1.0 + squared / (_OUTLIER ** 2 * scale))
