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

# Real time does not wait for an applied command that a newer one has passed, nor for
# longer than this.
PATIENCE_TICKS = 3
# Of each stream, as much is kept while the other is silent; its reader's queue is shorter.
MEMORY_TICKS = 1000


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

    Each pair of states that follow each other becomes a transition or counts
    in ``gaps``.

    :param delay_ticks: ticks from a measurement to its command's effect.
    :param action_size: A, the number of actuators.
    :param patient: lockstep: wait for ever for a command, since it must come;
        the first state is the run's first, and before it the action was zero.
        Otherwise the robot may have moved long before, by unknown commands.
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
        """Take the state of a tick; of several the first counts."""
        if self._first is None or self._done is None:
            self._first = self._done = tick
        if tick < self._done or tick in self._states:
            return
        self._states[tick] = (stamp_ns, values)
        if len(self._states) > MEMORY_TICKS:
            del self._states[self._done]
            self._done = min(self._states)
            self.gaps += 1

    def applied(self, tick: int, values: Vector) -> None:
        """Take the command that answered a tick's measurement; the last one counts."""
        self._actions[tick] = values
        if len(self._actions) > MEMORY_TICKS:
            del self._actions[min(self._actions)]

    def pop(self) -> Joined | None:
        """
        Return the next transition in order of time, or None for now.

        What can no longer become a transition counts as a gap.
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
        if self._patient and self._first is not None and tick < self._first:
            # Nothing was commanded before the first measurement.
            return self._actions.get(tick, self._zero)
        return self._actions.get(tick)

    def _may_wait(self, begin: int) -> bool:
        """Whether what is missing can still arrive."""
        if begin + 1 not in self._states:
            return False
        wanted = begin - self._delay
        passed = max(self._actions, default=wanted) > wanted
        return self._patient or (not passed and max(self._states) <= begin + PATIENCE_TICKS)

    def _next_after(self, begin: int) -> int:
        return min(tick for tick in self._states if tick > begin)

    def _forget(self) -> None:
        assert self._done is not None
        oldest = self._done - self._delay
        self._states = {k: v for k, v in self._states.items() if k >= self._done}
        self._actions = {k: v for k, v in self._actions.items() if k >= oldest}
