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

"""What many runs say together: order statistics, success with its interval, survival."""

from collections.abc import Sequence
from math import inf, isfinite, sqrt

Z_95 = 1.959963984540054


def median_or_none(solved_at_s: Sequence[float | None]) -> float | None:
    """Return the median, unsolved runs counted as endless; None if that is endless."""
    ordered = sorted(inf if value is None else value for value in solved_at_s)
    if not ordered:
        return None
    middle = len(ordered) // 2
    value = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2.0
    return value if isfinite(value) else None


def worst_or_none(solved_at_s: Sequence[float | None]) -> float | None:
    """Return the greatest, None if not all are solved."""
    if not solved_at_s or any(value is None for value in solved_at_s):
        return None
    return max(value for value in solved_at_s if value is not None)


def wilson(successes: int, runs: int) -> tuple[float, float]:
    """
    Return the 95 % interval of a success rate.

    Wilson 1927, *Probable inference, the law of succession, and statistical
    inference*; it stays within 0 .. 1 and is sound for few runs.
    """
    if runs == 0:
        return 0.0, 1.0
    rate, z2 = successes / runs, Z_95 ** 2
    centre = (rate + z2 / (2 * runs)) / (1 + z2 / runs)
    half = Z_95 / (1 + z2 / runs) * sqrt(rate * (1 - rate) / runs + z2 / (4 * runs ** 2))
    return max(0.0, centre - half), min(1.0, centre + half)


def survival(solved_at_s: Sequence[float | None], times_s: Sequence[float]) -> list[float]:
    """Return the fraction of runs solved by each time."""
    runs = max(1, len(solved_at_s))
    return [sum(1 for value in solved_at_s if value is not None and value <= time_s) / runs
            for time_s in times_s]
