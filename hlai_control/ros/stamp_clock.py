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
The age of a stamp, whichever clock made it.

The simulator stamps with the steady clock times the real-time factor (both
run on one machine); hardware stamps with the system's time.
"""

import time

PLAUSIBLE_S = 10.0


class StampClock:
    """
    Tells how long ago a stamp was made.

    :param rate: the simulator's real-time factor; 1 on hardware.
    """

    def __init__(self, rate: float) -> None:
        """Keep the rate."""
        self._rate = rate

    def age_s(self, stamp_ns: int) -> float | None:
        """Return the stamp's age in steady seconds, None if no clock fits it."""
        for now_s in (time.monotonic() * self._rate, time.time()):
            age_s = now_s - stamp_ns * 1e-9
            if abs(age_s) < PLAUSIBLE_S:
                return age_s / self._rate
        return None
