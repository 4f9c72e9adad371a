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


"""State estimation where positions and rates are measured with known noise."""

from math import pi

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.errors import ShapeError
from hlai_control.layout import Layout
from hlai_control.settings import PerceptionSettings
from hlai_control.types import Estimate

# Before the first measurement everything is possible: 1e3 in SI units, squared.
_UNKNOWN = 1e6


class KalmanEstimator:
    """
    One linear Kalman filter per coordinate, with white-noise acceleration.

    The state of a filter is (position, rate); between ticks the acceleration
    is constant and drawn anew (piecewise-constant white noise: Bar-Shalom,
    Li and Kirubarajan 2001, section 6.3.2). Position and rate are folded in
    one after the other, which is exact as their noises are independent.

    The mean of an angle is continuous, not wrapped: it follows the
    measurements through whole turns, starting from the first one, so that
    differences of consecutive means are true motions. Only the innovation is
    wrapped to -pi .. pi. Belief is kept in float64 and handed out as float32.

    Rates of a base that drives come and go in its own frame; in between they
    are those of its places, with the noise of either way.

    :param layout: coordinates and the noise of their sensors.
    :param settings: expected accelerations.
    """

    def __init__(self, layout: Layout, settings: PerceptionSettings) -> None:
        """Precompute the motion of one control period."""
        count, dt = len(layout.positions), layout.period_s
        self._count, self._heading = count, layout.heading
        self._angle = torch.tensor(layout.angle + (False,) * count)
        self._noise = torch.tensor(layout.noise_std, dtype=torch.float64).square()
        self._move = torch.tensor([[1.0, dt], [0.0, 1.0]], dtype=torch.float64)
        push = torch.tensor([[0.5 * dt * dt], [dt]], dtype=torch.float64)
        self._jitter = settings.acceleration_std ** 2 * (push @ push.T)
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next measurement starts the belief."""
        self._mean = torch.zeros(self._count, 2, dtype=torch.float64)
        self._covariance = torch.eye(2, dtype=torch.float64).repeat(self._count, 1, 1) * _UNKNOWN

    def predict(self, action: Float[Tensor, ' A'] | None = None) -> Estimate:
        """Move the belief one control period ahead; what the command does is not known here."""
        self._mean = self._mean @ self._move.T
        self._covariance = self._move @ self._covariance @ self._move.T + self._jitter
        return self._estimate()

    def correct(self, measured: Float[Tensor, ' S']) -> Estimate:
        """
        Fold in one measurement.

        :param measured: positions, then rates; NaN marks one not measured.
        :returns: the belief after it.
        :raises ShapeError: if the number of coordinates is wrong.
        """
        if measured.shape != (2 * self._count,):
            raise ShapeError(f'measurement has shape {tuple(measured.shape)}; '
                             f'valid: ({2 * self._count},)')
        values = measured.to(torch.float64).reshape(2, self._count)
        noise = self._noise.reshape(2, self._count)
        angle = self._angle.reshape(2, self._count)
        if self._heading:
            values = self._turned(values, 1.0)
        for part in (0, 1):
            self._fold(part, values[part], noise[part], angle[part])
        return self._estimate()

    def _turned(self, values: Float[Tensor, '2 n'], sense: float) -> Float[Tensor, '2 n']:
        """
        Turn a base's rates by its yaw.

        :param sense: 1: from its own frame into that of its places; -1: back.
        """
        x, y, yaw = self._heading
        angle = values[0, yaw] if torch.isfinite(values[0, yaw]) else self._mean[yaw, 0]
        cosine, sine = torch.cos(angle), sense * torch.sin(angle)
        turned = values.clone()
        turned[1, x] = cosine * values[1, x] - sine * values[1, y]
        turned[1, y] = sine * values[1, x] + cosine * values[1, y]
        return turned

    def _fold(self, part: int, value: Tensor, noise: Tensor, angle: Tensor) -> None:
        innovation = value - self._mean[:, part]
        wrapped = torch.remainder(innovation + pi, 2.0 * pi) - pi
        innovation = torch.where(angle, wrapped, innovation)
        column = self._covariance[:, :, part]
        gain = column / (column[:, part] + noise).unsqueeze(-1)
        usable = torch.isfinite(value) & torch.isfinite(noise)
        gain = torch.where(usable.unsqueeze(-1), gain, 0.0)
        innovation = torch.where(usable, innovation, 0.0)
        self._mean = self._mean + gain * innovation.unsqueeze(-1)
        # Joseph's form keeps the covariance positive through rounding.
        keep = torch.eye(2, dtype=torch.float64).repeat(self._count, 1, 1)
        keep[:, :, part] -= gain
        spread = torch.where(usable, noise, 0.0)[:, None, None]
        self._covariance = (keep @ self._covariance @ keep.mT
                            + spread * gain[:, :, None] * gain[:, None, :])

    def _estimate(self) -> Estimate:
        variance = torch.diagonal(self._covariance, dim1=-2, dim2=-1)
        mean = self._turned(self._mean.T, -1.0) if self._heading else self._mean.T
        return Estimate(mean=mean.reshape(-1).float(),
                        std=variance.T.reshape(-1).sqrt().float())
