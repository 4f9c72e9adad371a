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

"""The averaging planner: near the known optimum, inside the limits, for costs of any kind."""

from problems import CartPole, LastStage, LINEAR, lqr, QUADRATIC, START, SWING, WIDE
import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.mppi import MppiPlanner
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget

SETTINGS = PlannerSettings(horizon=12, candidates=256, spread=0.3)
HANGING = torch.tensor([0.2, 0.3, 0.0, 0.0]).double()
SWINGING = Problem(CartPole(), SWING, None, 0.98)
FLAT = Problem(LINEAR, QUADRATIC, None, 1.0)
# x'' = u with limits that the optimum from START reaches for its first command only.
FREE = Layout(**{**WIDE.__dict__, 'action_low': (-12.0,), 'action_high': (12.0,)})


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_comes_within_three_percent_of_the_linear_quadratic_optimum():
    planner = MppiPlanner(FREE, SETTINGS)
    assert isinstance(planner, Planner)
    problem = Problem(LINEAR, QUADRATIC, LastStage(), 1.0)
    found = planner.plan(START, problem, None, Budget(60), random())
    assert lqr()[0] * (1 - 1e-12) <= found.energy <= 1.03 * lqr()[0]


def test_more_candidates_are_no_worse_on_the_mean():
    means = []
    for candidates in (32, 128, 512):
        planner = MppiPlanner(FREE, PlannerSettings(horizon=12, candidates=candidates))
        means.append(sum(planner.plan(START, FLAT, None, Budget(3),
                                      random(seed)).energy for seed in range(8)) / 8)
    assert means == sorted(means, reverse=True)


def test_limits_are_never_exceeded():
    planner = MppiPlanner(MASS, SETTINGS)
    for seed in range(5):
        found = planner.plan(1e3 * START, FLAT, None, Budget(4), random(seed))
        assert float(found.actions.min()) >= -1.0
        assert float(found.actions.max()) <= 2.0


def test_warm_start_and_iterations_only_help():
    planner = MppiPlanner(CARTPOLE, SETTINGS)
    energies, warm = [], None
    for seed in range(6):
        warm = planner.plan(HANGING, SWINGING, warm and still(warm),
                            Budget(2), random(seed))
        energies.append(warm.energy)
    assert all(later <= earlier + 1e-9 for earlier, later in zip(energies, energies[1:],
                                                                 strict=False))
    assert energies[-1] < energies[0]


def still(plan):
    """Undo in advance that a warm start is moved on by one tick."""
    return type(plan)(**{**plan.__dict__, 'actions': torch.cat([plan.actions[:1],
                                                               plan.actions])})


def test_a_cost_without_derivatives_will_do():
    class Count:
        """1 per coordinate and tick that is more than 0.1 from zero; no slope anywhere."""

        names = ('count',)

        def terms(self, state, action):
            return self.stage(state, action).unsqueeze(-1)

        def stage(self, state, action):
            return (state.detach().abs() > 0.1).sum(dim=-1).to(state.dtype) + 0.0 * action[..., 0]

    planner = MppiPlanner(FREE, SETTINGS)
    found = planner.plan(START, Problem(LINEAR, Count(), None, 1.0), None, Budget(20), random())
    resting = planner.plan(START, Problem(LINEAR, Count(), None, 1.0), None, Budget(1), random())
    assert found.energy <= resting.energy
    # Doing nothing costs 2 at each of 13 stages.
    assert found.energy < 0.8 * 26


def test_same_seed_same_plan_and_time_is_kept():
    planner = MppiPlanner(CARTPOLE, SETTINGS)
    one, two = (planner.plan(HANGING, SWINGING, None, Budget(3), random(4))
                for _ in range(2))
    assert torch.equal(one.actions, two.actions)
    late = planner.plan(HANGING, SWINGING, None, Budget(99, lambda: 0.0), random())
    assert late.iterations == 1


class Cliff(CartPole):
    """Pushing to the right gives no number at all."""

    def step(self, state, action, z=None):
        return torch.where(action > 0.0, torch.nan, super().step(state, action))


def test_candidates_that_are_not_finite_lose_and_are_counted():
    white = PlannerSettings(horizon=3, candidates=128, elites=16, colour=0.0)
    found = MppiPlanner(CARTPOLE, white).plan(
        HANGING, Problem(Cliff(), SWING, None, 0.98), None, Budget(4), random())
    assert torch.isfinite(found.states).all()
    assert float(found.actions.max()) <= 0.0
    assert found.rejected > 0


def test_nothing_finite_is_an_error_and_never_a_plan():
    with pytest.raises(PlanError, match='none of 513 candidates'):
        MppiPlanner(CARTPOLE, SETTINGS).plan(
            HANGING * torch.nan, SWINGING, None, Budget(2), random())
