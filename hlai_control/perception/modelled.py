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

"""State estimation where rates are not measured: through the world model, as it is learned."""

from math import nan

from jaxtyping import Float
import numpy as np
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.perception.smoother import LinearisedDynamics, Path, Smoother
from hlai_control.settings import PerceptionSettings
from hlai_control.types import Estimate


class ModelEstimator:
    """
    Believes what fits the last seconds of measurements, commands and world model best.

    Until there is a world model, rates are taken to be constant but for white
    accelerations, as :class:`KalmanEstimator` does; a world model that does
    not fit is treated as if it were not there. Angles are continuous, not
    wrapped, as there.

    :param layout: coordinates and the noise of their sensors.
    :param settings: expected accelerations and rates, and how far to look back.
    """

    def __init__(self, layout: Layout, settings: PerceptionSettings) -> None:
        """Begin without a world model."""
        self._smoother = Smoother(layout, settings, settings.window)
        self._size, self._still = layout.state_size, np.zeros(layout.action_size)
        self._dynamics: LinearisedDynamics | None = None

    def reset(self) -> None:
        """Forget all motion, but not the world model."""
        self._smoother.reset()

    def use(self, dynamics: LinearisedDynamics) -> None:
        """Take another world model from now on."""
        self._dynamics = dynamics

    def predict(self, action: Float[Tensor, ' A'] | None = None) -> Estimate:
        """
        Move the belief one control period ahead.

        :param action: in effect meanwhile; None: zero.
        """
        given = self._still if action is None else action.double().numpy()
        self._smoother.push(np.full(self._size, nan), given)
        return _newest(self._smoother.revise(self._dynamics))

    def correct(self, measured: Float[Tensor, ' S']) -> Estimate:
        """
        Fold in one measurement.

        :param measured: positions, then rates; NaN marks one not measured.
        :returns: the belief after it.
        :raises ShapeError: if the number of coordinates is wrong.
        """
        values = measured.double().numpy()
        if len(self._smoother):
            self._smoother.measure(values)
        else:
            self._smoother.push(values, None)
        return _newest(self._smoother.revise(self._dynamics))


def _newest(path: Path) -> Estimate:
    return Estimate(torch.from_numpy(path.mean[-1]).float(),
                    torch.from_numpy(path.std[-1]).float())
