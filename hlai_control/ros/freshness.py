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
stamp, is late by the difference.
"""

from hlai_control.errors import SignalError


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

    def check(self, stamp_ns: int, arrival_s: float) -> float:
        """
        Return the age beyond the smallest delay [s].

        :param stamp_ns: stamp of the data [ns].
        :param arrival_s: steady clock at arrival [s].
        :raises SignalError: if the data is older than the limit.
        """
        offset_s = arrival_s - stamp_ns * 1e-9 / self._rate
        if self._offset_s is None or offset_s < self._offset_s:
            self._offset_s = offset_s
        age_s = offset_s - self._offset_s
        if age_s > self._limit_s:
            raise SignalError('stale')
        return age_s
