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

"""Hindsight: steps are found anew as the world model learns, and settle in bounded memory."""

from dataclasses import replace
from functools import cache
from math import nan

import numpy as np
import pytest
from test_learner import cartpole_step
import torch
from toys import CARTPOLE

from hlai_control.learning.pairing import Joined
from hlai_control.settings import PerceptionSettings, WorldModelSettings
from hlai_control.types import generator
from hlai_control.world_model.hindsight import Hindsight
from hlai_control.world_model.learner import WorldModelLearner

BLIND = replace(CARTPOLE, noise_std=(0.01, 0.01, nan, nan))
STEPS = 80
# A second of 20 Hz.
LATE = 20


@cache
def motion(seed: int):
    """Return the true states, what was measured of them, and the pushes between them."""
    draw = np.random.default_rng(seed)
    state, states, pushes = torch.zeros(4), [torch.zeros(4)], []
    for _ in range(STEPS):
        pushes.append(draw.uniform(-10.0, 10.0, 1) - 4.0 * state[:1].numpy())
        state = cartpole_step(state, torch.from_numpy(pushes[-1]).float())
        states.append(state)
    true = torch.stack(states).double().numpy()
    measured = np.full_like(true, nan)
    measured[:, :2] = true[:, :2] + 0.01 * draw.normal(size=(STEPS + 1, 2))
    return true, measured, pushes


@cache
def learned(seed: int, window: int, skipped: int = -1, blind: bool = False):
    """Let world model and states learn from each other; return all that was handed out."""
    true, measured, pushes = motion(seed)
    hindsight = Hindsight(BLIND, PerceptionSettings(), window)
    learner = WorldModelLearner(BLIND, WorldModelSettings(), generator(0, 'test'))
    found = []
    for k, push in enumerate(pushes):
        if k == skipped:
            continue
        step = Joined(k + 1, 50_000_000 * (k + 1), measured[k], push, measured[k + 1])
        found.append(hindsight.add(step, measured[k], measured[k + 1],
                                   learner.dynamics if k > 6 and not blind else None))
        if len(found[-1].settled.state):
            learner.extend(found[-1].settled)
        learner.revise(found[-1].recent, found[-1].doubt)
    return true, found, hindsight, learner


def error(found, true) -> float:
    """Return the root mean square error of the rates of all but the newest second."""
    rates = torch.cat([*(one.settled.state for one in found), found[-1].recent.state])[:-LATE, 2:]
    return float(np.sqrt(np.mean((rates.numpy() - true[:len(rates), 2:]) ** 2)))


def test_states_and_world_model_make_each_other_better():
    true, found, _, _ = learned(0, 200)
    _, without, _, _ = learned(0, 200, blind=True)
    assert error(found, true) < 0.6 * error(without, true)
    assert bool((found[-1].doubt < 0.5 * found[8].doubt).all())


def test_each_step_settles_once_and_is_written_once_a_second_later():
    _, found, hindsight, learner = learned(1, 40, blind=True)
    settled = sum(len(one.settled.state) for one in found)
    assert settled == STEPS - 40 == learner.replay.total
    # The last one is not learned from yet.
    assert len(found[-1].recent.state) == 39
    assert [len(one.lasting) for one in found] == [0] * LATE + [1] * (STEPS - LATE)
    written = [step for one in found for step in one.lasting] + list(hindsight.finish())
    assert [step.tick for step in written] == list(range(1, STEPS + 1))
    assert written[3].stamp_ns == 200_000_000 and hindsight.finish() == ()
    for one, after in zip(written, written[1:], strict=False):
        # Found at different times, of nearly the same states.
        assert np.abs(one.next_state[:2] - after.state[:2]).max() < 0.05


def test_a_gap_settles_all_before_it():
    _, found, hindsight, _ = learned(2, 200, skipped=50, blind=True)
    at = found[50]
    assert len(at.settled.state) == 50 and len(at.recent.state) == 1 and len(at.lasting) == LATE
    written = [step.tick for one in found for step in one.lasting]
    written += [step.tick for step in hindsight.finish()]
    assert written == [tick for tick in range(1, STEPS + 1) if tick != 51]


def test_equal_seeds_give_equal_steps_to_the_last_bit():
    one, other = (learned.__wrapped__(3, 60)[1][-1] for _ in range(2))
    assert torch.equal(one.recent.state, other.recent.state)
    assert torch.equal(one.doubt, other.doubt)


@pytest.mark.parametrize('window', [2, 30])
def test_commands_stay_with_their_steps(window):
    _, found, _, _ = learned(4, window, blind=True)
    given = np.array(motion(4)[2])
    rows = torch.cat([*(one.settled.action for one in found), found[-1].recent.action])
    assert rows.numpy() == pytest.approx(given[:len(rows)], rel=1e-6)
