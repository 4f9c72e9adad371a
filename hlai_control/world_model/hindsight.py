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

"""What the world model learns where rates are not measured: steps as later ones show them."""

from collections import deque
from dataclasses import dataclass

from jaxtyping import Float
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.learning.pairing import Joined
from hlai_control.perception.smoother import LinearisedDynamics, Smoother
from hlai_control.settings import PerceptionSettings
from hlai_control.types import Batch

Array = NDArray[np.float64]

# The last step's end is not known better than the filter knows it: nothing came after.
_LAG = 1
# A second later measurements say no more of a step; then it may be written to the disk.
_LASTING_S = 1.0


@dataclass(frozen=True)
class Revised:
    """
    All steps of the window, as they look now.

    :param settled: those that leave it: they will not be found anew any more.
    :param recent: the others, oldest first, but for the last one.
    :param doubt: n standard deviations of the accelerations that the world model leaves out.
    :param lasting: steps to be written to the disk now, as they look now; each once.
    """

    settled: Batch
    recent: Batch
    doubt: Float[Tensor, ' n']
    lasting: tuple[Joined, ...]


class Hindsight:
    """
    Finds the newest steps anew whenever there is another measurement.

    The two halves of expectation maximisation (Shumway and Stoffer 1982, *An
    approach to time series smoothing and forecasting using the EM algorithm*)
    take turns, one tick each: states given the world model here, the world
    model given the states in its learner.

    :param layout: the robot.
    :param settings: of perception.
    :param window: steps that are found anew.
    """

    def __init__(self, layout: Layout, settings: PerceptionSettings, window: int) -> None:
        """Begin without any step."""
        self._smoother = Smoother(layout, settings, window + 1)
        self._sizes = (layout.state_size, layout.action_size)
        self._late = min(window - 1, max(1, round(_LASTING_S / layout.period_s)))
        self._unwritten: deque[tuple[int, int]] = deque()
        self._tick = 0

    def add(self, step: Joined, begin: Array, end: Array,
            dynamics: LinearisedDynamics | None) -> Revised:
        """
        Take one more step; if it does not begin where the last one ended, all before is settled.

        :param step: which one, and its command; its states are not looked at.
        :param begin: S values measured at its beginning; NaN: not measured.
        :param end: S values measured at its end.
        :param dynamics: the world model as it is now; None: there is none yet.
        """
        settled, lasting = self._rows(0)[:0], tuple[Joined, ...]()
        if step.tick != self._tick + 1 or not len(self._smoother):
            settled, lasting = self._rows(0), self.finish()
            self._smoother.reset()
            self._smoother.push(begin, None)
            self._smoother.revise(dynamics)
        self._tick = step.tick
        oldest = self._rows(0)[:1]
        if self._smoother.push(end, step.action):
            settled = np.vstack([settled, oldest])
        self._smoother.revise(dynamics)
        self._unwritten.append((step.tick, step.stamp_ns))
        return Revised(self._batch(settled), self._batch(self._rows(_LAG)),
                       torch.from_numpy(self._smoother.doubt).float(),
                       lasting + self._written(self._late))

    def finish(self) -> tuple[Joined, ...]:
        """Return what has not been written to the disk yet."""
        return self._written(0)

    def _written(self, left: int) -> tuple[Joined, ...]:
        rows, found = self._rows(0), list[Joined]()
        state, action = self._sizes
        while len(self._unwritten) > left:
            row = rows[-len(self._unwritten)]
            found.append(Joined(*self._unwritten.popleft(), *np.split(
                row, [state, state + action])))
        return tuple(found)

    def _rows(self, lag: int) -> Array:
        path, actions = self._smoother.path, self._smoother.actions
        if path is None:
            return np.empty((0, 2 * self._sizes[0] + self._sizes[1]))
        rows = np.hstack([path.mean[:-1], actions, path.mean[1:]])
        return rows[:max(1, len(rows) - lag)]

    def _batch(self, rows: Array) -> Batch:
        state, action = self._sizes
        return Batch(*torch.from_numpy(rows).float().split([state, action, state], dim=1))
