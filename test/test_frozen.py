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

"""Frozen sensors are found by their repetitions, and working ones rarely accused."""

from dataclasses import replace

import numpy as np
import pytest

from hlai_control.perception.frozen import FrozenSensors
from hlai_control.robots.manifest import load_robot

LAYOUT = load_robot('cartpole').layout  # noise 0.01 on all four


def rounded(values: np.ndarray, step: float) -> np.ndarray:
    return np.round(values / step) * step if step else values


@pytest.mark.parametrize('step', [0.0, 0.001, 0.01, 0.02])
def test_false_alarms_are_as_rare_as_promised_however_coarse_the_sensor(step):
    random, alarms = np.random.default_rng(1), 0
    for _ in range(10):
        sensors, before = FrozenSensors(LAYOUT, patience=1000), np.zeros(4, bool)
        for _ in range(1000):  # at rest, where readings repeat most
            now = sensors.observe(rounded(0.003 + 0.01 * random.standard_normal(4), step))
            alarms += int((now & ~before).sum())
            before = now
    # 4 sensors, 10 times 1000 readings, once in 1000 on average at most: 40, 15 more by chance.
    assert alarms <= 55


@pytest.mark.parametrize(('step', 'within'), [(0.0, 3), (0.001, 5), (0.01, 14)])
def test_a_frozen_sensor_is_named_soon_and_trusted_again_when_it_moves(step, within):
    random, sensors = np.random.default_rng(2), FrozenSensors(LAYOUT, patience=72000)
    for _ in range(200):
        readings = rounded(0.01 * random.standard_normal(4), step)
        sensors.observe(readings)
    assert sensors.frozen_names == ()
    held = readings[1]
    for _ in range(within):
        readings = rounded(0.01 * random.standard_normal(4), step)
        readings[1] = held
        sensors.observe(readings)
    assert sensors.frozen_names == ('pole.angle',)
    for _ in range(500):
        sensors.observe(readings + [0.0, 0.0, 0.0, 0.0])
    assert 'pole.angle' in sensors.frozen_names  # it does not come to be normal
    sensors.observe(readings + 0.02)
    assert sensors.frozen_names == ()


def test_a_driver_at_half_the_rate_and_what_nobody_measures_are_not_frozen():
    random = np.random.default_rng(3)
    layout = replace(LAYOUT, noise_std=(0.01, 0.01, 0.01, float('nan')))
    sensors = FrozenSensors(layout, patience=72000)
    for _ in range(300):
        readings = 0.01 * random.standard_normal(4)
        readings[3] = np.nan
        for _ in range(2):
            assert not sensors.observe(readings).any()


def test_without_stated_noise_repetitions_say_nothing():
    sensors = FrozenSensors(replace(LAYOUT, noise_std=(0.0,) * 4), patience=10)
    for _ in range(100):
        assert not sensors.observe(np.ones(4)).any()
