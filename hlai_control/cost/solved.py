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


"""When a task counts as solved; torch-free, so that the command line may ask too."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, pi


@dataclass(frozen=True)
class Within:
    """
    A coordinate near its goal.

    :param coordinate: name of a state coordinate.
    :param tolerance: greatest distance that still counts, in its unit.
    :param goal: the goal, in its unit.
    :param is_angle: whether the distance is measured modulo 2 pi.
    """

    coordinate: str
    tolerance: float
    goal: float
    is_angle: bool

    def distance(self, value: float) -> float:
        """Return the distance from the goal, for an angle the shorter way round."""
        error = value - self.goal
        if self.is_angle:
            error = (error + pi) % (2.0 * pi) - pi
        return abs(error)

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies within the tolerance; false if not finite."""
        return bool(isfinite(value) and self.distance(value) <= self.tolerance)


@dataclass(frozen=True)
class SolvedSpec:
    """
    What must hold, and for how long.

    :param within: every one of these must hold at once.
    :param hold_s: for this long without a break [s].
    """

    within: tuple[Within, ...]
    hold_s: float


def at_goal(spec: SolvedSpec, state: Mapping[str, float]) -> bool:
    """
    Tell whether a state is within every tolerance.

    :param spec: the task's definition.
    :param state: value of each state coordinate by name; a missing one is
        as bad as one that is not finite.
    """
    return all(item.holds(state.get(item.coordinate, float('nan'))) for item in spec.within)


class HoldTimer:
    """
    Finds the start of the first hold that lasted long enough.

    :param spec: the task's definition.
    """

    def __init__(self, spec: SolvedSpec) -> None:
        """Begin outside the goal."""
        self._spec = spec
        self._since: float | None = None
        self.solved_at_s: float | None = None

    def aim(self, spec: SolvedSpec) -> None:
        """Go on with another goal; nobody has held it yet."""
        self._spec, self._since = spec, None

    def update(self, time_s: float, state: Mapping[str, float]) -> bool:
        """
        Take the state at one moment, in order of time.

        :param time_s: seconds of motion.
        :param state: value of each state coordinate by name.
        :returns: whether the task has been solved by now; then
            ``solved_at_s`` is the time at which the hold began.
        """
        if not at_goal(self._spec, state):
            self._since = None
        elif self._since is None:
            self._since = time_s
        if self.solved_at_s is None and self._since is not None:
            # Stamps are sums of periods; half a microsecond absorbs their rounding.
            if time_s - self._since >= self._spec.hold_s - 5e-7:
                self.solved_at_s = self._since
        return self.solved_at_s is not None
