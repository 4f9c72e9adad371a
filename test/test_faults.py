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

"""Faults of simulated sensors: one repeats itself, one is off; the others do not notice."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from hlai_control.errors import SettingsError
from hlai_control.robots.faults import SensorFaults
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.simulator import Simulator


@contextmanager
def twins() -> Iterator[tuple[Simulator, Simulator]]:
    both = Simulator(load_robot('cartpole'), 3), Simulator(load_robot('cartpole'), 3)
    yield both
    for one in both:
        one.close()


def test_a_frozen_sensor_repeats_itself_and_the_others_are_as_without_it():
    with twins() as (failing, well):
        held = None
        for tick in range(30):
            if tick == 10:
                held = failing.measure().position[1]
                failing.sensors.freeze('pole.angle')
            if tick == 20:
                failing.sensors.freeze('')
            for simulator in (failing, well):
                simulator.step([5.0])
            one, other = failing.measure(), well.measure()
            frozen = 10 <= tick < 20
            assert one.position[1] == (held if frozen else other.position[1])
            assert one.position[0] == other.position[0]
            assert one.velocity.tolist() == other.velocity.tolist()
            assert one.true_position.tolist() == other.true_position.tolist()


def test_a_biased_sensor_is_off_by_the_bias_and_no_other_is():
    with twins() as (failing, well):
        failing.sensors.bias('cart.x/rate', -0.3)
        for simulator in (failing, well):
            simulator.step([5.0])
        one, other = failing.measure(), well.measure()
        assert one.velocity - other.velocity == pytest.approx([-0.3, 0.0], abs=1e-12)
        assert one.position.tolist() == other.position.tolist()
        assert one.true_velocity.tolist() == other.true_velocity.tolist()


def test_sensors_that_are_not_there_cannot_fail():
    layout = load_robot('cartpole').layout
    sensors = SensorFaults(replace(layout, noise_std=(0.01, 0.01, 0.01, np.nan)))
    for name in ('pole', 'pole.angle/rate'):
        with pytest.raises(SettingsError, match='cart.x, pole.angle, cart.x/rate, or empty'):
            sensors.freeze(name)
        with pytest.raises(SettingsError, match='no sensor'):
            sensors.bias(name, 0.1)
    with pytest.raises(SettingsError, match='bias'):
        sensors.bias('cart.x', np.nan)
