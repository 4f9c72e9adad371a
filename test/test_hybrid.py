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

"""The hybrid planner: exact where it can be, in the right valley where it matters."""

from dataclasses import replace
from math import pi

from problems import (
    CartPole,
    HORIZON,
    LastStage,
    LINEAR,
    lqr,
    QUADRATIC,
    random_ensemble,
    START,
    SWING,
    WIDE,
)
import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.errors import PlanError
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import HybridSettings, PlannerSettings
from hlai_control.types import Budget

SETTINGS = PlannerSettings(horizon=HORIZON)
LONG = PlannerSettings(horizon=20)
HANGING = torch.tensor([0.0, 0.01, 0.0, 0.0]).double()
SWINGING = Problem(CartPole(), SWING, None, 0.98)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_linear_quadratic_problem_exactly():
    planner = HybridPlanner(WIDE, SETTINGS)
    assert isinstance(planner, Planner)
    problem = Problem(LINEAR, QUADRATIC, LastStage(), 1.0)
    found = planner.plan(START, problem, None, Budget(3), random())
    assert found.energy == pytest.approx(lqr()[0], rel=1e-10)
    torch.testing.assert_close(found.gains, torch.stack(lqr()[1]), rtol=1e-8, atol=1e-8)


def test_budget_is_shared_and_time_is_kept():
    planner = HybridPlanner(CARTPOLE, LONG, HybridSettings(starts=3))
    for iterations in (1, 2, 3, 8):
        found = planner.plan(HANGING, SWINGING, None, Budget(iterations), random())
        assert 1 <= found.iterations <= iterations
    late = planner.plan(HANGING, SWINGING, None, Budget(99, lambda: 0.0), random())
    assert 1 <= late.iterations <= 33


def test_the_first_answer_does_not_wait_and_all_seeds_end_in_one_valley():
    hanging = torch.zeros(4).double()
    few, many = ([HybridPlanner(CARTPOLE, LONG, HybridSettings(cold_samples=count)).plan(
        hanging, SWINGING, None, Budget(20), random(seed)).progress for seed in range(8)]
        for count in (16, 64))
    for one, other in zip(few, many, strict=True):
        assert one[0] == other[0]  # until the second batch, they are the same search
        assert list(other) == sorted(other, reverse=True)
    ends = [other[-1] for other in many]
    assert max(ends) < 1.01 * min(ends)
    nothing = HybridPlanner(CARTPOLE, LONG, HybridSettings(cold_samples=0)).plan(
        hanging, SWINGING, None, Budget(1), random()).proposed
    assert max(other[0] for other in many) < nothing


def test_without_samples_it_refines_doing_nothing():
    none = HybridPlanner(CARTPOLE, LONG, HybridSettings(samples=0, cold_samples=0))
    alone = DdpPlanner(CARTPOLE, 20).plan(HANGING, SWINGING, None, Budget(5), random())
    assert none.plan(HANGING, SWINGING, None, Budget(5), random()).energy == pytest.approx(
        alone.energy, rel=1e-12)


def test_where_one_trajectory_fails_the_others_go_on():
    class Wall(CartPole):
        def step(self, state, action, z=None):
            # Nothing imaginable but between the walls, which wide proposals leave.
            ahead = super().step(state, action)
            return torch.where(ahead[..., :1].abs() > 1.0, torch.nan, ahead)

    found = HybridPlanner(CARTPOLE, LONG).plan(
        HANGING, Problem(Wall(), SWING, None, 0.98), None, Budget(12), random())
    assert found.rejected > 0
    assert float(found.states[:, 0].abs().max()) <= 1.0


def test_samples_find_what_refinement_alone_does_not():
    # Hanging, within a quarter of a degree of where nothing pulls to either side.
    alone = DdpPlanner(CARTPOLE, 20)
    one = alone.plan(torch.zeros(4).double(), SWINGING, None, Budget(30), random())
    energies = [HybridPlanner(CARTPOLE, LONG).plan(
        torch.zeros(4).double(), SWINGING, None, Budget(30), random(seed)).energy
        for seed in range(3)]
    assert max(energies) < one.energy


def test_swings_the_known_cart_pole_up_and_holds_it():
    planner, warm, draw = HybridPlanner(CARTPOLE, LONG), None, random()
    state, upright = HANGING, []
    for _ in range(80):
        warm = planner.plan(state, SWINGING, warm, Budget(2), draw)
        state = CartPole().step(state[None, None], warm.actions[:1])[0, 0]
        upright.append(abs(float(state[1] % (2 * pi)) - pi) < 0.2)
    assert all(upright[-20:])


def test_limits_hold_and_same_seed_same_plan():
    planner = HybridPlanner(CARTPOLE, LONG)
    problem = Problem(random_ensemble(), SWING, None, 0.98)
    one, two = (planner.plan(HANGING, problem, None, Budget(4), random(4))
                for _ in range(2))
    assert torch.equal(one.actions, two.actions)
    assert float(one.actions.abs().max()) <= 10.0


class Rod:
    """Gymnasium's pendulum, angle 0 hanging, by a semi-implicit rule."""

    members, latent_size = 1, 2

    def step(self, state, action, z=None):
        rate = state[..., 1:] + 0.05 * (3.0 * action - 15.0 * state[..., :1].sin())
        return torch.cat([state[..., :1] + 0.05 * rate, rate], dim=-1)


class LittleEnergy:
    """Cost of energy short of the upright rest: 10 J at most."""

    names = ('energy',)

    def terms(self, state, action):
        return self.stage(state, action).unsqueeze(-1)

    def stage(self, state, action):
        return 10.0 - state[..., 1].square() / 6.0 + 5.0 * state[..., 0].cos()


def test_feedback_of_rates_swings_up_a_rod_that_open_loop_noise_does_not():
    rod = replace(MASS, angle=(True,), action_low=(-2.0,), action_high=(2.0,))
    problem = Problem(Rod(), LittleEnergy(), None, 1.0)
    proposed = [[HybridPlanner(rod, PlannerSettings(horizon=50), HybridSettings(
        samples=0, cold_samples=24 - swings, swings=swings)).plan(
            torch.zeros(2), problem, None, Budget(1), random(seed)) for seed in range(5)]
        for swings in (0, 16)]
    open_loop, swung = ([plan.proposed for plan in plans] for plans in proposed)
    assert max(swung) < min(open_loop)
    assert all(float(plan.actions.abs().max()) <= 2.0 for plan in proposed[1])


def test_takes_what_an_engine_hands_over():
    # The engine foresees, and the sampling planners plan, in inference mode.
    planner, dynamics = HybridPlanner(CARTPOLE, LONG), random_ensemble()
    with torch.inference_mode():
        start = HANGING.clone()
        problem = Problem(dynamics, SWING, None, 0.98)
        first = planner.plan(start, problem, None, Budget(2), random())
        second = planner.plan(start, problem, first, Budget(2), random())
    assert second.energy < 2.0 * first.energy


def test_nothing_finite_is_an_error_and_never_a_plan():
    with pytest.raises(PlanError, match='none of 58 proposals'):
        HybridPlanner(CARTPOLE, LONG).plan(
            HANGING * torch.nan, SWINGING, None, Budget(2), random())


class Clock:
    """Time that passes by a fixed share of the budget each time it is looked at."""

    def __init__(self, share: float) -> None:
        self.left, self.share = 1.0 + share, share

    def __call__(self) -> float:
        self.left -= self.share
        return self.left


def test_a_late_plan_is_the_previous_one_and_not_for_ever():
    planner = HybridPlanner(CARTPOLE, LONG, HybridSettings(samples=4, swings=0))
    plan = planner.plan(HANGING, SWINGING, None, Budget(2), random())
    refined = []
    for seed in range(10):
        warm, here = plan, plan.states[1]
        plan = planner.plan(here, SWINGING, warm, Budget(2, Clock(0.45)), random(seed))
        refined.append(plan.iterations)
        follow = planner.plan(here, SWINGING, warm, Budget(1), random(seed)).proposed
        assert plan.energy == follow if not plan.iterations else plan.energy <= follow
    assert refined == [0, 0, 0, 0, refined[4]] * 2 and refined[4] > 0


def test_in_time_a_plan_is_refined():
    planner = HybridPlanner(CARTPOLE, LONG)
    warm = planner.plan(HANGING, SWINGING, None, Budget(2), random())
    for share, budget in ((0.4, 1), (0.0, 3)):
        plan = planner.plan(HANGING, SWINGING, warm, Budget(budget, Clock(share)), random(1))
        assert plan.unrefined == 0 and plan.iterations >= 1
