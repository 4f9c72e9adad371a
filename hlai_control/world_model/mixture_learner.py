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

"""How a mixture learns from the stream: which mode made each step, and what each mode does."""

from typing import NamedTuple

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.learning.spans import Spans
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Batch, Transition
from hlai_control.world_model.energy import infer
from hlai_control.world_model.learner import WorldModelLearner
from hlai_control.world_model.mixture import MixtureDynamics
from hlai_control.world_model.residuals import left_out
from hlai_control.world_model.structure import LOG_STD

# Rounds of expectation and maximisation: from the modes as they are, and from new ones.
_WARM, _FRESH = 1, 6
# Transitions that there must be before modes are looked for.
_FEWEST = 16
# New modes are looked for whenever there are so many times as many transitions as the last time.
_MORE = 1.25
# They are taken if they explain a row by so much better [nat].
_BETTER = 0.02
# Rows of the pooled variance that each mode's own is mixed with, so that none shrinks to a row.
_POOLED = 4.0
_LEAST = 1e-6
# Tolerance of the energy of a step, beside the predicted noise.
_TINY = 1e-9
# Penalty on squared weights of the gate; its bias is free but for rounding.
_GATE = (1.0, 1e-3)
_GATE_STEPS = 3


class _Rows(NamedTuple):
    """What is fitted: regressors, those of the gate, what the shared fit leaves, and weights."""

    design: Float[Tensor, 'E B D']
    gate: Float[Tensor, 'E B G']
    rows: Batch
    shared: Float[Tensor, 'E D n']
    left: Float[Tensor, 'E B n']
    unseen: Float[Tensor, 'E B n']
    weight: Float[Tensor, 'B 1']


class _Modes(NamedTuple):
    """One set of modes, and how well it explains the rows."""

    branches: Float[Tensor, 'E J D n']
    spread: Float[Tensor, 'E J S']
    gate: Float[Tensor, 'E G J']
    score: Float[Tensor, ' E']


class MixtureLearner(WorldModelLearner):
    """
    Fits a mixture to the transitions so far.

    As with one mode, all that is linear is found exactly (variable
    projection), here by expectation and maximisation: each row counts for
    each mode by the probability that it came from it, each mode is a ridge
    regression towards the one that all modes share, so that a mode that few
    rows tell about follows the others. Errors are those of rows left out: a
    mode cannot claim a row by having bent towards it. From time to time modes
    are also looked for anew, split by what the shared fit leaves over, and
    taken if they explain the rows better: a second outcome that comes late
    is found as well. Adam updates lower the squared error of the features,
    weighed in the same way.
    """

    _dynamics: MixtureDynamics

    def _made(self, layout: Layout, settings: WorldModelSettings,
              generator: torch.Generator) -> MixtureDynamics:
        return MixtureDynamics(layout, settings, generator)

    @torch.no_grad()
    def held_out_loss(self, rows: Batch) -> float:
        """Return squared error and negative log likelihood, as for one mode; learn nothing."""
        dynamics, members = self.dynamics, self._settings.members
        assert isinstance(dynamics, MixtureDynamics)
        parts = [part.expand(members, -1, -1) for part in (
            rows.state, rows.action, rows.next_state)]
        log_chance, residual = self._each(*parts)
        joint = self._joint(rows.state, rows.next_state, log_chance, residual, dynamics.spread)
        mean = (log_chance.exp().unsqueeze(-1) * residual).sum(dim=-2)
        return float(mean.square().mean() - joint.logsumexp(dim=-1).mean() / rows.state.shape[-1])

    def surprisal(self, transition: Transition) -> float:
        """Return the energy of a transition in nats, of the best mode, mean over the members."""
        with torch.inference_mode():
            dynamics, state = self._dynamics, transition.state
            found = dynamics.outcomes(state.expand(dynamics.members, 1, -1),
                                      transition.action.unsqueeze(0))
            return float(infer(found, transition.next_state.unsqueeze(0), self._layout,
                               torch.full_like(state, _TINY)).energy.mean())

    def _loss(self, spans: Spans) -> Float[Tensor, '']:
        # Only the first step: which mode makes the second depends on where the first one led.
        state, action, ahead = spans.state, spans.action[..., 0, :], spans.ahead[..., 0, :]
        log_chance, residual = self._each(state, action, ahead)
        with torch.no_grad():
            share = self._joint(state, ahead, log_chance, residual,
                                self._dynamics.spread).softmax(dim=-1)
        return (share.unsqueeze(-1) * residual.square()).sum(dim=-2).mean()

    def _each(self, state: Float[Tensor, 'E B S'], action: Float[Tensor, 'E B A'],
              ahead: Float[Tensor, 'E B S']
              ) -> tuple[Float[Tensor, 'E B J'], Float[Tensor, 'E B J n']]:
        # The modes' chances, and what each leaves over.
        log_chance, mean = self._dynamics.predict(
            self._steps.middle(state, ahead), state[..., self._count:], action)
        aims = self._steps.acceleration(state, ahead) / self._dynamics.acceleration
        return log_chance, aims.unsqueeze(-2) - mean

    def _joint(self, state: Tensor, ahead: Tensor, log_chance: Float[Tensor, '*e B J'],
               residual: Float[Tensor, 'E B J n'], spread: Float[Tensor, 'E J S']
               ) -> Float[Tensor, 'E B J']:
        # log p(mode and outcome), but for a constant.
        error = self._steps.state_error(state.unsqueeze(-2), ahead.unsqueeze(-2), residual)
        log_std = spread.clamp(*LOG_STD).unsqueeze(1)
        return log_chance - (0.5 * (error * torch.exp(-log_std)).square() + log_std).sum(dim=-1)

    @torch.no_grad()
    def _fit(self) -> None:
        dynamics, total = self._dynamics, self.replay.total
        rows = self._prepared(*self._weighted())
        found = self._held(rows)
        for _ in range(_WARM):
            found = self._improved(rows, found, self._shares(rows, found))
        if total >= max(_FEWEST, _MORE * float(dynamics.tried)):
            dynamics.tried.fill_(float(total))
            share, fresh = self._split(rows), found
            for _ in range(_FRESH):
                gate = torch.zeros_like(found.gate)
                fresh = self._improved(rows, fresh._replace(gate=gate), share)
                share = self._shares(rows, fresh)
            better = fresh.score > found.score + _BETTER
            found = _Modes(*(torch.where(better.view(-1, *(1,) * (new.dim() - 1)), new, old)
                             for new, old in zip(fresh, found, strict=True)))
        dynamics.branches.copy_(found.branches.mT.reshape(dynamics.branches.shape))
        dynamics.spread.copy_(found.spread)
        weight, bias = found.gate[:, :-1], found.gate[:, -1:]
        dynamics.gate_weight.copy_(weight.mT.reshape(dynamics.gate_weight.shape))
        dynamics.gate_bias.copy_(bias)

    def _prepared(self, rows: Batch, weight: Float[Tensor, 'B 1'] | None) -> _Rows:
        dynamics, count = self._dynamics, self._count
        middle = self._steps.middle(rows.state, rows.next_state)
        hidden = dynamics.trunk(dynamics.features(middle).expand(dynamics.members, -1, -1))
        design = dynamics.design(hidden, dynamics.monomials(
            middle[:, count:], rows.action)).double()
        gate = dynamics.gate_design(hidden, rows.state[:, count:], rows.action).double()
        aims = (self._steps.acceleration(rows.state, rows.next_state)
                / dynamics.acceleration).double().expand(len(design), -1, -1)
        heavy = torch.ones_like(aims[0, :, :1]) if weight is None else weight
        shared, factor = self._ridge(design, design * heavy, aims)
        left = aims - design @ shared
        return _Rows(design, torch.cat([gate, torch.ones_like(gate[..., :1])], dim=-1), rows,
                     shared, left, left_out(left, design, factor), heavy)

    def _ridge(self, design: Tensor, weighted: Tensor, aims: Tensor) -> tuple[Tensor, Tensor]:
        gram, right = weighted.mT @ design, weighted.mT @ aims
        self._crew.total(gram)
        self._crew.total(right)
        gram.diagonal(dim1=-2, dim2=-1).add_(self._settings.ridge)
        factor = torch.linalg.cholesky(gram)
        return torch.cholesky_solve(right, factor), factor

    def _held(self, rows: _Rows) -> _Modes:
        # The modes as they are.
        dynamics = self._dynamics
        branches = dynamics.branches.flatten(-2).mT.double()
        gate = torch.cat([dynamics.gate_weight.flatten(-2).mT, dynamics.gate_bias], dim=1)
        return _Modes(branches, dynamics.spread.double(), gate.double(),
                      rows.design.new_zeros(len(branches)))

    def _shares(self, rows: _Rows, modes: _Modes) -> Float[Tensor, 'E B J']:
        # How probable it is that each mode made each row.
        left = rows.left.unsqueeze(1) - rows.design.unsqueeze(1) @ (
            modes.branches - rows.shared.unsqueeze(1))
        log_chance = (rows.gate @ modes.gate).log_softmax(dim=-1)
        return self._joint(rows.rows.state.double(), rows.rows.next_state.double(), log_chance,
                           left.transpose(1, 2), modes.spread).softmax(dim=-1) * rows.weight

    def _split(self, rows: _Rows) -> Float[Tensor, 'E B J']:
        # By where a row lies along the direction in which the shared fit leaves most over.
        left = rows.unseen.mean(dim=0)
        sums = torch.cat([left.mT @ left, left.sum(dim=0, keepdim=True),
                          left.new_full((1, left.shape[1]), float(len(left)))])
        self._crew.total(sums)
        number, mean = sums[-1, 0], sums[-2] / sums[-1]
        covariance = sums[:-2] / number - mean[:, None] * mean
        along = torch.linalg.eigh(covariance).eigenvectors[:, -1]
        reach = (along @ covariance @ along).clamp_min(_LEAST).sqrt()
        place = ((left - mean) @ along) / reach
        modes = self._dynamics.modes
        centres = torch.linspace(-1.0, 1.0, modes, dtype=place.dtype)
        nearest = (place[:, None] - centres).abs().argmin(dim=1)
        share = torch.nn.functional.one_hot(nearest, modes).to(place.dtype)
        return (share * rows.weight).expand(len(rows.design), -1, -1)

    def _improved(self, rows: _Rows, modes: _Modes, share: Float[Tensor, 'E B J']) -> _Modes:
        """Maximise the likelihood, given which mode made which row."""
        design, weight = rows.design.unsqueeze(1), share.mT.unsqueeze(-1)
        found, factor = self._ridge(design, weight * design,
                                    rows.left.unsqueeze(1).expand(-1, share.shape[-1], -1, -1))
        residual = rows.left.unsqueeze(1) - design @ found
        # As residuals.left_out, for rows that count in part.
        bent = torch.linalg.solve_triangular(factor, design.mT.expand(
            -1, share.shape[-1], -1, -1), upper=False).square().sum(dim=-2).unsqueeze(-1)
        residual = (residual / (1.0 - weight * bent).clamp_min(_LEAST)).transpose(1, 2)
        error = self._steps.state_error(rows.rows.state.unsqueeze(-2).double(),
                                        rows.rows.next_state.unsqueeze(-2).double(), residual)
        spread = self._spread(error, share)
        gate = self._gate(rows.gate, modes.gate, share)
        mass = share.sum(dim=1, keepdim=True)
        self._crew.total(mass)
        chance = ((mass + 1.0) / (mass + 1.0).sum(dim=-1, keepdim=True)).log().expand_as(share)
        joint = self._joint(rows.rows.state.double(), rows.rows.next_state.double(), chance,
                            residual, spread)
        score = torch.stack([joint.logsumexp(dim=-1).sum(dim=1),
                             joint.new_full((len(joint),), float(joint.shape[1]))])
        self._crew.total(score)
        return _Modes(rows.shared.unsqueeze(1) + found, spread, gate, score[0] / score[1])

    def _spread(self, error: Float[Tensor, 'E B J S'],
                share: Float[Tensor, 'E B J']) -> Float[Tensor, 'E J S']:
        sums = torch.cat([(share.unsqueeze(-1) * error.square()).sum(dim=1),
                          share.sum(dim=1).unsqueeze(-1)], dim=-1)
        self._crew.total(sums)
        square, mass = sums[..., :-1], sums[..., -1:]
        pooled = square.sum(dim=1, keepdim=True) / mass.sum(dim=1, keepdim=True)
        variance = (square + _POOLED * pooled) / (mass + _POOLED)
        return 0.5 * variance.clamp_min(_LEAST).log()

    def _gate(self, design: Float[Tensor, 'E B G'], start: Float[Tensor, 'E G J'],
              share: Float[Tensor, 'E B J']) -> Float[Tensor, 'E G J']:
        """
        Fit the modes' chances by logistic regression.

        Newton steps with a matrix that bounds all Hessians, so that each step
        is an improvement (Boehning 1992, *Multinomial logistic regression algorithm*).
        """
        bound = 0.5 * design.mT @ design
        self._crew.total(bound)
        penalty = design.new_full((design.shape[-1], 1), _GATE[0])
        penalty[-1] = _GATE[1]
        bound.diagonal(dim1=-2, dim2=-1).add_(penalty[:, 0])
        factor, found = torch.linalg.cholesky(bound), start
        for _ in range(_GATE_STEPS):
            mass = share.sum(dim=-1, keepdim=True)
            slope = design.mT @ (share - mass * (design @ found).softmax(dim=-1))
            self._crew.total(slope)
            found = found + torch.cholesky_solve(slope - penalty * found, factor)
        return found
