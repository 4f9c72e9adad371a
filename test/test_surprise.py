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

from math import exp

import pytest
import torch

from hlai_control.layout import Layout
from hlai_control.settings import SurpriseSettings
from hlai_control.world_model.surprise import energy_at, free_energy, surprisal, Surprise
from hlai_control.world_model.watch import Watch


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
    for energy in [*(37 * k % 60 for k in range(60)), 100.0, 100.0, 100.0]:
        surprise.observe(float(energy))
    before = surprise.value
    assert not surprise.alarm
    surprise.observe(100.0)
    assert surprise.value < before + 2.0


def test_energy_of_an_ensemble_is_half_of_chi_squared_if_errors_are_as_predicted():
    random = torch.Generator().manual_seed(3)
    gain = torch.tensor([0.01, 0.3, 2.0, 1e-4])
    energies = torch.stack([surprisal((gain * torch.randn(4, generator=random)).expand(3, 4),
                                      gain.expand(3, 4)) for _ in range(4000)])
    # Mean S / 2 = 2 and variance S / 2 = 2: five standard errors of the mean are 0.11.
    assert float(energies.mean()) == pytest.approx(2.0, abs=0.11)
    assert float(energies.var()) == pytest.approx(2.0, rel=0.15)
    # Where members disagree, the same error surprises less.
    error = torch.full((2, 4), 0.1)
    apart = error + torch.tensor([[-0.1], [0.1]])
    same = surprisal(error, gain.expand(2, 4))
    assert float(surprisal(apart, gain.expand(2, 4))) < float(same)
    assert float(surprisal(torch.zeros(2, 4), torch.zeros(2, 4))) == 0.0


def test_one_outlier_is_no_change_and_a_jump_that_stays_is():
    random, surprise = torch.Generator().manual_seed(4), Surprise(patience=72000, freedom=4)
    for energy in (0.5 * torch.randn(600, 4, generator=random).square().sum(dim=1)).tolist():
        surprise.observe(energy)
    assert not surprise.alarm
    surprise.observe(1000.0)
    assert not surprise.alarm
    for energy in (12.0, 14.0, 11.0):
        surprise.observe(energy)
    assert surprise.alarm and surprise.growing >= 3


def test_what_the_model_calls_likely_is_no_surprise_however_low_energies_were():
    ranked, lawful = Surprise(patience=1000), Surprise(patience=1000, freedom=4)
    for k in range(100):
        for surprise in (ranked, lawful):
            surprise.observe(0.1 + 0.001 * (37 * k % 100))
    for _ in range(20):
        for surprise in (ranked, lawful):
            surprise.observe(3.0)  # half of chi-squared with 4 is higher in a fifth of all cases
    assert exp(-3.0) * (1.0 + 3.0) > 0.19
    assert ranked.alarm and not lawful.alarm


LAYOUT = Layout(
    robot='pole', positions=('angle',), actions=('torque',), period_s=0.05, delay_ticks=0,
    angle=(True,), invariant=(False,), mirror_positions=(-1.0,), mirror_actions=(-1.0,),
    action_low=(-1.0,), action_high=(1.0,), noise_std=(0.01, 0.01))


def test_a_watch_tells_the_beginning_of_an_alarm_once_and_lives_on_in_a_copy():
    settings = SurpriseSettings(patience_s=600.0)
    assert settings.patience_ticks(LAYOUT.period_s) == 12000
    watch, other = Watch(LAYOUT, settings), Watch(LAYOUT, settings)
    energies = [1.0 + 0.01 * (37 * k % 100) for k in range(700)]
    assert not any(watch.observe(energy) for energy in energies)
    other.load(watch.export())
    assert other.surprise.recent == watch.surprise.recent == energies[-512:]
    for one in (watch, other):
        assert [one.observe(40.0) for _ in range(6)].count(True) == 1
        assert one.alarms == 1 and one.energy == 40.0
        assert one.evidence >= one.surprise.threshold
