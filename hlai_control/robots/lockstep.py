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
The lockstep barrier: the physics steps on an answer, never on a clock.

Tick k is measured, told to the graph, answered by exactly one applied
command with the same stamp, and only then stepped. A pause withholds the
next measurement, so that the answer to the last one may still come.
"""

from collections.abc import Callable
from enum import Enum

from hlai_control.errors import SignalError
from hlai_control.robots.clock import TickClock
from hlai_control.robots.simulator import Simulator

Command = tuple[float, ...]


class Move(Enum):
    """What the simulator shall do next."""

    WAIT = 'wait'
    TELL = 'tell'
    STEP = 'step'


class Barrier:
    """
    Orders measurements and answers.

    :param period_ns: control period [ns]; tick 0 has stamp 0.
    """

    def __init__(self, period_ns: int) -> None:
        """Begin paused, before tick 0."""
        self._clock = TickClock(0, period_ns)
        self._told = False
        self._answer: Command | None = None
        self._credit = 0
        self.tick = 0
        self.paused = True

    @property
    def stamp_ns(self) -> int:
        """Stamp of the current tick [ns]."""
        return self._clock.stamp_ns(self.tick)

    @property
    def awaits_answer(self) -> bool:
        """Whether the current tick was told and nobody has answered."""
        return self._told and self._answer is None

    def allow_one(self) -> None:
        """Let one more measurement be told although paused."""
        self._credit += 1

    def receive(self, stamp_ns: int, command: Command) -> None:
        """
        Take the answer to the current tick.

        :raises SignalError: if it answers another tick, or is not the first.
        """
        if stamp_ns > self.stamp_ns or (stamp_ns == self.stamp_ns and not self._told):
            raise SignalError('future stamp')
        if stamp_ns < self.stamp_ns:
            raise SignalError('old stamp')
        if self._answer is not None:
            raise SignalError('duplicated stamp')
        self._answer = command

    def next(self) -> Move:
        """Say what to do: tell the measurement, step the physics, or wait."""
        if self.paused and not self._credit:
            return Move.WAIT
        if not self._told:
            return Move.TELL
        return Move.WAIT if self._answer is None else Move.STEP

    def tell(self) -> None:
        """Note that the current tick's measurement was told."""
        self._told = True
        self._credit = max(0, self._credit - 1)

    def step(self) -> Command:
        """
        Move to the next tick.

        :returns: the answer that the physics shall step with.
        :raises SignalError: if there is none yet.
        """
        if self._answer is None:
            raise SignalError('no answer')
        command, self._answer = self._answer, None
        self._told = False
        self.tick += 1
        return command


class LockstepDriver:
    """
    Drives a simulator by the barrier; a :class:`hlai_control.robots.driver.Driver`.

    :param simulator: the robot.
    :param period_ns: control period [ns].
    :param tell: publishes the simulator's measurement with a stamp [ns].
    """

    def __init__(self, simulator: Simulator, period_ns: int,
                 tell: Callable[[int], None]) -> None:
        """Begin paused, before tick 0."""
        self._simulator = simulator
        self._period_ns = period_ns
        self._tell = tell
        self._barrier = Barrier(period_ns)

    @property
    def paused(self) -> bool:
        """Whether the next measurement is withheld."""
        return self._barrier.paused

    @property
    def tick(self) -> int:
        """Return the current tick."""
        return self._barrier.tick

    @property
    def owed(self) -> str | None:
        """Return what the run waits for, None if for nothing."""
        if self._barrier.awaits_answer:
            return f'guard/applied for tick {self.tick} (stamp {self._barrier.stamp_ns} ns)'
        return None

    def release(self, _now_s: float) -> None:
        """Go on, with tick 0 at first."""
        self._barrier.paused = False

    def pause(self) -> None:
        """Withhold the next measurement."""
        self._barrier.paused = True

    def allow_one(self, _now_s: float) -> None:
        """Tell one more measurement although paused."""
        self._barrier.allow_one()

    def reset(self, seed: int, _now_s: float) -> None:
        """Return to before tick 0, and pause: the graph must be reset as well."""
        self._simulator.reset(seed)
        self._barrier = Barrier(self._period_ns)

    def set_delay(self, ticks: int) -> None:
        """Set the action delay."""
        self._simulator.delay_ticks = ticks

    def answer(self, stamp_ns: int, command: Command) -> None:
        """
        Take what the guard really sent.

        :raises SignalError: if it is not the answer to the current tick.
        """
        self._barrier.receive(stamp_ns, command)

    def command(self, command: Command, _now_s: float) -> None:
        """Ignore the headerless command: the answer says the same, with its stamp."""

    def work(self, _now_s: float) -> int:
        """
        Make every move that is possible now.

        :returns: measurements skipped; in lockstep always 0.
        """
        move = self._barrier.next()
        while move is not Move.WAIT:
            if move is Move.TELL:
                self._barrier.tell()
                self._tell(self._barrier.stamp_ns)
            else:
                self._simulator.step(self._barrier.step())
            move = self._barrier.next()
        return 0
