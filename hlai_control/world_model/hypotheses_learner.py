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

"""How two hypotheses about a robot learn, and which of them is believed."""

from collections.abc import Mapping
from math import log1p

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.learning.crew import Crew
from hlai_control.learning.replay import Replay
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Batch, Transition
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.hypotheses import Hypotheses
from hlai_control.world_model.identification import Found, Identifier
from hlai_control.world_model.learner import WorldModelLearner
from hlai_control.world_model.steps import one_step_error, turning
from hlai_control.world_model.surprise import residual, surprisal

# Weight of the score so far beside that of the newest step.
_MEMORY = 0.8
# One step counts at most so many squared standard deviations.
_WORST = 1e6
# The mechanism is believed unless it is worse by this: few unknowns extrapolate better.
_LENIENCE = 0.5
# Found anew once a 32nd of the data is new, or where errors are above three standard deviations.
_SHARE, _SURPRISED = 32, log1p(9.0)
# Transitions that tell how fast it gets, where a run goes on.
_RECENT = 256
# Bounds of the imagined, in greatest values seen.
_FASTER, _SHARPER = 4.0, 10.0


class HypothesesLearner:
    """
    Teaches an ensemble and a mechanism, and believes the one that has predicted better.

    Before a transition is learned from, both predict it; what counts is the
    logarithm of the squared error in units of the sensors' noise, averaged
    over the last few steps (prequential: Dawid 1984). Data of many transitions
    at once are judged by what both leave unexplained.

    The interface is that of :class:`WorldModelLearner`, which teaches the
    ensemble and keeps the memory.

    :param layout: the robot, a mechanism.
    :param settings: sizes, learning rate, ridge.
    :param generator: draws initial weights and batches.
    :param crew: the processes that train it together; None: this one alone.
    """

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator, crew: Crew | None = None) -> None:
        """Begin with an empty memory."""
        self._inner = WorldModelLearner(layout, settings, generator, crew)
        self._dynamics = Hypotheses(layout, settings, torch.Generator().manual_seed(0))
        # One and the same ensemble: what is loaded into it is learned on from.
        self._dynamics.ensemble = self._ensemble()
        self._layout, self._added, self._window = layout, 0, settings.window
        self._identifier = Identifier(layout)
        # The same draws each time: members move with what is found, and do not jump.
        self._offsets = torch.randn(
            settings.members, self._identifier.mechanism.size, dtype=torch.float64,
            generator=torch.Generator().manual_seed(0))
        noise = torch.tensor(layout.noise_std)[len(layout.positions):]
        self._noise = torch.nan_to_num(noise, nan=1e-2).clamp_min(1e-6)
        self._scores = torch.zeros(2, dtype=torch.float64)
        self._turns = turning(layout)
        self._period_s, self._judged, self._fresh = layout.period_s, False, True

    @property
    def replay(self) -> Replay:
        """Return the memory of transitions."""
        return self._inner.replay

    @replay.setter
    def replay(self, replay: Replay) -> None:
        self._inner.replay = replay

    @property
    def dynamics(self) -> Hypotheses:
        """Hand out both as learned so far, ready to step."""
        self._ensemble()  # fits it; it is a part of both
        if not self._fresh:
            if self._due():
                self._identify(self._inner.rows())
            self._fresh = True
            self._dynamics.believe(bool(self._scores[1] < self._scores[0] + _LENIENCE))
        return self._dynamics

    def add(self, transition: Transition) -> None:
        """
        Judge both by one transition, then remember it.

        :raises SignalError: if a number in it is not finite.
        """
        error = None if self._identifier.found is None else self._errors(Batch(
            *(part.unsqueeze(0) for part in (transition.state, transition.action,
                                             transition.next_state))))
        self._inner.add(transition)
        self._added += 1
        if error is not None:
            self._scores.lerp_(error, 1.0 - _MEMORY)
            self._judged = True
        self._fresh = False

    def extend(self, batch: Batch) -> None:
        """
        Remember many transitions, oldest first.

        :raises SignalError: if a number in it is not finite; then none is remembered.
        """
        self._inner.extend(batch)
        self._added += len(batch.state)
        self._fresh, self._judged = False, False

    def update(self) -> float:
        """
        Make one update of the ensemble; the mechanism is found when ``dynamics`` is asked for.

        :returns: the loss.
        :raises ShapeError: if nothing has been added yet.
        """
        return self._inner.update()

    def held_out_loss(self, rows: Batch) -> float:
        """Return the ensemble's training loss on rows that may never have been added."""
        return self._inner.held_out_loss(rows)

    def _ensemble(self) -> EnsembleDynamics:
        found = self._inner.dynamics
        assert isinstance(found, EnsembleDynamics)
        return found

    @property
    def consulted(self) -> bool:
        """Tell whether anybody has been handed a world model that was learned."""
        return self._inner.consulted

    def doubt(self, keep: int, old: float) -> None:
        """
        Trust only what is newest: the robot is not what it was.

        :param keep: how many of the newest transitions tell how it is now.
        :param old: weight of the others for the ensemble, 0 .. 1; they say
            nothing about what the mechanism is now.
        """
        self._inner.doubt(keep, old)
        self._added, self._fresh = self._window, False

    def surprisal(self, transition: Transition) -> float:
        """Return the energy of a transition under the one believed, in nats."""
        with torch.inference_mode():
            return float(surprisal(*residual(self._dynamics, transition, self._layout)))

    def one_step_error(self, transition: Transition) -> Float[Tensor, ' S']:
        """
        Compare a transition with what the one believed, as last handed out, predicted.

        :returns: measured minus predicted next state, angles wrapped.
        """
        return one_step_error(self._dynamics, transition, self._turns)

    def progress(self) -> dict[str, Tensor]:
        """Copy what training has changed, the memory of transitions and scales apart."""
        found = self._identifier.found
        kept = {} if found is None else {
            'mechanism.theta': found.theta, 'mechanism.precision': found.precision,
            'mechanism.residual': found.residual, 'mechanism.rows': torch.tensor(found.rows)}
        return self._inner.progress() | kept | {
            'scores': self._scores.clone(), 'judged': torch.tensor(self._judged)}

    def resume(self, progress: Mapping[str, Tensor]) -> None:
        """Go on from a copy, the same transitions having been added."""
        self._inner.resume(progress)
        if 'mechanism.theta' in progress:
            self._identifier.found = Found(
                progress['mechanism.theta'], progress['mechanism.precision'],
                progress['mechanism.residual'], int(progress['mechanism.rows']))
            if len(self.replay):
                self._take(self.replay.latest(_RECENT))
        self._scores.copy_(progress['scores'])
        self._judged = bool(progress['judged'])

    def _due(self) -> bool:
        # What explains all motion down to the noise need not be found anew at every step.
        if not self._identifier.settled() or self._scores[1] > _SURPRISED:
            return True
        return self._added * _SHARE > min(self.replay.total, self._window)

    def _identify(self, rows: Batch) -> None:
        self._added = 0
        self._identifier.fit(rows)
        self._take(rows)
        if not self._judged:
            self._scores.copy_(self._errors(rows))

    def _take(self, rows: Batch) -> None:
        rigid, state, count = self._dynamics.rigid, rows.state, len(self._noise)
        theta = self._identifier.draws(self._offsets, state.double())
        rigid.take(theta.float())
        rigid.explain(rows)
        gained = (rows.next_state - state)[:, count:].abs().amax(dim=0) / self._period_s
        speed = rows.next_state[:, count:].abs().amax(dim=0)
        rigid.bound(_FASTER * speed.clamp_min(1.0), _SHARPER * gained.clamp_min(1.0))

    @torch.no_grad()
    def _errors(self, rows: Batch) -> Float[Tensor, ' 2']:
        """Return both hypotheses' mean errors: the ensemble's, the mechanism's."""
        members, count = self._dynamics.members, len(self._noise)
        found = []
        for part in (self._dynamics.ensemble, self._dynamics.rigid):
            ahead = part.step(rows.state.expand(members, -1, -1), rows.action).mean(dim=0)
            error = ((rows.next_state - ahead)[:, count:] / self._noise).square().mean(dim=-1)
            error = torch.nan_to_num(error, nan=_WORST).clamp_max(_WORST)
            found.append(torch.log1p(error).mean())
        return torch.stack(found).double()
