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


"""How the world model learns from the stream: features by gradient, coefficients exactly."""

from collections.abc import Mapping

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.learning.adam import Adam
from hlai_control.learning.crew import Alone, Crew
from hlai_control.learning.diverse import DiverseMemory
from hlai_control.learning.replay import Replay
from hlai_control.learning.spans import alone, following, Spans, together
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Batch, Transition
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.progress import copied, take_back
from hlai_control.world_model.residuals import fitted_noise, left_out
from hlai_control.world_model.rollouts import Rollouts
from hlai_control.world_model.steps import columns_of, one_step_error, Steps, turning
from hlai_control.world_model.structure import StructuredDynamics
from hlai_control.world_model.surprise import residual, surprisal

# Rates are divided by this many root mean squares: what the robot will do next is faster.
_SPAN = 2.0
# Transitions at most that are kept because they differ.
_DIVERSE = 512
# The ridge is meant for accelerations that are known to this share of the typical ones.
_CLEAR = 0.015
# New transitions from which on noise is fitted anew after an alarm.
_TELLING = 64


class WorldModelLearner:
    """
    Fits an ensemble to the transitions so far.

    The accelerations are linear in the ensemble's coefficients, so those are
    found exactly, by ridge regression over the newest transitions and those
    that differ most (``learning/diverse.py``), whenever ``dynamics`` is asked
    for (variable projection: Golub and Pereyra 1973). So is the predicted
    noise, from what the fit would leave over of each row had it not seen that
    row (``residuals.py``): while features move, coefficients are not at their
    best, and what is wrong meanwhile is no noise. Each ``update`` is one Adam
    step on the features below them, by least squares over ``loss_steps`` steps
    (``rollouts.py``), at constant cost.

    :param layout: the robot.
    :param settings: sizes, learning rate, ridge.
    :param generator: draws initial weights and batches.
    :param crew: the processes that train it together; None: this one alone.
    """

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator, crew: Crew | None = None) -> None:
        """Begin with an untrained ensemble and an empty memory."""
        self._settings, self._generator = settings, generator
        self._crew = Alone() if crew is None else crew
        self._count, self._dt = len(layout.positions), layout.period_s
        self._dynamics = self._made(layout, settings, generator)
        self._steps, self._turns = Steps(layout, self._dynamics), turning(layout)
        self._rollouts = Rollouts(layout, self._dynamics)
        self._optimiser = Adam(self._dynamics.parameters(), settings.learning_rate)
        self._fitted = True
        self._moments = torch.zeros(2, 2 * self._count, dtype=torch.float64)
        self._squares, self._unclear = torch.zeros(2, self._count, dtype=torch.float64)
        self.replay = Replay(layout)
        self._diverse, self._stale = self._memory(layout), self._memory(layout)
        self._layout, self._old = layout, 1.0
        # Whether somebody has taken a fitted ensemble: before, its errors say nothing.
        self.consulted = False
        self._recent: Batch | None = None

    def _made(self, layout: Layout, settings: WorldModelSettings,
              generator: torch.Generator) -> StructuredDynamics:
        return EnsembleDynamics(layout, settings, generator)

    @property
    def dynamics(self) -> StructuredDynamics:
        """Hand out the ensemble as trained so far, its coefficients fitted, ready to step."""
        if not self._fitted:
            self._fit()
            self._dynamics.fold()
            self._fitted = self.consulted = True
        return self._dynamics

    def add(self, transition: Transition) -> None:
        """
        Remember one transition and let the scales follow it.

        :raises SignalError: if a number in it is not finite.
        """
        self.replay.add(transition)
        self._diverse.add(transition)
        state, share = transition.state.double(), 1.0 / self.replay.total
        self._moments.lerp_(torch.stack([state, state.square()]), share)
        self._squares.lerp_(self._steps.acceleration(
            transition.state, transition.next_state).double().square(), share)
        self._rescale()

    def extend(self, batch: Batch) -> None:
        """
        Remember many transitions, oldest first, to the same end as one after the other.

        Moments differ in the last digits of a double, for they are summed in another order.

        :raises SignalError: if a number in it is not finite; then none is remembered.
        """
        self.replay.extend(batch)
        self._diverse.extend(batch)
        state, share = batch.state.double(), len(batch.state) / self.replay.total
        self._moments.lerp_(torch.stack([state, state.square()]).mean(dim=1), share)
        self._squares.lerp_(self._steps.acceleration(
            batch.state, batch.next_state).double().square().mean(dim=0), share)
        self._rescale()

    def revise(self, recent: Batch, doubt: Float[Tensor, ' n']) -> None:
        """
        Take other rows for those that were taken last, for they are not settled yet.

        :param recent: oldest first; none of them is in the memory.
        :param doubt: standard deviations of what their accelerations leave out of the model.
        """
        self._unclear = doubt.double()
        self._recent = recent if len(recent.state) else None
        self._rescale()

    def update(self) -> float:
        """
        Make one Adam update on one batch per member; its cost is constant.

        The coefficients stay as they were when ``dynamics`` was last asked for.

        :returns: the squared error of the accelerations in their typical units, mean over
            members, rows and coordinates.
        :raises ShapeError: if nothing has been added yet.
        """
        spans = self._batch(self._settings.members, self._settings.batch)
        loss = self._loss(Spans(*(self._crew.part(part, 1) for part in (
            spans.state, spans.action, spans.ahead, spans.joined))))
        self._optimiser.zero_grad()
        loss.backward()
        self._crew.average([parameter.grad for parameter in self._dynamics.parameters()
                            if parameter.grad is not None])
        self._optimiser.step()
        self._fitted = False
        return loss.item()

    @torch.no_grad()
    def held_out_loss(self, rows: Batch) -> float:
        """
        Return how badly rows that may never have been added are predicted; learn nothing.

        :returns: squared error and negative log likelihood, means over members,
            rows and coordinates, in typical units.
        """
        dynamics, members = self.dynamics, self._settings.members
        assert isinstance(dynamics, EnsembleDynamics)
        state, action, ahead = (part.expand(members, -1, -1) for part in (
            rows.state, rows.action, rows.next_state))
        residual = self._residual(state, action, ahead)
        log_std = dynamics.log_std(self._hidden(state, ahead))
        error = self._steps.state_error(state, ahead, residual)
        likelihood = 0.5 * (error * torch.exp(-log_std)).square() + log_std
        return float(residual.square().mean() + likelihood.mean())

    def doubt(self, keep: int, old: float) -> None:
        """
        Trust only what is newest: the robot is not what it was.

        All that was learned before remains as a few hundred transitions that
        differ, each of which counts for less than a new one. So where the
        robot has not been since, it still knows what it knew; where it has,
        a handful of new transitions outweigh it.

        :param keep: how many of the newest transitions tell how it is now.
        :param old: weight of the others, 0 .. 1.
        """
        known, newest = self._diverse.all(), self.replay.latest(keep)
        if len(known.state):
            self._stale.extend(known)
        self._old = old
        self.replay.forget(keep)
        self._diverse = self._memory(self._layout)
        if len(newest.state):
            self._diverse.extend(newest)
        self._fitted = False

    def surprisal(self, transition: Transition) -> float:
        """Return the energy of a transition under the ensemble as last handed out, in nats."""
        with torch.inference_mode():
            return float(surprisal(*residual(self._dynamics, transition, self._layout)))

    def one_step_error(self, transition: Transition) -> Float[Tensor, ' S']:
        """
        Compare a transition with what the mean of ``dynamics``, as last handed out, predicted.

        To fit anew for every step would cost a fast robot's learner most of its time.
        """
        return one_step_error(self._dynamics, transition, self._turns)

    def progress(self) -> dict[str, Tensor]:
        """Copy what training has changed, the memory of transitions and scales apart."""
        return copied(self._dynamics, self._optimiser, self._generator)

    def resume(self, progress: Mapping[str, Tensor]) -> None:
        """Go on from a copy, the same transitions having been added; the same updates follow."""
        take_back(progress, self._dynamics, self._optimiser, self._generator)
        self._fitted = True

    def _rescale(self) -> None:
        dynamics, moments, squares = self._dynamics, self._moments, self._squares
        if (recent := self._recent) is not None:
            state = recent.state.double()
            share = len(state) / (len(state) + self.replay.total)
            moments = moments.lerp(torch.stack([state, state.square()]).mean(dim=1), share)
            squares = squares.lerp(self._steps.acceleration(
                recent.state, recent.next_state).double().square().mean(dim=0), share)
        dynamics.features.normalise(*moments.float())
        rates = moments[1, self._count:].sqrt().float()
        dynamics.acceleration.copy_(squares.sqrt().clamp_min(1e-3))
        # At least what one period of the typical acceleration makes of rest.
        dynamics.monomials.rate.copy_(_SPAN * torch.maximum(
            rates, dynamics.acceleration * self._dt))
        self._fitted = False

    @torch.no_grad()
    def _fit(self) -> None:
        # Ridge regression, in float64: the regressors are far from orthogonal.
        dynamics, (rows, weight) = self._dynamics, self._weighted()
        assert isinstance(dynamics, EnsembleDynamics)
        middle = self._steps.middle(rows.state, rows.next_state)
        hidden = dynamics.trunk(dynamics.features(middle).expand(dynamics.members, -1, -1))
        columns = dynamics.monomials(middle[:, self._count:], rows.action)
        targets = self._steps.acceleration(rows.state, rows.next_state) / dynamics.acceleration
        # Noisier rows say less beside what is expected before any: the penalty is in their units.
        ridges = self._settings.ridge * (
            1.0 + (self._unclear / (_CLEAR * dynamics.acceleration.double())).square())
        unseen = targets.new_empty(dynamics.members, *targets.shape)
        kinds = list(zip(dynamics.signs[:, 0].tolist(), ridges.tolist(), strict=True))
        for kind in set(kinds):
            alike = [i for i in range(self._count) if kinds[i] == kind]
            design = dynamics.design(hidden, columns, alike[0]).double()
            aims = targets[:, alike].double()
            heavy = design if weight is None else design * weight
            gram, right = heavy.mT @ design, heavy.mT @ aims
            self._crew.total(gram)
            self._crew.total(right)
            gram.diagonal(dim1=-2, dim2=-1).add_(kind[1])
            factor = torch.linalg.cholesky(gram)
            found = torch.cholesky_solve(right, factor)
            shape = dynamics.coefficients[:, alike].shape
            dynamics.coefficients[:, alike] = found.mT.reshape(shape).float()
            unseen[..., alike] = left_out(aims - design @ found, design, factor).float()
        # What an alarm has made stale would pass for noise; few rows tell less than is known.
        fresh = len(unseen[0]) if weight is None else int((weight == 1.0).sum())
        if weight is not None and fresh < _TELLING:
            return
        slope, bias = fitted_noise(
            dynamics.trunk.basis(hidden[:, :fresh], 1.0), self._steps.state_error(
                rows.state[:fresh], rows.next_state[:fresh], unseen[:, :fresh]), self._crew)
        dynamics.noise_weight.copy_(slope)
        dynamics.noise_bias.copy_(bias)

    def _batch(self, members: int, batch: int) -> Spans:
        # Half drawn from all, half from what differs: else a long rest would be all there is.
        parts, old = [], batch // 2 if self.replay.total > len(self._diverse) else 0
        draws, length = self._generator, self._settings.loss_steps
        if (recent := self._recent) is not None:
            new = batch - old if not self.replay.total else (batch - old) // 2
            at = torch.randint(len(recent.state), (members * new,), generator=draws)
            parts.append(following(recent, at, length))
            batch -= new
        if batch > old:
            parts.append(self.replay.spans(members * (batch - old), length, draws))
        if old:
            stale = self._stale_among(old)
            parts.append(alone(self._diverse.sample(members * (old - stale), draws), length))
            if stale:
                parts.append(alone(self._stale.sample(members * stale, draws), length))
        return together(parts, members)

    def rows(self) -> Batch:
        """Return what the coefficients are fitted to."""
        # All of them while they are few; then the newest, what differs, and any others.
        limit, parts = self._settings.window, list[Batch]()
        if (recent := self._recent) is not None:
            parts.append(recent)
            limit = max(0, limit - len(recent.state))
        if len(self.replay) <= limit:
            parts.append(self.replay.latest(limit))
        else:
            parts += [] if parts else [self.replay.latest(limit // 2)]
            parts.append(self._diverse.all())
            if (left := limit - sum(len(part.state) for part in parts)) > 0:
                parts.append(self.replay.sample(left, self._generator))
        return Batch(*(torch.cat(alike) for alike in columns_of(parts)))

    def _weighted(self) -> tuple[Batch, Float[Tensor, 'B 1'] | None]:
        rows = self.rows()
        if not len(self._stale) or not self._old:
            return self._own(rows), None  # the same sums in the same order without an alarm
        stale, count = self._stale.all(), len(rows.state)
        weight = torch.ones(count + len(stale.state), 1, dtype=torch.float64)
        weight[count:] = self._old
        both = Batch(*(torch.cat(alike) for alike in columns_of([rows, stale])))
        return self._own(both), self._crew.part(weight, 0)

    def _stale_among(self, count: int) -> int:
        # As many of the old ones as their weight is worth.
        worth = self._old * len(self._stale)
        return round(count * worth / (worth + len(self._diverse))) if worth else 0

    def _memory(self, layout: Layout) -> DiverseMemory:
        return DiverseMemory(layout, max(2, min(self._settings.window // 2, _DIVERSE)))

    def _own(self, rows: Batch) -> Batch:
        return Batch(*(self._crew.part(part, 0)
                       for part in (rows.state, rows.action, rows.next_state)))

    def _hidden(self, state: Float[Tensor, 'E B S'],
                ahead: Float[Tensor, 'E B S']) -> Float[Tensor, 'E B H']:
        return self._dynamics.trunk(self._dynamics.features(self._steps.middle(state, ahead)))

    def _loss(self, spans: Spans) -> Float[Tensor, '']:
        first = self._residual(spans.state, spans.action[..., 0, :], spans.ahead[..., 0, :])
        return self._rollouts.loss(first.square().mean(), spans)

    def _residual(self, state: Float[Tensor, 'E B S'], action: Float[Tensor, 'E B A'],
                  ahead: Float[Tensor, 'E B S']) -> Float[Tensor, 'E B n']:
        assert isinstance(self._dynamics, EnsembleDynamics)
        mean = self._dynamics.predict(self._steps.middle(state, ahead), action)
        return self._steps.acceleration(state, ahead) / self._dynamics.acceleration - mean
