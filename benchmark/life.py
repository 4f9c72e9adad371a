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

"""
A robot that lives on: it is put back to its start, changed, or forbidden to learn.

What the loop of one process (``hlai_control/bench/loop.py``) does once from
tick 0, here goes on through restarts of the robot; and a life can be branched,
so that the same past meets several futures.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
import os
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from hlai_control.bench.body import Body
from hlai_control.bench.mind import Mind, MindSettings
from hlai_control.cost.task import TaskSpec
from hlai_control.learning.versions import is_published
from hlai_control.robots.manifest import RobotManifest
from hlai_control.types import Estimate, Transition


class Pupil(Mind):
    """A mind that may be forbidden to learn; it goes on watching itself."""

    learning = True

    def learn(self, tick: int, transition: Transition) -> None:
        """Learn from a step, or only look at it."""
        if self.learning:
            super().learn(tick, transition)
            return
        if self.model.consulted:
            self.watch.observe(self.model.surprisal(transition))
        self.rest(tick)

    def rest(self, tick: int) -> None:
        """Let a tick pass without a step to learn from; versions are owed all the same."""
        if is_published(tick, self.schedule):
            self._publish(tick)


@dataclass(frozen=True)
class Lived:
    """
    One tick.

    :param true: S coordinates without noise.
    :param transition: the step that ended here; None after a restart.
    :param cost: true stage cost.
    :param evidence: of the watch, log R.
    :param repeats: the greatest evidence of a frozen sensor, log R.
    """

    true: NDArray[np.float64]
    transition: Transition | None
    cost: float
    evidence: float
    repeats: float


class Life:
    """
    One robot from its first tick on.

    :param manifest: the robot.
    :param task: what is to be done.
    :param seed: of all that is random.
    :param settings: of the mind.
    :param kind: the class of the mind.
    """

    def __init__(self, manifest: RobotManifest, task: TaskSpec, seed: int,
                 settings: MindSettings | None = None, kind: type[Pupil] = Pupil) -> None:
        """Know nothing."""
        settings = settings or MindSettings()
        self.body = Body(manifest, task, seed)
        self.mind = kind(manifest, task, seed, settings)
        self.tick, self._seed = 0, seed
        self._rest()

    def _rest(self) -> None:
        layout = self.mind.layout
        self._coming: deque[Tensor] = deque([torch.zeros(layout.action_size)]
                                            * layout.delay_ticks)
        self._last: Estimate | None = None

    def restart(self) -> None:
        """Put the robot back to its start; what was learned stays."""
        self._seed += 10_000
        self.body.restart(self._seed)
        self.mind.agent.restart()
        self._rest()

    def advance(self) -> Lived:
        """Live one tick."""
        sensed = self.body.simulator.measure()
        estimate, happened = self.body.look(), None
        if self._last is None:
            self.mind.rest(self.tick)
        else:
            happened = Transition(self._last.mean, self._coming.popleft(), estimate.mean)
            self.mind.learn(self.tick, happened)
        command = self.mind.answer(self.tick, estimate).command
        command = torch.zeros(self.mind.layout.action_size) if command is None else command
        cost = self.body.stage(command)
        sent = self.body.move(command)
        self.mind.sent(self.tick, sent)
        self._coming.append(sent)
        self._last, self.tick = estimate, self.tick + 1
        return Lived(np.concatenate([sensed.true_position, sensed.true_velocity]), happened, cost,
                     self.mind.watch.surprise.value, float(self.body.sensors.evidence.max()))

    def live(self, ticks: int) -> list[Lived]:
        """Live some ticks."""
        return [self.advance() for _ in range(ticks)]


def branched(future: Callable[[], Any]) -> Any:
    """Try a future in a process forked from this one, which stays as it is."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, 'wb') as pipe:
                pickle.dump(future(), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, 'rb') as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError('the branch failed; what it said is above')
    return pickle.loads(content)
