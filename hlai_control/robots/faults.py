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

"""What may go wrong with the sensors of a simulated robot while it runs."""

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from hlai_control.errors import SettingsError
from hlai_control.layout import Layout


class SensorFaults:
    """
    A sensor that repeats its last reading, and one that is off by a constant.

    :param layout: the robot; what no sensor measures cannot fail.
    """

    def __init__(self, layout: Layout) -> None:
        """Begin with sensors that work."""
        self._names = layout.states
        self._measured = tuple(name for name, std in zip(layout.states, layout.noise_std,
                                                         strict=True) if isfinite(std))
        self._frozen, self._biased, self._bias = '', '', 0.0
        self._last: NDArray[np.float64] | None = None

    def check(self, name: str) -> str:
        """
        Return the name of a measured coordinate, or an empty one.

        :raises SettingsError: naming those that there are.
        """
        if name and name not in self._measured:
            raise SettingsError(f'no sensor measures {name!r}; valid: '
                                f'{", ".join(self._measured)}, or empty for none')
        return name

    def freeze(self, name: str) -> None:
        """Let one sensor repeat its last reading from now on; empty: none."""
        self._frozen = self.check(name)

    def bias(self, name: str, amount: float) -> None:
        """
        Add a constant to what one sensor says from now on.

        :param name: the coordinate; empty: none.
        :param amount: in its unit.
        :raises SettingsError: if there is no such sensor, or the amount is not finite.
        """
        if not isfinite(amount):
            raise SettingsError(f'bias = {amount!r}; valid: a finite number')
        self._biased, self._bias = self.check(name), amount

    def readings(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """
        Pass on what working sensors would say.

        :param values: S of them, positions and then rates, once per measurement.
        """
        given = values.copy()
        if self._biased:
            given[self._names.index(self._biased)] += self._bias
        if self._frozen and self._last is not None:
            at = self._names.index(self._frozen)
            given[at] = self._last[at]
        self._last = given
        return given
