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
States and applied commands, joined by stamp into transitions.

A transition needs two consecutive states and the command that was in effect
between them, which answers a measurement ``delay_ticks`` earlier. Whatever
cannot be joined is a gap: counted and dropped, never guessed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# Real time does not wait for an applied command that a newer one has passed.
PATIENCE_TICKS = 3


@dataclass(frozen=True)
class Joined:
    """
    One step of the robot as the learners use it.

    :param tick: number of the tick at which the step ended.
    :param stamp_ns: stamp of the state at which the step ended [ns].
    :param state: S values at the beginning.
    :param action: A values in effect during the step.
    :param next_state: S values at the end.
    """

    tick: int
    stamp_ns: int
    state: Vector
    action: Vector
    next_state: Vector


class Pairing:
    """
    Joins two streams that may arrive in any order relative to each other.

    :param delay_ticks: ticks from a measurement to its command's effect.
    :param action_size: A; before the first command the action is zero.
    :param patient: wait for ever for a command (lockstep: it must come).
    """

    def __init__(self, delay_ticks: int, action_size: int, patient: bool) -> None:
        """Begin without history."""
        self.gaps = 0
        self._delay = delay_ticks
        self._zero = np.zeros(action_size)
        self._patient = patient
        self._first: int | None = None
        self._states: dict[int, tuple[int, Vector]] = {}
        self._actions: dict[int, Vector] = {}
        self._done: int | None = None

    def state(self, tick: int, stamp_ns: int, values: Vector) -> None:
        """Take the state of a tick."""
        if self._first is None:
            self._first = self._done = tick
        self._states[tick] = (stamp_ns, values)

    def applied(self, tick: int, values: Vector) -> None:
        """Take the command that answered a tick's measurement; the last one counts."""
        self._actions[tick] = values

    def pop(self) -> Joined | None:
        """
        Return the next transition in order of time, or None for now.

        Ticks that can no longer become a transition count as gaps.
        """
        while self._done is not None and self._states:
            begin = self._done
            if max(self._states) <= begin:
                return None
            joined = self._join(begin)
            if joined is None and self._may_wait(begin):
                return None
            self._done = begin + 1 if begin + 1 in self._states else self._next_after(begin)
            self._forget()
            if joined is not None:
                return joined
            self.gaps += 1
        return None

    def _join(self, begin: int) -> Joined | None:
        action = self._action(begin - self._delay)
        if action is None or begin not in self._states or begin + 1 not in self._states:
            return None
        stamp_ns, after = self._states[begin + 1]
        return Joined(begin + 1, stamp_ns, self._states[begin][1], action, after)

    def _action(self, tick: int) -> Vector | None:
        if self._first is not None and tick < self._first:
            # Nothing was commanded before the first measurement.
            return self._actions.get(tick, self._zero)
        return self._actions.get(tick)

    def _may_wait(self, begin: int) -> bool:
        """Whether what is missing can still arrive."""
        if begin + 1 not in self._states:
            return False
        return self._patient or max(self._states) <= begin + PATIENCE_TICKS

    def _next_after(self, begin: int) -> int:
        return min(tick for tick in self._states if tick > begin)

    def _forget(self) -> None:
        assert self._done is not None
        oldest = self._done - self._delay
        self._states = {k: v for k, v in self._states.items() if k >= self._done}
        self._actions = {k: v for k, v in self._actions.items() if k >= oldest}
