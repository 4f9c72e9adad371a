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
The states of a window of measurements, given the world model as it is now.

An extended Kalman smoother: the world model is linearised about the path that
was found before, so that each new measurement also makes the path of the last
seconds one Gauss-Newton step better (Bell 1994, *The iterated Kalman smoother
as a Gauss-Newton method*). How far the world model can be trusted is not a
setting: the standard deviation of what it leaves out is the one under which
the measurements are most likely, per coordinate. A world model under which
they are less likely than under constant rates is not used.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
import torch

from hlai_control.compiled import smoothing
from hlai_control.errors import ShapeError
from hlai_control.layout import Layout
from hlai_control.protocols import Dynamics, Trajectories
from hlai_control.settings import PerceptionSettings

Array = NDArray[np.float64]

# Accelerations that the world model leaves out are between the expected ones times 2 ** these.
_LEAST, _MOST, _FIRST = -8.0, 1.0, -2.0
# Before the first measurement every position is possible: 1e3 in SI units, squared.
_UNKNOWN = 1e6
# A squared innovation per value that is less likely than 1 in 10^6 is a hit.
_GATE = 25.0


class LinearisedDynamics(Dynamics, Trajectories, Protocol):
    """World models that can be linearised along a path."""


@dataclass(frozen=True)
class Path:
    """
    States of a window.

    :param mean: N S, oldest first.
    :param std: N S.
    :param raised: N, 1 or the factor on the process noise of the step that ends there: above 1
        the robot was hit.
    """

    mean: Array
    std: Array
    raised: Array


class Smoother:
    """
    Holds the measurements of a window and what is believed of its states.

    What leaves the window stays in the belief about its first state; so time
    and memory are bounded however long it goes on.

    :param layout: coordinates, angles and the noise of the sensors.
    :param settings: expected accelerations and rates.
    :param window: ticks at most, 2 or more.
    """

    def __init__(self, layout: Layout, settings: PerceptionSettings, window: int) -> None:
        """Fix what does not change."""
        count, dt = len(layout.positions), layout.period_s
        self._count, self._window, self._actuators = count, window, layout.action_size
        self._noise = np.square(np.array(layout.noise_std))
        self._turns = np.array(layout.angle + (False,) * count)
        self._steady = np.eye(2 * count)
        self._steady[:count, count:] = dt * np.eye(count)
        self._push = dt * np.vstack([0.5 * dt * np.eye(count), np.eye(count)])
        self._expected = settings.acceleration_std
        self._spread = np.diag([_UNKNOWN] * count + [settings.rate_std ** 2] * count)
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next measurement starts the belief."""
        size = 2 * self._count
        self._measured = np.empty((0, size))
        self._actions = np.empty((0, self._actuators))
        self._start, self._start_spread = np.zeros(size), self._spread
        self._octaves = np.full(self._count, _FIRST)
        self._beliefs: smoothing.Beliefs | None = None
        self._motion: smoothing.Motion | None = None
        self.path: Path | None = None

    def __len__(self) -> int:
        """Ticks in the window."""
        return len(self._measured)

    @property
    def actions(self) -> Array:
        """Commands in effect between the window's ticks, (N - 1) A."""
        return self._actions

    @property
    def doubt(self) -> Array:
        """Return the standard deviations of the accelerations that the motion leaves out, n."""
        found: Array = self._expected * 2.0 ** self._used
        return found

    def push(self, measured: Array, action: Array | None) -> bool:
        """
        Take the next measurement.

        :param measured: S values; NaN marks one not measured.
        :param action: in effect since the measurement before; None for the first.
        :returns: whether the oldest one left the window.
        :raises ShapeError: if the number of values is wrong.
        """
        self._check(measured)
        if len(self):
            assert action is not None
            self._actions = np.vstack([self._actions, action])
        self._measured = np.vstack([self._measured, measured])
        if len(self) <= self._window:
            return False
        self._drop()
        return True

    def measure(self, measured: Array) -> None:
        """
        Take the newest tick's measurement, where nothing was known of it.

        :raises ShapeError: if the number of values is wrong.
        """
        self._check(measured)
        self._measured[-1] = measured

    def revise(self, dynamics: LinearisedDynamics | None) -> Path:
        """
        Find all states anew.

        :param dynamics: the world model as it is now; None: there is none yet.
        :returns: what is known of them, given all measurements of the window.
        """
        steady = self._steadily()
        self._beliefs, likelihood = self._pass(steady, self._heat(np.zeros(self._count)))
        self._motion, self._used = steady, np.zeros(self._count)
        learned = self._learned(dynamics) if dynamics is not None and len(self) > 2 else None
        if learned is not None:
            best, score = self._trusted(learned)
            if score > likelihood:
                self._motion, self._used = learned, best
                self._beliefs, _ = self._pass(learned, self._heat(best))
        means, spreads = smoothing.back(self._motion, self._beliefs)
        variances = np.diagonal(spreads, axis1=1, axis2=2)
        self.path = Path(means, np.sqrt(variances), self._beliefs.raised)
        return self.path

    def _check(self, measured: Array) -> None:
        if measured.shape != (2 * self._count,):
            raise ShapeError(f'measurement has shape {measured.shape}; '
                             f'valid: ({2 * self._count},)')

    def _heat(self, octaves: Array) -> Array:
        push = self._push * (self._expected * 2.0 ** octaves)
        found: Array = push @ push.T
        return found

    def _pass(self, motion: smoothing.Motion, heat: Array) -> tuple[smoothing.Beliefs, float]:
        found: tuple[smoothing.Beliefs, float] = smoothing.ahead(
            self._start, self._start_spread, motion, heat,
            smoothing.Sensors(self._measured, self._noise, self._turns, _GATE))
        return found

    def _steadily(self) -> smoothing.Motion:
        steps = max(0, len(self) - 1)
        nowhere = np.zeros((steps, len(self._steady)))
        return smoothing.Motion(nowhere, nowhere, np.repeat(self._steady[None], steps, axis=0))

    def _learned(self, dynamics: LinearisedDynamics) -> smoothing.Motion | None:
        """Linearise about the last path; None without one, or where that gives no numbers."""
        if self.path is None or len(self.path.mean) < len(self) - 1:
            return None
        base = torch.from_numpy(self.path.mean[:len(self) - 1]).to(torch.float32)
        actions = torch.from_numpy(self._actions).to(torch.float32)
        with torch.no_grad():
            ahead = dynamics.step(base.expand(dynamics.members, -1, -1), actions).mean(dim=0)
            slope = dynamics.linearise(base.unsqueeze(0), actions)[0, ..., :base.shape[1]]
        parts = [part.double().contiguous().numpy() for part in (base, ahead, slope)]
        if not all(np.isfinite(part).all() for part in parts):
            return None
        return smoothing.Motion(*parts)

    def _trusted(self, motion: smoothing.Motion) -> tuple[Array, float]:
        """Move the process noise of each coordinate to where the measurements are likelier."""
        best = self._octaves
        _, score = self._pass(motion, self._heat(best))
        for i in range(self._count):
            for step in (-1.0, 1.0):
                tried = best.copy()
                tried[i] = np.clip(best[i] + step, _LEAST, _MOST)
                _, likelihood = self._pass(motion, self._heat(tried))
                if likelihood > score:
                    best, score = tried, likelihood
                    break
        self._octaves = best
        return best, score

    def _drop(self) -> None:
        """Let the oldest tick go; what it said of the next one stays."""
        assert self._beliefs is not None and self._motion is not None and self.path is not None
        mean, spread = self._beliefs.mean[0], self._beliefs.spread[0]
        slope = self._motion.slope[0]
        self._start = self._motion.ahead[0] + slope @ (mean - self._motion.base[0])
        self._start_spread = (slope @ spread @ slope.T
                              + self._beliefs.raised[1] * self._heat(self._used))
        self._measured, self._actions = self._measured[1:], self._actions[1:]
        self.path = Path(self.path.mean[1:], self.path.std[1:], self.path.raised[1:])
