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
Kalman filter and smoother over a window, as compiled loops.

Sensors are folded in one after the other, which is exact as their noises are
independent, and the way back follows the modified Bryson-Frazier recursion
(Bierman 1973, *Fixed interval smoothing with discrete measurements*): so no
matrix is ever inverted, and none can be singular.
"""

import math
from typing import NamedTuple

from numba import njit
import numpy as np

from hlai_control.compiled.kept import kept

Array = np.ndarray

# Division by zero gives inf or NaN.
part = njit(error_model='numpy')

# By so much the process noise of a step is raised at a time, and so often at most.
_RAISE, _TIMES = 4.0, 10
# Squared innovations beyond this count no more, so that one hit does not decide what fits.
_CAP = 30.0
# Steps at the beginning whose likelihood says how little was known, not how well it fits.
_SETTLING = 2


class Motion(NamedTuple):
    """
    How a window's N states follow each other: s' = ahead + slope (s - base) + noise.

    :param base: states about which it is linearised.
    :param ahead: where the model says that each of them leads.
    :param slope: and how that changes with the state.
    """

    base: Array  # N-1 S
    ahead: Array  # N-1 S
    slope: Array  # N-1 S S


class Sensors(NamedTuple):
    """
    What was measured.

    :param values: NaN where nothing was.
    :param noise: variances; what has none finite is never measured.
    :param turns: which are angles, so that innovations are taken modulo 2 pi.
    :param gate: squared innovation per value, in units of its variance, beyond
        which a step is taken for disturbed: its process noise is raised.
    """

    values: Array  # N S
    noise: Array  # S
    turns: Array  # S
    gate: float


class Beliefs(NamedTuple):
    """What the way ahead leaves for the way back."""

    mean: Array  # N S
    spread: Array  # N S S
    innovation: Array  # N S, NaN: not used
    variance: Array  # N S, of the innovations
    gain: Array  # N S S, one row per value
    raised: Array  # N, factor on the process noise of the step that ends here


@kept
def ahead(start: Array, spread: Array, motion: Motion, heat: Array, sensors: Sensors
          ) -> tuple[Beliefs, float]:
    """
    Filter a window.

    :param start: S, expected before the first measurement.
    :param spread: S S, its covariance.
    :param heat: S S, covariance of the process noise.
    :returns: the beliefs after each measurement, and the log-likelihood of the innovations,
        constants apart.
    """
    count, size = sensors.values.shape
    kept_ = Beliefs(np.empty((count, size)), np.empty((count, size, size)),
                    np.empty((count, size)), np.empty((count, size)),
                    np.zeros((count, size, size)), np.ones(count))
    total = 0.0
    moved, before = start.copy(), spread.copy()
    for k in range(count):
        if k:
            for i in range(size):
                moved[i] = motion.ahead[k - 1, i]
                for j in range(size):
                    moved[i] += motion.slope[k - 1, i, j] * (
                        kept_.mean[k - 1, j] - motion.base[k - 1, j])
            carry(motion.slope[k - 1], kept_.spread[k - 1], before)
        for attempt in range(_TIMES):
            for i in range(size):
                kept_.mean[k, i] = moved[i]
                for j in range(size):
                    kept_.spread[k, i, j] = before[i, j]
                    if k:
                        kept_.spread[k, i, j] += kept_.raised[k] * heat[i, j]
            squares, volume, used = fold(k, sensors, kept_)
            if attempt == 0 and k >= _SETTLING:
                total -= 0.5 * (min(squares, _CAP) + volume)
            if k == 0 or squares <= sensors.gate * used:
                break
            kept_.raised[k] *= _RAISE
    return kept_, total


@kept
def back(motion: Motion, beliefs: Beliefs) -> tuple[Array, Array]:
    """
    Smooth what was filtered.

    :returns: means N S and covariances N S S, given all measurements.
    """
    count, size = beliefs.mean.shape
    means, spreads = np.empty((count, size)), np.empty((count, size, size))
    pull, weight = np.zeros(size), np.zeros((size, size))
    old, half = np.empty(size), np.empty((size, size))
    for k in range(count - 1, -1, -1):
        for i in range(size):
            means[k, i] = beliefs.mean[k, i]
            for j in range(size):
                means[k, i] -= beliefs.spread[k, i, j] * pull[j]
        carry(beliefs.spread[k], weight, spreads[k])
        for i in range(size):
            for j in range(size):
                spreads[k, i, j] = beliefs.spread[k, i, j] - spreads[k, i, j]
        for i in range(size - 1, -1, -1):
            if not math.isnan(beliefs.innovation[k, i]):
                unfold(beliefs.gain[k, i], i, beliefs.innovation[k, i], beliefs.variance[k, i],
                       pull, weight)
        if k == 0:
            break
        slope = motion.slope[k - 1]
        old[:] = pull
        for i in range(size):
            pull[i] = 0.0
            for j in range(size):
                pull[i] += slope[j, i] * old[j]
                half[i, j] = 0.0
                for n in range(size):
                    half[i, j] += slope[n, i] * weight[n, j]
        for i in range(size):
            for j in range(size):
                weight[i, j] = 0.0
                for n in range(size):
                    weight[i, j] += half[i, n] * slope[n, j]
    return means, spreads


@part
def carry(matrix: Array, inner: Array, found: Array) -> None:
    """Leave matrix inner matrix' in ``found``, symmetric to the last bit."""
    size = len(found)
    half = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            half[i, j] = 0.0
            for n in range(size):
                half[i, j] += matrix[i, n] * inner[n, j]
    for i in range(size):
        for j in range(i + 1):
            total = 0.0
            for n in range(size):
                total += 0.5 * (half[i, n] * matrix[j, n] + half[j, n] * matrix[i, n])
            found[i, j], found[j, i] = total, total


@part
def fold(k: int, sensors: Sensors, beliefs: Beliefs) -> tuple[float, float, int]:
    """
    Fold the measurements of one tick into its belief.

    :returns: the squared innovations in units of their variances, the logarithm of the
        product of the variances, and how many there are.
    """
    mean, spread = beliefs.mean[k], beliefs.spread[k]
    size, used, squares, volume = len(mean), 0, 0.0, 0.0
    for i in range(size):
        value, noise = sensors.values[k, i], sensors.noise[i]
        beliefs.innovation[k, i], beliefs.variance[k, i] = math.nan, math.inf
        if not (math.isfinite(value) and math.isfinite(noise)):
            continue
        off = value - mean[i]
        if sensors.turns[i]:
            off -= 2.0 * math.pi * math.floor(off / (2.0 * math.pi) + 0.5)
        variance = spread[i, i] + noise
        gain = beliefs.gain[k, i]
        for j in range(size):
            gain[j] = spread[j, i] / variance
        for j in range(size):
            mean[j] += gain[j] * off
        # What lies in row and column i is written as a product, which keeps it above zero.
        for j in range(size):
            for n in range(j + 1):
                left = spread[j, n] - gain[j] * gain[n] * variance
                if j == i or n == i:
                    left = noise * gain[n if j == i else j]
                spread[j, n], spread[n, j] = left, left
        beliefs.innovation[k, i], beliefs.variance[k, i] = off, variance
        squares += off * off / variance
        volume += math.log(variance)
        used += 1
    return squares, volume, used


@part
def unfold(gain: Array, at: int, off: float, variance: float, pull: Array,
           weight: Array) -> None:
    """Go back over one value: C' pull - H' off / variance, and C' weight C + H'H / variance."""
    size = len(pull)
    pulled = off / variance
    for j in range(size):
        pulled += gain[j] * pull[j]
    pull[at] -= pulled
    for j in range(size):
        across = 0.0
        for n in range(size):
            across += weight[j, n] * gain[n]
        weight[j, at] -= across
    for n in range(size):
        across = 0.0
        for j in range(size):
            across += gain[j] * weight[j, n]
        weight[at, n] -= across
    weight[at, at] += 1.0 / variance
