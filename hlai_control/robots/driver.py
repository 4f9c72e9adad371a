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


"""The seam between the robot's node and its two ways of keeping time."""

from typing import Protocol


class Driver(Protocol):
    """
    Moves a simulated robot from tick to tick.

    ``now_s`` is the robot's own time: the steady clock times the real-time
    factor; lockstep does not look at it.
    """

    @property
    def paused(self) -> bool:
        """Whether the robot stands still."""

    @property
    def tick(self) -> int:
        """Return the current tick."""

    @property
    def owed(self) -> str | None:
        """Return what the run waits for, None if for nothing."""

    def release(self, now_s: float) -> None:
        """Go on."""

    def pause(self) -> None:
        """Stand still after the current tick."""

    def allow_one(self, now_s: float) -> None:
        """Make one tick although paused."""

    def reset(self, seed: int, now_s: float) -> None:
        """Return to the initial position, with fresh noise."""

    def set_delay(self, ticks: int) -> None:
        """Set the ticks from a command to its effect."""

    def answer(self, stamp_ns: int, command: tuple[float, ...]) -> None:
        """Take what the guard says it has sent for a tick."""

    def command(self, command: tuple[float, ...], now_s: float) -> None:
        """Take what arrived on the controller's command topic."""

    def work(self, now_s: float) -> int:
        """Do what is due; returns the measurements that had to be skipped."""
