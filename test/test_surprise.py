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

"""Surprise: a minimum over z, few false alarms, and quick true ones."""

import torch

from hlai_control.world_model.surprise import energy_at, free_energy, Surprise


def test_free_energy_is_the_least_over_z():
    random = torch.Generator().manual_seed(0)
    error, gain, z = torch.randn(3, 50, 4, generator=random, dtype=torch.float64)
    tolerance = torch.tensor([0.1, 0.5, 1.0, 2.0], dtype=torch.float64)
    least, where = free_energy(error, gain, tolerance)
    assert (least >= 0.0).all()
    assert torch.allclose(energy_at(error, gain, tolerance, where), least)
    assert (energy_at(error, gain, tolerance, z) >= least).all()


def test_false_alarms_are_as_rare_as_promised():
    random, alarms = torch.Generator().manual_seed(1), 0
    for _ in range(20):
        surprise = Surprise(patience=2000)
        for energy in torch.randn(2000, generator=random).square().tolist():
            surprise.observe(energy)
            if surprise.alarm:
                alarms += 1
                surprise.value = -torch.inf
    # 20 times 2000 steps, once in 2000 on average at most: 20, and 5 more by chance.
    assert alarms <= 25


def test_a_change_is_noticed_within_ten_steps_and_the_alarm_ends_with_it():
    random, surprise = torch.Generator().manual_seed(2), Surprise(patience=12000)
    for energy in torch.rand(600, generator=random).tolist():
        surprise.observe(energy)
    assert not surprise.alarm
    for _ in range(10):
        surprise.observe(float('nan'))
    assert surprise.alarm
    for energy in torch.rand(200, generator=random).tolist():
        surprise.observe(energy)
    assert not surprise.alarm


def test_high_energies_below_the_alarm_are_not_sorted_out():
    # Were they, the rest would look low, and chance would raise the alarm by itself.
    surprise = Surprise(patience=10 ** 9)
    for energy in [*range(60), 100.0, 100.0, 100.0]:
        surprise.observe(float(energy))
    before = surprise.value
    assert not surprise.alarm
    surprise.observe(100.0)
    assert surprise.value < before + 2.0
