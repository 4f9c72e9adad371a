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

"""Energy of a step under the world model, and when it is too high to be chance."""

from bisect import bisect_left, insort
from collections import deque
from math import exp, inf, isfinite, log, log1p

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.protocols import Dynamics
from hlai_control.types import Transition
from hlai_control.world_model.steps import turning, wrapped

# Shares of evidence: bets b(p) = k p^(k - 1), each of mean 1 for p uniform in 0 .. 1.
_BETS = (0.3, 0.5, 0.8)
# The least p-value of one step.
_LEAST_P = 1e-5
# Members learn from the same data, and err together: their spread counts so many times.
_TOGETHER = 1.5
# Keeps the energy of an error of zero where nothing is uncertain a number.
_TINY = 1e-9
# Evidence below this comes and goes; above it something may have begun.
_CALM = 2.0
# Evidence beyond this many times the threshold adds nothing: alarms end when their cause does.
_EXCESS = log(100.0)


def residual(dynamics: Dynamics, step: Transition, layout: Layout
             ) -> tuple[Float[Tensor, 'E S'], Float[Tensor, 'E S']]:
    """
    Compare each member's prediction with what happened.

    :returns: measured minus predicted at z = 0, angles wrapped, and what a z
        of one adds to each coordinate.
    """
    start = step.state.expand(dynamics.members, 1, -1)
    action = step.action.unsqueeze(0)
    ahead = dynamics.step(start, action)
    gain = dynamics.step(start, action, torch.ones_like(start)) - ahead
    error = (step.next_state - ahead).squeeze(1)
    return wrapped(error, turning(layout)), gain.squeeze(1)


def energy_at(error: Float[Tensor, '*B S'], gain: Float[Tensor, '*B S'],
              tolerance: Float[Tensor, ' S'], z: Float[Tensor, '*B S']) -> Float[Tensor, ' *B']:
    """Distance plus R(z): ``|(error - gain z) / tolerance|^2 / 2 + |z|^2 / 2``."""
    return 0.5 * (((error - gain * z) / tolerance).square() + z.square()).sum(dim=-1)


def free_energy(error: Float[Tensor, '*B S'], gain: Float[Tensor, '*B S'],
                tolerance: Float[Tensor, ' S']) -> tuple[Float[Tensor, ' *B'],
                                                         Float[Tensor, '*B S']]:
    """
    F = min over z of :func:`energy_at`, in closed form, for s' = mean + gain z.

    :param tolerance: distance that counts as 1, above zero, per coordinate.
    :returns: F, and the z where it is taken.
    """
    total = gain.square() + tolerance.square()
    return 0.5 * (error.square() / total).sum(dim=-1), gain * error / total


def surprisal(error: Float[Tensor, 'E S'], gain: Float[Tensor, 'E S']) -> Float[Tensor, '']:
    """
    Energy of a step under the whole ensemble, in nats.

    :func:`free_energy` of the members' mean; what they disagree about counts
    as not known, and is part of the tolerance. For Gaussian errors as large
    as predicted it is half of chi-squared with S degrees of freedom.

    :param error: measured minus predicted, of each member.
    :param gain: what a z of one adds, of each member.
    """
    apart = _TOGETHER * error.std(dim=0, correction=0)
    return free_energy(error.mean(dim=0), gain.square().mean(dim=0).sqrt(),
                       apart + _TINY)[0]


class Surprise:
    """
    Evidence that energies have become higher than they used to be.

    Each energy is ranked among those of recent normal operation; the rank's
    p-value is bet against, and the gains add up to the Shiryaev-Roberts
    e-detector ``R' = (R + 1) b(p)``: with p uniform R - n has mean zero, so
    that the mean time to a false alarm at R >= c is at least c steps (Shin,
    Ramdas and Rinaldo 2022, *E-detectors*, section 2). Energies measured during
    an alarm are not taken for normal.

    Ranks alone tell nothing apart that is higher than all there was. So the
    highest tenth is continued by an exponential tail with its mean excess
    (Pickands 1975), at least a nat: that of half a chi-squared. And what the
    world model itself takes for likely is no surprise, however low energies
    were while it still took itself for worse than it was: no p-value is below
    that of half a chi-squared. Nor is any below 1e-5: one outlier is no change.

    :param patience: c, steps between false alarms on average, at least.
    :param freedom: coordinates that an energy is the sum over; 0: of another
        kind, and only ranks count.
    :param window: energies that are compared with.
    :param least: energies to gather before any can be surprising.
    """

    def __init__(self, patience: int, window: int = 512, least: int = 50,
                 freedom: int = 0) -> None:
        """Begin without any evidence."""
        self.threshold, self._least, self._freedom = log(patience), least, freedom
        self._recent: deque[float] = deque(maxlen=window)
        self._sorted: list[float] = []
        self.value = -inf
        self.growing = 0

    @property
    def alarm(self) -> bool:
        """Whether the evidence has reached the threshold."""
        return self.value >= self.threshold

    def observe(self, energy: float) -> float:
        """
        Take the energy of one more step.

        :param energy: one that is not finite counts as higher than any.
        :returns: the evidence, log R.
        """
        if len(self._sorted) >= self._least:
            p = max(self._chance(energy), self._law(energy), _LEAST_P)
            bet = sum(k * p ** (k - 1.0) for k in _BETS) / len(_BETS)
            grown = max(self.value, 0.0) + log1p(exp(-abs(self.value))) + log(bet)
            self.value = min(grown, self.threshold + _EXCESS)
        self.growing = self.growing + 1 if self.value > _CALM else 0
        if isfinite(energy) and not self.alarm:
            self.take_for_normal(energy)
        return self.value

    def _chance(self, energy: float) -> float:
        """Return the share of normal energies that are so high, or higher."""
        if not isfinite(energy):
            return 0.0
        count = len(self._sorted)
        highest = max(1, count // 10)
        edge = self._sorted[count - highest]
        if energy <= edge:
            return (1 + count - bisect_left(self._sorted, energy)) / (1 + count)
        excess = max(1.0, sum(self._sorted[count - highest:]) / highest - edge)
        return (1 + highest) / (1 + count) * exp((edge - energy) / excess)

    def _law(self, energy: float) -> float:
        """Return the chance of half a chi-squared to be so high, or higher."""
        if not self._freedom or not isfinite(energy):
            return 0.0
        return float(torch.special.gammaincc(torch.tensor(0.5 * self._freedom),
                                             torch.tensor(energy)))

    @property
    def recent(self) -> list[float]:
        """Return what energies are compared with, oldest first."""
        return list(self._recent)

    def take_for_normal(self, energy: float) -> None:
        """Compare later energies with this one, too."""
        if len(self._recent) == self._recent.maxlen:
            del self._sorted[bisect_left(self._sorted, self._recent[0])]
        self._recent.append(energy)
        insort(self._sorted, energy)
