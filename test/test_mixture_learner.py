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

"""Learning two outcomes of one state and action: draws of z cover both, the mean does neither."""

from functools import cache
from math import sqrt

import pytest
import torch
from toys import CARTPOLE

from hlai_control.bench.ridge import BALL, chance_up, outcome, stream
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Batch, generator, Transition
from hlai_control.world_model.learner import WorldModelLearner
from hlai_control.world_model.made import make_learner

TICKS = 1000
# Rows so near the crest tell how often the ball goes to which side [m].
NEAR = 0.4


def settings(latent: str) -> WorldModelSettings:
    return WorldModelSettings(latent=latent, members=2, hidden=24, window=1024)


@cache
def taught(latent: str) -> WorldModelLearner:
    """Follow a stream in lockstep."""
    learner = make_learner(BALL, settings(latent), generator(0, 'world_model'))
    for tick, row in enumerate(stream(TICKS, seed=40)):
        learner.add(row)
        if tick % 2:
            learner.update()
        if tick % 100 == 0:
            assert learner.dynamics.members == 2  # to ask for it is what fits it
    assert learner.dynamics.members == 2
    return learner


def crest() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """States and actions near the crest, and their two outcomes."""
    draw = torch.Generator().manual_seed(1)
    state = 2.0 * torch.rand(100, 4, generator=draw) - 1.0
    state = state * torch.tensor([0.2, 0.1, 1.0, 1.0])
    action = 5.0 * (2.0 * torch.rand(100, 2, generator=draw) - 1.0)
    up = torch.ones(100, dtype=torch.bool)
    return state, action, outcome(state, action, up), outcome(state, action, ~up)


def distances(latent: str, noisy: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Of predictions from both outcomes, in units of the distance between these."""
    dynamics, (state, action, up, down) = taught(latent).dynamics, crest()
    wide = state.expand(2, 100, -1, -1)
    z = torch.randn(2, 100, 100, dynamics.latent_size, generator=torch.Generator().manual_seed(2))
    ahead = dynamics.step(wide, action.expand(100, -1, -1), z if noisy else None)
    if not noisy:
        ahead = ahead.mean(dim=(0, 1), keepdim=True)
    apart = (up - down).norm(dim=-1)
    return (ahead - up).norm(dim=-1) / apart, (ahead - down).norm(dim=-1) / apart


def test_draws_of_z_cover_both_outcomes():
    above, below = distances('mixture', noisy=True)
    # At most one in ten is further from both than a fifth of their distance.
    assert float((torch.minimum(above, below) < 0.2).float().mean()) > 0.9
    share, true = float((above < below).float().mean()), float(chance_up(crest()[0]).mean())
    # As well as the share is known from the rows near the crest: four standard deviations.
    rows = sum(float(row.state[:2].norm()) < NEAR for row in stream(TICKS, seed=40))
    assert share == pytest.approx(true, abs=4.0 * sqrt(0.25 / rows))


def test_the_mean_is_far_from_both_outcomes_and_so_are_most_draws_around_it():
    above, below = distances('gaussian', noisy=False)
    assert float(torch.minimum(above, below).median()) > 0.2
    above, below = distances('gaussian', noisy=True)
    assert float((torch.minimum(above, below) < 0.2).float().mean()) < 0.6


def test_a_mixture_explains_unseen_steps_better():
    rows = stream(300, seed=41)
    batch = Batch(*(torch.stack([getattr(row, name) for row in rows])
                    for name in ('state', 'action', 'next_state')))

    def likelihood(latent: str) -> float:
        found = taught(latent).dynamics.outcomes(batch.state.expand(2, -1, -1), batch.action)
        error = (batch.next_state.unsqueeze(-2) - found.mean) / found.std
        each = found.log_chance - (0.5 * error.square() + found.std.log()).sum(dim=-1)
        return float((each.logsumexp(dim=-1).logsumexp(dim=0)).mean())
    # One nat per step: there is one bit in which outcome comes, and much more in how exactly.
    assert likelihood('mixture') > likelihood('gaussian') + 1.0
    assert taught('mixture').held_out_loss(batch) < taught('gaussian').held_out_loss(batch)


def smooth_rows(count: int) -> list[Transition]:
    """One outcome only, a little noise."""
    draw = torch.Generator().manual_seed(3)
    state = torch.randn(count, 4, generator=draw)
    action = torch.randn(count, 1, generator=draw)
    dt = CARTPOLE.period_s
    gain = dt * torch.cat([action, torch.sin(state[:, 1:2]) - action], dim=1)
    gain = gain + 0.002 * torch.randn(count, 2, generator=draw)
    ahead = state + torch.cat([dt * (state[:, 2:] + 0.5 * gain), gain], dim=1)
    return [Transition(*row) for row in zip(state, action, ahead, strict=True)]


def test_where_there_is_one_outcome_all_modes_that_are_probable_agree():
    learner = make_learner(CARTPOLE, WorldModelSettings(latent='mixture', members=2, hidden=16),
                           generator(0, 'test'))
    rows = smooth_rows(200)
    for row in rows[:150]:
        learner.add(row)
    dynamics = learner.dynamics
    state = torch.stack([row.state for row in rows[150:]])
    action = torch.stack([row.action for row in rows[150:]])
    ahead = torch.stack([row.next_state for row in rows[150:]])
    found = dynamics.outcomes(state.expand(2, -1, -1), action)
    error = (found.mean - ahead.unsqueeze(-2))[..., 2:].square().mean(dim=(-1))
    weighed = (found.log_chance.exp() * error).sum(dim=-1).mean()
    assert float(weighed.sqrt()) < 0.02  # beside gains of 0.05 and a noise of 0.002


def test_same_seed_same_model_and_a_copy_goes_on_alike():
    rows = stream(60, seed=5)

    def begun() -> WorldModelLearner:
        learner = make_learner(BALL, settings('mixture'), generator(7, 'world_model'))
        for row in rows[:40]:
            learner.add(row)
            learner.update()
        assert learner.dynamics.members == 2
        return learner

    def gone_on(learner: WorldModelLearner) -> dict[str, torch.Tensor]:
        for row in rows[40:]:
            learner.add(row)
            learner.update()
        return learner.dynamics.export()

    one, progress = begun(), begun().progress()
    other = make_learner(BALL, settings('mixture'), generator(8, 'world_model'))
    for row in rows[:40]:
        other.add(row)
    other.resume(progress)
    first, second = gone_on(one), gone_on(other)
    assert all(torch.equal(first[name], second[name]) for name in first)
