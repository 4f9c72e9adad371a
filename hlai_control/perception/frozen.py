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

"""Sensors that repeat themselves: noise that is stated, and does not come."""

from math import exp, inf, isfinite, log, log1p, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from hlai_control.layout import Layout

# A repetition is never taken for less likely than this: drivers drop or repeat single readings.
_LEAST = 0.01
# Evidence beyond this many times the threshold adds nothing.
_EXCESS = log(100.0)


class FrozenSensors:
    """
    Evidence, for each coordinate, that its sensor repeats its last reading.

    A reading under Gaussian noise of standard deviation sigma, in steps of q,
    equals any given value with a probability of at most ``q / (sqrt(2 pi)
    sigma)``, q times the greatest density, wherever the robot is. So a working
    sensor passes for a broken one only if it repeats again and again,
    also where the robot rests and no world model can notice. A repetition
    bets against the greatest probability that it may have, any other reading
    loses the bet, and the gains add up as in ``world_model/surprise.py``: the mean
    time to a false alarm is at least the patience.

    q is the least change that was ever seen; where equal readings have been
    more frequent than noise says, for a driver may be slower than the control
    loop, their frequency counts instead.

    :param layout: the robot; what no sensor measures is never frozen.
    :param patience: readings between false alarms on average, at least.
    """

    def __init__(self, layout: Layout, patience: int) -> None:
        """Begin without any evidence."""
        self.names, self.threshold = layout.states, log(patience)
        self._noise = layout.noise_std
        self._last: NDArray[np.float64] | None = None
        self._step = np.full(layout.state_size, inf)
        self._repeats = np.zeros(layout.state_size)
        self._count = 0
        self.evidence = np.full(layout.state_size, -inf)

    @property
    def frozen(self) -> NDArray[np.bool_]:
        """Which sensors repeat themselves, S of them."""
        found: NDArray[np.bool_] = self.evidence >= self.threshold
        return found

    @property
    def frozen_names(self) -> tuple[str, ...]:
        """Return their names."""
        return tuple(name for name, is_frozen in zip(self.names, self.frozen, strict=True)
                     if is_frozen)

    def trusted(self, readings: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take readings, and return them without those of frozen sensors: NaN, not measured."""
        return np.where(self.observe(readings), np.nan, readings)

    def observe(self, readings: NDArray[np.float64]) -> NDArray[np.bool_]:
        """
        Take one reading of each sensor.

        :param readings: S of them; NaN is not measured, and says nothing.
        :returns: which are frozen.
        """
        if self._last is not None:
            self._compare(readings, self._last)
        self._last = readings.copy()
        return self.frozen

    def _compare(self, readings: NDArray[np.float64], last: NDArray[np.float64]) -> None:
        self._count += 1
        was_frozen = self.frozen
        for at in np.flatnonzero(np.isfinite(readings) & np.isfinite(last)).tolist():
            change = abs(readings[at] - last[at])
            if change > 0.0:
                self._step[at] = min(self._step[at], change)
                self.evidence[at] = -inf
            elif isfinite(self._noise[at]):
                self.evidence[at] = self._grown(at)
                self._repeats[at] += not was_frozen[at]

    def _grown(self, at: int) -> float:
        noise = self._noise[at]
        likely = self._step[at] / (sqrt(2.0 * pi) * noise) if noise > 0.0 else 1.0
        likely = min(1.0, max(likely, self._repeats[at] / self._count, _LEAST))
        value = float(self.evidence[at])
        if likely == 1.0:
            return value  # nothing can be told from it
        grown = max(value, 0.0) + log1p(exp(-abs(value))) - log(likely)
        return min(grown, self.threshold + _EXCESS)
