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
Real time as arithmetic: which tick it is, and which command the controller holds.

Times are in the robot's own scale: the steady clock times the real-time
factor. The node reads the clock; nothing here does.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hlai_control.robots.clock import NS_PER_S, TickClock
from hlai_control.robots.manifest import RobotManifest
from hlai_control.robots.simulator import Simulator

# A robot that slept longer than this wakes up where it stood, its stamps ahead.
CATCH_UP_S = 1.0


@dataclass(frozen=True)
class Due:
    """
    What a loop that has just woken up owes.

    :param steps: periods of physics to integrate, 0: it woke too early.
    :param missed: measurements that were due earlier and are skipped.
    """

    steps: int
    missed: int


class Pace:
    """
    Counts ticks by the clock; a late loop skips instead of bursting.

    :param period_ns: control period [ns].
    """

    def __init__(self, period_ns: int) -> None:
        """Stand still until :meth:`start`."""
        self._clock = TickClock(0, period_ns)
        self._limit = max(1, round(CATCH_UP_S * NS_PER_S / period_ns))
        self._last_ns: int | None = None
        self.tick = 0

    @property
    def stamp_ns(self) -> int:
        """Stamp of the current tick [ns]."""
        return self._clock.stamp_ns(self.tick)

    def start(self, now_s: float, gap_ticks: int = 1) -> None:
        """
        Begin at the present, and after every stamp used before.

        :param gap_ticks: periods to leave at least after the last stamp; 2
            tells learners that these two measurements are no pair.
        """
        base_ns = round(now_s * NS_PER_S)
        if self._last_ns is not None:
            base_ns = max(base_ns, self._last_ns + gap_ticks * self._clock.period_ns)
        self._clock = TickClock(base_ns, self._clock.period_ns)
        self.tick = 0
        self._last_ns = base_ns

    def advance(self, now_s: float) -> Due:
        """Move to the newest tick that has begun by ``now_s``."""
        # A timer may fire a little early: within 5 % of a period it is on time.
        now = self._clock.tick(now_s + 0.05 * self._clock.period_ns / NS_PER_S)
        passed = max(0, now - self.tick)
        self.tick += passed
        self._last_ns = self.stamp_ns
        return Due(min(passed, self._limit), max(0, passed - 1))


class Held:
    """
    The command that the robot's controller holds.

    :param size: A, the number of actuators.
    :param timeout_s: after so long without a command it is zero [s]; None:
        it is held for ever.
    """

    def __init__(self, size: int, timeout_s: float | None) -> None:
        """Begin with zero."""
        self._zero = (0.0,) * size
        self._timeout_s = timeout_s
        self._command, self._taken_s = self._zero, 0.0

    def take(self, command: tuple[float, ...], now_s: float) -> None:
        """Hold a new command from now on."""
        self._command, self._taken_s = command, now_s

    def forget(self) -> None:
        """Hold zero again, as after a start."""
        self._command = self._zero

    def acting(self, now_s: float) -> tuple[float, ...]:
        """Return the command in force."""
        if self._timeout_s is not None and now_s - self._taken_s > self._timeout_s:
            return self._zero
        return self._command


class RealtimeDriver:
    """
    Drives a simulator by a clock; a :class:`hlai_control.robots.driver.Driver`.

    At each boundary the measurement is told first, and then the period after
    it is integrated with the command held at this moment. So a command that
    arrives during tick k acts from boundary k + max(1, delay) on.

    :param simulator: the robot.
    :param manifest: its period, actuators and command timeout.
    :param tell: publishes the simulator's measurement with a stamp [ns].
    """

    def __init__(self, simulator: Simulator, manifest: RobotManifest,
                 tell: Callable[[int], None]) -> None:
        """Begin paused."""
        self._simulator = simulator
        self._tell = tell
        self._pace = Pace(manifest.period_ns)
        self._held = Held(len(manifest.actuators), manifest.command_timeout_s)
        self._gap_ticks = 1
        self.paused = True
        self.set_delay(manifest.delay_ticks)

    @property
    def tick(self) -> int:
        """Ticks since the last release."""
        return self._pace.tick

    @property
    def owed(self) -> None:
        """Nothing: real time waits for nobody."""
        return None

    def release(self, now_s: float) -> None:
        """Go on at the present; what was paused is no time."""
        if self.paused:
            self.paused = False
            self._begin(now_s)

    def pause(self) -> None:
        """Stand still; commands are still taken."""
        self.paused = True

    def allow_one(self, now_s: float) -> None:
        """Make one tick although paused."""
        self._begin(now_s)

    def reset(self, seed: int, now_s: float) -> None:
        """Return to the initial position; stamps go on, with a gap."""
        self._simulator.reset(seed)
        self._held.forget()
        self._gap_ticks = 2
        if not self.paused:
            # Told when its time has come: a stamp ahead of it would make all later ones late.
            self._pace.start(now_s, self._gap_ticks)
            self._gap_ticks = 1

    def set_delay(self, ticks: int) -> None:
        """Set the action delay; the tick that the clock itself takes is one of them."""
        self._simulator.delay_ticks = max(0, ticks - 1)

    def answer(self, _stamp_ns: int, _command: tuple[float, ...]) -> None:
        """Ignore the barrier's answer: here the command topic counts."""

    def command(self, command: tuple[float, ...], now_s: float) -> None:
        """Hold a new command."""
        self._held.take(command, now_s)

    def work(self, now_s: float) -> int:
        """
        Do what is due.

        :returns: measurements that were due earlier and are skipped.
        """
        if self.paused:
            return 0
        due = self._pace.advance(now_s)
        if due.steps == 0:
            return 0
        for _ in range(due.steps - 1):
            self._simulator.step(self._held.acting(now_s))
        self._tick(now_s)
        return due.missed

    def _begin(self, now_s: float) -> None:
        self._pace.start(now_s, self._gap_ticks)
        self._gap_ticks = 1
        self._tick(now_s)

    def _tick(self, now_s: float) -> None:
        self._tell(self._pace.stamp_ns)
        self._simulator.step(self._held.acting(now_s))
