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

"""The gradient planner on a device: the iterates of that on the CPU, and no waiting."""

from copy import deepcopy
from dataclasses import replace

from devices import OnDeviceOnly, Tape
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

from hlai_control.actor.adjoint import AdjointPlanner, costates, two_loops
from hlai_control.actor.captured import CapturedPlanner
from hlai_control.actor.device_adjoint import (
    device_costates,
    device_two_loops,
    DeviceAdjointPlanner,
)
from hlai_control.actor.objective import Objective
from hlai_control.actor.risk import draw_latents
from hlai_control.actor.rollout import roll_out
from hlai_control.errors import PlanError
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import RiskSettings
from hlai_control.types import Budget

HANGING = torch.tensor([0.2, 0.3, 0.0, 0.0]).double()
SWINGING = Problem(random_ensemble(), SWING, LastStage(), 0.98)
RISKS = pytest.mark.parametrize('risk', [
    RiskSettings(), RiskSettings(tail=0.5), RiskSettings(tail=0.3, latents=2)], ids=str)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@RISKS
@pytest.mark.parametrize('critic', [None, LastStage()])
def test_its_costates_are_those_on_the_cpu(risk, critic):
    problem = replace(SWINGING, risk=risk, critic=critic)
    actions = 3.0 * torch.randn(10, 1, generator=random(3)).double()
    latents = draw_latents(problem, 10, HANGING, random())
    states = roll_out(HANGING, actions.unsqueeze(0), problem.dynamics, latents)[:, 0]
    objective = Objective(problem, latents)
    multipliers, gradient = device_costates(states, actions, objective)
    known = costates(states, actions, objective)
    torch.testing.assert_close(multipliers, known.multipliers, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradient, known.gradient, rtol=1e-10, atol=1e-10)


def test_its_two_loops_are_those_on_the_cpu_and_pass_over_what_is_not_curved():
    slope, steps, changes = (torch.randn(*shape, generator=random(4)).double() for shape in (
        (6, 2), (4, 6, 2), (4, 6, 2)))
    changes[0] = steps[0] + 0.1 * changes[0]
    changes[2] = 2.0 * steps[2] + 0.1 * changes[2]
    changes[1], changes[3] = -steps[1], 0.0
    found = device_two_loops(slope, steps, changes)
    known = two_loops(slope.numpy(), list(zip(steps.numpy(), changes.numpy(), strict=True)))
    torch.testing.assert_close(found, torch.from_numpy(known), rtol=1e-12, atol=1e-12)
    nothing = torch.zeros_like(steps)
    assert torch.equal(device_two_loops(slope, nothing, nothing), slope)


@pytest.mark.parametrize('make', [CartPole, random_ensemble])
@pytest.mark.parametrize('iterations', [1, 3, 12])
def test_its_iterates_are_those_on_the_cpu(make, iterations):
    problem, warm = Problem(make(), SWING, None, 0.98), None
    device, cpu = DeviceAdjointPlanner(CARTPOLE, 10), AdjointPlanner(CARTPOLE, 10)
    for state in (HANGING, 0.9 * HANGING):
        one, two = (planner.plan(state, problem, warm, Budget(iterations), random())
                    for planner in (device, cpu))
        assert one.energy == pytest.approx(two.energy, rel=1e-9)
        torch.testing.assert_close(one.actions, two.actions, rtol=1e-7, atol=1e-7)
        assert one.progress[:len(two.progress)] == pytest.approx(two.progress, rel=1e-9)
        warm = two


@RISKS
def test_risk_is_planned_for(risk):
    problem = replace(SWINGING, risk=risk)
    one, two = (planner.plan(HANGING, problem, None, Budget(4), random(5)) for planner in (
        DeviceAdjointPlanner(CARTPOLE, 8), AdjointPlanner(CARTPOLE, 8)))
    assert one.energy == pytest.approx(two.energy, rel=1e-9)
    torch.testing.assert_close(one.actions, two.actions, rtol=1e-7, atol=1e-7)


def test_finds_the_linear_quadratic_optimum_and_rests_there():
    planner = DeviceAdjointPlanner(WIDE, HORIZON)
    assert isinstance(planner, Planner)
    problem = Problem(LINEAR, QUADRATIC, LastStage(), 1.0)
    found = planner.plan(START, problem, None, Budget(60), random())
    assert lqr()[0] * (1 - 1e-12) <= found.energy <= lqr()[0] * (1 + 1e-6)
    assert found.iterations == 60 and found.progress[-1] == found.progress[-10]


def test_limits_are_kept():
    narrow = replace(MASS, action_low=(-4.0,), action_high=(2.0,))
    problem = Problem(LINEAR, QUADRATIC, LastStage(), 0.9)
    found, known = (kind(narrow, HORIZON).plan(3.0 * START, problem, None, Budget(20), random())
                    for kind in (DeviceAdjointPlanner, AdjointPlanner))
    assert float(found.actions.min()) == -4.0 and float(found.actions.max()) == 2.0
    assert found.energy == pytest.approx(known.energy, rel=1e-9)


class Cliff(CartPole):
    """Pushing harder than 3 N to either side gives no number at all."""

    def step(self, state, action, z=None):
        return torch.where(action.abs() > 3.0, torch.nan, super().step(state, action))


def test_what_is_not_finite_loses_is_counted_and_is_never_a_plan():
    planner = DeviceAdjointPlanner(CARTPOLE, 16)
    found = planner.plan(HANGING, Problem(Cliff(), SWING, None, 0.98), None, Budget(10), random())
    assert torch.isfinite(found.states).all() and found.rejected > 0
    assert float(found.actions.abs().max()) <= 3.0
    with pytest.raises(PlanError, match='none of 2 candidates'):
        planner.plan(HANGING * torch.nan, SWINGING, None, Budget(2), random())


@RISKS
def test_a_whole_search_runs_on_shapes_alone(risk):
    problem = Problem(random_ensemble().to('meta'), deepcopy(SWING).to('meta'), None, 0.98, risk)
    planner, start = DeviceAdjointPlanner(CARTPOLE, 6), HANGING.to('meta')
    resumed = planner.resume(start, None)
    with OnDeviceOnly():
        found, done = planner.search(start, resumed, problem, Budget(2), random())
    assert done == 2 and found.actions.shape == (6, 1) and found.states.shape == (7, 4)


def test_the_recorded_plan_is_the_same():
    planner = DeviceAdjointPlanner(CARTPOLE, 6)
    one, two = (kind.plan(HANGING, SWINGING, None, Budget(3), random())
                for kind in (planner, CapturedPlanner(planner, Tape.record)))
    assert torch.equal(one.actions, two.actions) and one.progress == two.progress
