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


"""What became of the constraints in the real motion: measured states, commands really sent."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch

from hlai_control.cost.constraints import TaskConstraints
from hlai_control.learning.pairing import Joined


@dataclass(frozen=True)
class Measured:
    """
    The constraints of one step.

    :param names: of those that could be measured.
    :param violations: of each in its own unit, above 0 where it is violated,
        below it by how much it was kept.
    :param missed: names of those that were violated by more than is tolerated.
    """

    names: tuple[str, ...]
    violations: NDArray[np.float64]
    missed: tuple[str, ...]


class Kept:
    """
    Measures a task's constraints step by step.

    What looks at the state alone is measured where a step ended, all else
    with the command in effect where it began.

    :param constraints: of the task; None: there are none.
    :param tolerance: violation that still counts as none, as a fraction of
        the limit.
    """

    def __init__(self, constraints: TaskConstraints | None, tolerance: float) -> None:
        """Begin without a step."""
        self._constraints, self._tolerance = constraints, tolerance
        self.restart()

    def restart(self) -> None:
        """Forget the motion so far."""
        self._last: Joined | None = None

    def measure(self, joined: Joined) -> Measured:
        """
        Measure one step, later than those before.

        A change from a command that nobody knows, as after a gap, is left out.
        """
        last, self._last = self._last, joined
        if self._constraints is None:
            return Measured((), np.empty(0), ())
        known = last is not None and last.tick == joined.tick - 1
        before = last.action if last is not None and known else joined.action * np.nan
        with torch.inference_mode():
            begin, end = self._constraints.values(*(torch.from_numpy(np.stack(rows)) for rows in (
                (joined.state, joined.next_state), (joined.action, joined.action),
                (before, before)))).numpy()
        found = np.where(self._constraints.of_state, end, begin)
        shown = np.flatnonzero(known | ~np.isnan(found))
        names = self._constraints.names
        return Measured(
            tuple(names[i] for i in shown), (found * self._constraints.units)[shown],
            tuple(names[i] for i in shown if not found[i] <= self._tolerance))
