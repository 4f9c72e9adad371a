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


"""The engine: plans from the moment at which the command takes effect."""

import pytest
import torch
from toys import MASS

from hlai_control.actor.cem import CemPlanner
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.engine import Engine
from hlai_control.errors import ShapeError
from hlai_control.protocols import Problem
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget, Estimate, generator, Plan
from hlai_control.world_model.linear import LinearDynamics

SETTINGS = PlannerSettings(horizon=15, candidates=64, elites=10, iterations=3)
DYNAMICS = LinearDynamics(torch.tensor([[1.0, 0.1], [0.0, 1.0]]),
                          torch.tensor([[0.005], [0.1]]))
COST = TaskCost(MASS, CostSpec('test', 0.98, (
    TermSpec('x', 'quadratic', 'x', 1.0), TermSpec('v', 'quadratic', 'x/rate', 0.2))))
ENGINE = Engine(MASS, DYNAMICS, Problem(DYNAMICS, COST, None, 0.98), CemPlanner(MASS, SETTINGS))


def estimate(x: float, v: float) -> Estimate:
    return Estimate(torch.tensor([x, v]), torch.tensor([0.01, 0.01]))


def test_foresees_the_commands_already_sent():
    found = ENGINE.foresee(estimate(1.0, 2.0), torch.tensor([[1.0], [-2.0]]))
    # (1, 2) -> (1 + 0.2 + 0.005, 2.1) -> (1.205 + 0.21 - 0.01, 1.9)
    torch.testing.assert_close(found, torch.tensor([1.405, 1.9]))


def test_the_plan_begins_where_foresight_ends():
    pending = torch.tensor([[1.0], [-2.0]])
    plan = ENGINE.decide(estimate(1.0, 2.0), pending, None, Budget(2), generator(0, 'actor'))
    torch.testing.assert_close(plan.states[0], ENGINE.foresee(estimate(1.0, 2.0), pending))
    assert plan.actions.shape == (15, 1)


def test_a_wrong_number_of_pending_commands_is_refused():
    with pytest.raises(ShapeError, match=r'valid: \(2, 1\)'):
        ENGINE.decide(estimate(0.0, 0.0), torch.zeros(1, 1), None, Budget(1),
                      generator(0, 'actor'))


def test_closed_loop_reaches_the_goal_through_the_delay():
    state, warm, draw = torch.tensor([1.0, 0.0]), None, generator(0, 'actor')
    pending = [torch.zeros(1), torch.zeros(1)]
    for _ in range(60):
        plan: Plan = ENGINE.decide(Estimate(state, torch.zeros(2)), torch.stack(pending), warm,
                                   Budget(3), draw)
        warm = plan
        pending.append(plan.actions[0])
        state = DYNAMICS.step(state.expand(1, -1), pending.pop(0))[0]
    assert float(state.abs().max()) < 0.1
