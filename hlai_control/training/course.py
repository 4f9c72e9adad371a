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


"""The course of a training: epochs, the best so far, and when to stop."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from hlai_control.errors import ArtefactError
from hlai_control.layout import Layout
from hlai_control.learning.crew import Crew
from hlai_control.learning.replay import Replay
from hlai_control.settings import WorldModelSettings
from hlai_control.training.lessons import Lessons, relative_error
from hlai_control.types import generator
from hlai_control.world_model.made import make_learner

# An epoch is better only if it lowers the held-out loss by this; in nats, about.
BETTER = 0.001


@dataclass(frozen=True)
class Epoch:
    """
    What one epoch came to.

    :param number: from 0, which is before any update.
    :param loss: mean training loss; NaN in epoch 0.
    :param held_out: the same loss on what is held out, which decides what is kept.
    :param error: mean over the coordinates of the held-out error, see
        :func:`hlai_control.training.lessons.relative_error`.
    :param each: that error of each state coordinate.
    """

    number: int
    loss: float
    held_out: float
    error: float
    each: tuple[float, ...]


class Course:
    """
    Trains one world model with the learner of the running robot.

    :param layout: the robot.
    :param settings: of the world model.
    :param lessons: what to learn from, what to test on.
    :param seed: of weights and batches.
    :param crew: who trains together.
    """

    def __init__(self, layout: Layout, settings: WorldModelSettings, lessons: Lessons,
                 seed: int, crew: Crew) -> None:
        """Remember all lessons; test what knows only the coefficients."""
        self._layout, self._lessons, self._batch = layout, lessons, settings.batch
        self._learner = make_learner(layout, settings, generator(seed, 'world_model'), crew)
        self._learner.replay = Replay(layout, len(lessons.learned.state))
        self._learner.extend(lessons.learned)
        self.epochs: list[Epoch] = []
        self._note(float('nan'))

    @property
    def best(self) -> Epoch:
        """Return the epoch with the lowest held-out loss."""
        return self._best

    @property
    def best_tensors(self) -> dict[str, Tensor]:
        """Return the world model after that epoch."""
        return self._best_tensors

    @property
    def stale(self) -> int:
        """Epochs since the best one."""
        return self.epochs[-1].number - self._best.number

    def epoch(self, stop: Callable[[], bool]) -> bool:
        """
        Look at as many transitions as there are, then test.

        :param stop: asked between updates; true leaves the epoch unfinished.
        :returns: whether it was finished.
        :raises ArtefactError: if the held-out loss is no longer finite.
        """
        updates, total = -(-len(self._lessons.learned.state) // self._batch), 0.0
        for _ in range(updates):
            if stop():
                return False
            total += self._learner.update()
        self._note(total / updates)
        return True

    def progress(self) -> dict[str, Tensor]:
        """Copy all that is needed to go on from here."""
        return self._learner.progress() | {
            f'best.{name}': value for name, value in self._best_tensors.items()} | {
            'epochs': torch.tensor([[one.number, one.loss, one.held_out, one.error,
                                     *one.each]
                                    for one in self.epochs], dtype=torch.float64)}

    def resume(self, progress: dict[str, Tensor]) -> None:
        """Go on from a copy; the same epochs follow as without the interruption."""
        self._learner.resume(progress)
        self.epochs = [Epoch(int(row[0]), row[1], row[2], row[3], tuple(row[4:]))
                       for row in progress['epochs'].tolist()]
        self._best = self.epochs[0]
        for one in self.epochs[1:]:
            if one.held_out < self._best.held_out - BETTER:
                self._best = one
        self._best_tensors = {name.removeprefix('best.'): value
                              for name, value in progress.items() if name.startswith('best.')}

    def _note(self, loss: float) -> None:
        dynamics = self._learner.dynamics
        each = relative_error(dynamics, self._lessons.held_out, self._layout)
        held_out = self._learner.held_out_loss(self._lessons.held_out)
        if not isfinite(held_out):
            raise ArtefactError('the held-out loss is no longer finite; lower '
                                'world_model.learning_rate, or raise world_model.ridge')
        found = Epoch(len(self.epochs), loss, held_out, float(each.mean()), tuple(each.tolist()))
        if not self.epochs or held_out < self._best.held_out - BETTER:
            self._best, self._best_tensors = found, dynamics.export()
        self.epochs.append(found)
