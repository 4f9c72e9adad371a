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


"""The sampling planner: near the known optimum, inside the limits, robust, reproducible."""

from dataclasses import replace

import pytest
import torch
from toys import MASS

from hlai_control.actor.cem import CemPlanner, shifted
from hlai_control.actor.explore import Explorer
from hlai_control.actor.noise import colouring
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.errors import PlanError
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget
from hlai_control.world_model.linear import LinearDynamics

SETTINGS = PlannerSettings(horizon=12, candidates=128, elites=16, iterations=4)
DYNAMICS = LinearDynamics(torch.tensor([[1.0, 0.1], [0.0, 1.0]]),
                          torch.tensor([[0.005], [0.1]]))
WIDE = replace(MASS, action_low=(-20.0,), action_high=(20.0,))
COST = TaskCost(MASS, CostSpec('test', 1.0, (
    TermSpec('x', 'quadratic', 'x', 1.0), TermSpec('v', 'quadratic', 'x/rate', 0.1),
    TermSpec('u', 'quadratic', 'push', 0.001))))
START = torch.tensor([1.0, 0.0])
PROBLEM = Problem(DYNAMICS, COST, None, 1.0)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class LastStage:
    """V(s) = x^2 + 0.1 v^2."""

    def value(self, state: torch.Tensor) -> torch.Tensor:
        return state[..., 0].square() + 0.1 * state[..., 1].square()


ENDED = Problem(DYNAMICS, COST, LastStage(), 1.0)


def lqr_optimum(horizon: int) -> float:
    """Cost to go of the finite-horizon Riccati recursion, from START."""
    a, b = DYNAMICS.transition.double(), DYNAMICS.control.double()
    q, r = torch.diag(torch.tensor([1.0, 0.1])).double(), torch.tensor([[0.001]]).double()
    p = q
    for _ in range(horizon):
        gain = torch.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
        p = q + a.T @ p @ (a - b @ gain)
    return float(START.double() @ p @ START.double())


def test_finds_the_lqr_optimum_within_three_percent():
    planner = CemPlanner(WIDE, SETTINGS)
    assert isinstance(planner, Planner)
    plan = planner.plan(START, ENDED, None, Budget(40), random())
    best = lqr_optimum(SETTINGS.horizon)
    assert best * (1 - 1e-5) <= plan.energy <= 1.03 * best
    # What it says it expects is what the model makes of its actions.
    state = START
    for action, expected in zip(plan.actions, plan.states[1:], strict=True):
        state = DYNAMICS.step(state.expand(1, -1), action)[0]
        torch.testing.assert_close(expected, state)
    assert plan.anticipated == pytest.approx(float(LastStage().value(state)), rel=1e-4)


def test_a_warm_start_carries_refinement_from_tick_to_tick():
    planner, warm, gaps = CemPlanner(WIDE, SETTINGS), None, []
    for tick in range(10):
        late = None if warm is None else replace(
            warm, actions=torch.cat([warm.actions[:1], warm.actions]))
        warm = planner.plan(START, ENDED, late, Budget(3), random(tick))
        gaps.append(warm.energy / lqr_optimum(SETTINGS.horizon) - 1)
    assert all(later <= earlier + 1e-6 for earlier, later in zip(gaps, gaps[1:], strict=False))
    assert gaps[-1] < 0.5 * gaps[0]


def test_limits_are_never_exceeded_and_are_used():
    planner = CemPlanner(MASS, SETTINGS)
    for seed in range(5):
        plan = planner.plan(1e3 * START, PROBLEM, None, Budget(3), random(seed))
        assert float(plan.actions.min()) == -1.0
        assert float(plan.actions.max()) <= 2.0


def test_same_seed_same_plan_and_budget_is_kept():
    planner = CemPlanner(MASS, SETTINGS)
    one, two = (planner.plan(START, PROBLEM, None, Budget(3), random(4))
                for _ in range(2))
    assert torch.equal(one.actions, two.actions)
    assert one.iterations == 3
    late = planner.plan(START, PROBLEM, None, Budget(99, lambda: True), random())
    assert late.iterations == 1  # there is always a first answer


class Cliff(LinearDynamics):
    """Pushing to the right of ``edge`` gives no number at all."""

    edge = 0.0

    def step(self, state: torch.Tensor, action: torch.Tensor,
             z: torch.Tensor | None = None) -> torch.Tensor:
        ahead = super().step(state, action)
        return torch.where(action > self.edge, torch.nan, ahead)


def test_candidates_that_are_not_finite_lose_and_are_counted():
    cliff = Cliff(DYNAMICS.transition, DYNAMICS.control)
    white = PlannerSettings(horizon=3, candidates=128, elites=16, iterations=4, colour=0.0)
    # The middle of the limits is 0.5: the mean itself falls off the cliff.
    plan = CemPlanner(MASS, white).plan(
        START, Problem(cliff, COST, None, 1.0), None, Budget(4), random())
    assert float(plan.actions.max()) <= 0.0
    assert plan.rejected > 0
    assert torch.isfinite(plan.states).all()


def test_no_finite_candidate_is_an_error_and_never_a_plan():
    planner = CemPlanner(MASS, SETTINGS)
    with pytest.raises(PlanError, match='none of 384 candidates'):
        planner.plan(torch.tensor([float('nan'), 0.0]), PROBLEM, None, Budget(3), random())


def test_scores_on_another_device_without_moving():
    planner = CemPlanner(MASS, SETTINGS)
    found = planner.score(START.to('meta'), torch.zeros(9, 12, 1, device='meta'),
                          Problem(LinearDynamics(DYNAMICS.transition, DYNAMICS.control).to('meta'),
                                  TaskCost(MASS, CostSpec('t', 1.0, (
                                      TermSpec('x', 'quadratic', 'x', 1.0),))).to('meta'),
                                  None, 1.0))
    assert found.device.type == 'meta'
    assert found.shape == (9,)


def test_energy_is_the_discounted_sum_by_hand():
    # From (1, 0) with u = 0 the state stays: 1 + 0.5 + 0.25 and V = 1 times 0.125.
    planner = CemPlanner(MASS, SETTINGS)
    found = planner.score(START, torch.zeros(1, 3, 1),
                          Problem(DYNAMICS, COST, LastStage(), 0.5))
    assert float(found) == pytest.approx(1.875)


def test_noise_has_unit_variance_and_its_colour():
    neighbours = []
    for colour in (0.0, 0.5, 1.0, 2.0, 3.0):
        covariance = colouring(16, colour) @ colouring(16, colour).T
        torch.testing.assert_close(covariance.diagonal(), torch.ones(16), rtol=1e-5, atol=1e-5)
        neighbours.append(float(covariance[0, 1]))
    # Without the zero frequency, white noise is left with -1 / 16 between neighbours.
    assert neighbours[0] == pytest.approx(-1 / 16, abs=1e-4)
    assert neighbours == sorted(neighbours)
    assert neighbours[-1] > 0.9


def test_shifting_repeats_the_last_command():
    actions = torch.tensor([[1.0], [2.0], [3.0]])
    assert shifted(actions, 4).flatten().tolist() == [2.0, 3.0, 3.0, 3.0]
    assert shifted(actions, 1).flatten().tolist() == [2.0]
    assert shifted(actions[:1], 2).flatten().tolist() == [1.0, 1.0]


def test_exploration_goes_on_where_it_left_off_within_limits():
    explorer = Explorer(MASS, SETTINGS)
    assert isinstance(explorer, Planner)
    draw, warm, sent = random(), None, []
    for _ in range(200):
        plan = explorer.plan(START, PROBLEM, warm, Budget(1), draw)
        if warm is not None:
            assert torch.equal(plan.actions[:-1], warm.actions[1:])
        warm = plan
        sent.append(float(plan.actions[0]))
    assert min(sent) == -1.0
    assert max(sent) == 2.0
    assert abs(sum(sent) / 200 - 0.5) < 0.4  # around the middle of the limits
