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
What a plan must keep to, as plain data; torch-free, so that every process may read it.

============ ============================================== ====================
kind         what holds                                     value, 0 at the edge
============ ============================================== ====================
``limit``    low <= x <= high, or one of the two            distance outside
``keep_out`` abs(x - centre) >= radius of 1 to 3 coordinates depth inside
``rate``     abs(a[t] - a[t-1]) / dt <= limit               excess per second
============ ============================================== ====================
"""

from dataclasses import dataclass

from hlai_control.errors import SettingsError

LIMIT, KEEP_OUT, RATE = CONSTRAINT_KINDS = ('limit', 'keep_out', 'rate')
MAX_AXES = 3
# Numbers in a robot's units; squares of what is far beyond are no numbers any more.
MOST = 1e9


@dataclass(frozen=True)
class ConstraintSpec:
    """
    One constraint; see the table above.

    :param name: its own name, shown where it is violated.
    :param kind: one of ``CONSTRAINT_KINDS``.
    :param coordinates: names: of ``limit`` one state coordinate or actuator,
        of ``keep_out`` one to three of them, of ``rate`` one actuator.
    :param low: of ``limit``, in the coordinate's unit; None: none.
    :param high: of ``limit``; None: none.
    :param centre: of ``keep_out``, one number per coordinate.
    :param radius: of ``keep_out``, in the coordinates' common unit.
    :param limit: of ``rate``, in the actuator's unit per second.
    """

    name: str
    kind: str
    coordinates: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    centre: tuple[float, ...] = ()
    radius: float = 1.0
    limit: float = 1.0

    def __post_init__(self) -> None:
        """
        Refuse what cannot be kept or says nothing.

        :raises SettingsError: naming the constraint, what was found and what is valid.
        """
        if self.kind not in CONSTRAINT_KINDS:
            raise self._error('kind', self.kind, f'one of {", ".join(CONSTRAINT_KINDS)}')
        most = MAX_AXES if self.kind == KEEP_OUT else 1
        if not 1 <= len(self.coordinates) <= most:
            raise self._error('coordinates', self.coordinates, f'1 to {most} names')
        for field, value in (('radius', self.radius), ('limit', self.limit)):
            if not 1.0 / MOST <= value <= MOST:  # also refuses NaN
                raise self._error(field, value,
                                  f'a finite number above 0, {1.0 / MOST:g} to {MOST:g}')
        for edge in (self.low, self.high, *self.centre):
            if edge is not None and not abs(edge) <= MOST:
                raise self._error('low, high, centre', edge, f'finite numbers, within +-{MOST:g}')
        if self.kind == LIMIT and self.low is None and self.high is None:
            raise self._error('low and high', None, 'at least one of the two')
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise self._error('low', self.low, f'below high = {self.high!r}')
        if len(self.centre) != (len(self.coordinates) if self.kind == KEEP_OUT else 0):
            raise self._error('centre', self.centre, 'of keep_out, one number per coordinate')

    def _error(self, field: str, value: object, valid: str) -> SettingsError:
        return SettingsError(
            f'constraint {self.name!r}: {field} = {value!r}; valid: {valid}')
