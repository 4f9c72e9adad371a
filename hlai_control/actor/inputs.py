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
What the actor needs before it may plan for a tick, gathered and joined.

In lockstep every input of a tick is exact: the version that is due, and the
commands that are still on their way. In real time the newest of each counts.
"""

import torch
from torch import Tensor

from hlai_control.learning.artefact import Artefact
from hlai_control.learning.versions import due_version, VersionShelf
from hlai_control.settings import ScheduleSettings

# Ticks for which applied commands are kept beside the action delay.
MEMORY_TICKS = 8


class FunctionInput:
    """
    The versions of one function, and the one in use.

    :param schedule: says which version is due in lockstep.
    :param lockstep: whether exactly the due version must be used.
    """

    def __init__(self, schedule: ScheduleSettings, lockstep: bool) -> None:
        """Begin with version 0, which knows nothing."""
        self._shelf: VersionShelf[Artefact] = VersionShelf()
        self._schedule, self._lockstep = schedule, lockstep
        self.version = 0

    def put(self, artefact: Artefact) -> None:
        """Take a version that has arrived."""
        self._shelf.put(artefact.version, artefact)

    def ready(self, tick: int) -> bool:
        """Whether the version for this tick is here."""
        if not self._lockstep:
            return True
        due = due_version(tick, self._schedule)
        return due == self.version or self._shelf.has(due)

    def waits_for(self, tick: int) -> str:
        """Name the version that this tick still lacks, empty if none."""
        return '' if self.ready(tick) else f'version {due_version(tick, self._schedule)}'

    def advance(self, tick: int) -> Artefact | None:
        """Return the version for this tick if it is not the one in use already."""
        if self._lockstep:
            due = due_version(tick, self._schedule)
            found = (due, self._shelf.take(due)) if due != self.version else None
        else:
            found = self._shelf.newest()
        if found is None or found[0] == self.version:
            return None
        self.version = found[0]
        return found[1]


class AppliedCommands:
    """
    The commands that the guard really sent, by tick.

    :param delay_ticks: D, ticks until a command takes effect.
    :param action_size: A.
    """

    def __init__(self, delay_ticks: int, action_size: int) -> None:
        """Begin before the first command: nothing is on its way."""
        self._delay, self._zero = delay_ticks, torch.zeros(action_size)
        self._commands: dict[int, Tensor] = {}
        self._expected: dict[int, Tensor] = {}
        self.first_tick: int | None = None

    def put(self, tick: int, values: Tensor) -> None:
        """Take the command that answered a tick's measurement; the last one counts."""
        self._commands[tick] = values
        oldest = tick - self._delay - MEMORY_TICKS
        self._commands = {k: v for k, v in self._commands.items() if k >= oldest}

    def ready(self, tick: int) -> bool:
        """Whether the last command, and every one still on its way at this tick, is known."""
        first = tick if self.first_tick is None else self.first_tick
        since = max(first, tick - max(self._delay, 1))
        return all(k in self._commands for k in range(since, tick))

    def expect(self, tick: int, values: Tensor) -> None:
        """Take what the actor itself asked for, until the guard says what it sent."""
        self._expected = {tick: values}

    def last(self, tick: int) -> Tensor:
        """Return the command sent before this tick, zero before the first, shape (A,)."""
        known = {**self._expected, **self._commands}
        sent = [k for k in known if k < tick]
        return known[max(sent)] if sent else self._zero

    def in_effect(self, tick: int) -> Tensor:
        """
        Return the command in effect in the period that begins at this tick, shape (A,).

        One that is not known is taken to be the one before it; before the first it is zero.
        """
        given = [k for k in self._commands if k <= tick - self._delay]
        return self._commands[max(given)] if given else self._zero

    def pending(self, tick: int) -> Tensor:
        """
        Return the D commands on their way at this tick, oldest first, shape (D, A).

        One that is not known is taken to be the one before it, which the
        controller holds; before the first it is zero.
        """
        last, pending = self._zero, []
        older = [k for k in self._commands if k < tick - self._delay]
        if older:
            last = self._commands[max(older)]
        for k in range(tick - self._delay, tick):
            last = self._commands.get(k, last)
            pending.append(last)
        return torch.stack(pending) if pending else torch.empty(0, len(self._zero))
