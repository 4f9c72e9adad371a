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
from math import inf, isfinite, log, pi

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.protocols import Dynamics
from hlai_control.types import Transition

# Shares of evidence: bets b(p) = k p^(k - 1), each of mean 1 for p uniform in 0 .. 1.
_BETS = (0.3, 0.5, 0.8)
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
    turns = torch.tensor(layout.angle + (False,) * len(layout.positions))
    wrapped = torch.remainder(error + pi, 2.0 * pi) - pi
    return torch.where(turns, wrapped, error), gain.squeeze(1)


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


class Surprise:
    """
    Evidence that energies have become higher than they used to be.

    Each energy is ranked among those of recent normal operation; the rank's
    p-value is bet against, and the gains add up to the Shiryaev-Roberts
    e-detector ``R' = (R + 1) b(p)``: with p uniform R - n has mean zero, so
    that the mean time to a false alarm at R >= c is at least c steps (Shin,
    Ramdas and Rinaldo 2022, *E-detectors*, section 2). Energies measured during
    an alarm are not taken for normal.

    :param patience: c, steps between false alarms on average, at least.
    :param window: energies that are compared with.
    :param least: energies to gather before any can be surprising.
    """

    def __init__(self, patience: int, window: int = 512, least: int = 50) -> None:
        """Begin without any evidence."""
        self.threshold, self._least = log(patience), least
        self._recent: deque[float] = deque(maxlen=window)
        self._sorted: list[float] = []
        self.value = -inf

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
        count = len(self._sorted)
        if count >= self._least:
            above = count - bisect_left(self._sorted, energy) if isfinite(energy) else 0
            p = (1 + above) / (1 + count)
            bet = sum(k * p ** (k - 1.0) for k in _BETS) / len(_BETS)
            grown = torch.logaddexp(torch.tensor(self.value), torch.tensor(0.0)).item() + log(bet)
            self.value = min(grown, self.threshold + _EXCESS)
        if isfinite(energy) and not self.alarm:
            self._keep(energy)
        return self.value

    def _keep(self, energy: float) -> None:
        if len(self._recent) == self._recent.maxlen:
            del self._sorted[bisect_left(self._sorted, self._recent[0])]
        self._recent.append(energy)
        insort(self._sorted, energy)
