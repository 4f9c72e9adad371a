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


"""Ticks and stamps: stamps are whole nanoseconds, and tick k is exactly base + k periods."""

from dataclasses import dataclass

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class TickClock:
    """
    Turns ticks into stamps.

    :param base_ns: stamp of tick 0 [ns].
    :param period_ns: control period [ns].
    """

    base_ns: int
    period_ns: int

    def stamp_ns(self, tick: int) -> int:
        """Return the stamp of a tick [ns]."""
        return self.base_ns + tick * self.period_ns

    def tick(self, now_s: float) -> int:
        """
        Return the newest tick that has begun.

        :param now_s: time in the stamps' own scale [s].
        """
        return (round(now_s * NS_PER_S) - self.base_ns) // self.period_ns
