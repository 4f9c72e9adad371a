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


"""Perception for recordings of joint states: the same filter as on the robot."""

import numpy as np
import torch

from hlai_control.layout import Layout
from hlai_control.perception.kalman import KalmanEstimator
from hlai_control.recordings.account import Counts
from hlai_control.recordings.streams import Rows
from hlai_control.recordings.ticks import Ticks
from hlai_control.settings import PerceptionSettings

# After a longer gap the filter begins anew, as the perception node does.
RESET_TICKS = 10
# So long a rate that nothing measures is still a guess, after the filter has begun.
SETTLING_TICKS = 5


def estimates(measured: Rows, ticks: Ticks, layout: Layout, settings: PerceptionSettings,
              counts: Counts) -> Rows:
    """
    Filter measurements.

    :param measured: S values per tick; NaN: not measured.
    :param ticks: their numbers.
    :param layout: the robot.
    :param settings: of the filter.
    :param counts: states of a filter that has just begun are counted here.
    :returns: S values per tick; NaN where the filter does not know the rates yet.
    """
    estimator, found = KalmanEstimator(layout, settings), np.empty_like(measured)
    blind = bool(np.isnan(layout.noise_std).any())
    age, before = 0, int(ticks.numbers[0])
    for i, tick in enumerate(ticks.numbers.tolist()):
        if tick - before > RESET_TICKS:
            estimator.reset()
            age = 0
        else:
            for _ in range(tick - before):
                estimator.predict()
        found[i] = estimator.correct(torch.from_numpy(measured[i])).mean.double().numpy()
        if blind and age < SETTLING_TICKS:
            found[i] = np.nan
            counts.add('states while the rates were not known yet')
        before, age = tick, age + 1
    return found
