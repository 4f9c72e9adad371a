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
How old a measurement is on arrival, without synchronised clocks.

The smallest transport delay seen so far fixes the offset between the
publisher's clock and ours; what arrives later than that, relative to its
stamp, is late by the difference. Two clocks drift apart, so that the offset
is let grow a little; and no delay explains a stamp far ahead of its time.
"""

from hlai_control.errors import SignalError

# Two quartz clocks at their worst [s/s].
DRIFT = 5e-4
# No first measurement arrives so much later than the next ones [s].
FUTURE_S = 1.0
# So many future stamps in a row mean that the publisher's clock was set.
PERSISTENT = 20


class Freshness:
    """
    Judges the age of stamped data by the steady clock.

    :param limit_s: greatest age beyond the smallest delay seen [s].
    :param rate: seconds of stamp per second of steady clock (the
        simulator's real-time factor; 1 on hardware).
    """

    def __init__(self, limit_s: float, rate: float = 1.0) -> None:
        """Begin without an offset: the first stamp counts as fresh."""
        self._limit_s = limit_s
        self._rate = rate
        self._offset_s: float | None = None
        self._arrival_s = 0.0
        self._future = 0

    def check(self, stamp_ns: int, arrival_s: float) -> float:
        """
        Return the age beyond the smallest delay [s].

        :param stamp_ns: stamp of the data [ns].
        :param arrival_s: steady clock at arrival [s].
        :raises SignalError: if the data is older than the limit, or its
            stamp lies ahead of its time.
        """
        offset_s = arrival_s - stamp_ns * 1e-9 / self._rate
        least_s = self._least(offset_s, arrival_s)
        self._future = self._future + 1 if offset_s < least_s - FUTURE_S else 0
        if 0 < self._future < PERSISTENT:
            raise SignalError('future stamp')
        self._offset_s, self._arrival_s = min(least_s, offset_s), arrival_s
        age_s = offset_s - self._offset_s
        if age_s > self._limit_s:
            raise SignalError('stale')
        return age_s

    def _least(self, offset_s: float, arrival_s: float) -> float:
        """Return the least offset that is known, after the drift since the last arrival."""
        if self._offset_s is None:
            return offset_s
        return self._offset_s + DRIFT * (arrival_s - self._arrival_s)
