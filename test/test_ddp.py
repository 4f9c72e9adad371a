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

"""Second-order planning: exact where the answer is known, inside the limits, robust."""

from dataclasses import replace

import numpy as np
from problems import (
    CartPole,
    Cliff,
    HORIZON,
    LastStage,
    LINEAR,
    lqr,
    optimality_gap,
    QUADRATIC,
    random_ensemble,
    slope,
    START,
    SWING,
    WIDE,
)
import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.ddp import DdpPlanner, follow
from hlai_control.actor.feedback import backward, box_qp
from hlai_control.actor.objective import MeanDynamics, Objective
from hlai_control.errors import PlanError
from hlai_control.protocols import Dynamics, Planner, Problem
from hlai_control.settings import DdpSettings
from hlai_control.types import Budget
from hlai_control.world_model.linear import LinearDynamics

HANGING = torch.tensor([0.2, 0.3, 0.0, 0.0]).double()
EACH = DdpSettings(merge=False)


def plan(planner, start, dynamics, cost, critic=None, warm=None, iterations=1,
         discount=1.0):
    return planner.plan(start, Problem(dynamics, cost, critic, discount), warm,
                        Budget(iterations), torch.Generator())


def test_linear_quadratic_problem_in_one_iteration():
    planner = DdpPlanner(WIDE, HORIZON)
    assert isinstance(planner, Planner)
    found = plan(planner, START, LINEAR, QUADRATIC, LastStage())
    best, gains = lqr()
    assert found.iterations == 1
    assert found.energy == pytest.approx(best, rel=1e-10)
    gradient = slope(START, found.actions, Problem(LINEAR, QUADRATIC, LastStage(), 1.0))
    assert optimality_gap(found.actions, gradient, -100.0, 100.0) < 1e-8
    torch.testing.assert_close(found.gains, torch.stack(gains), rtol=1e-8, atol=1e-8)
    # u = K x all along.
    torch.testing.assert_close(found.actions, torch.stack([
        gain @ state for gain, state in zip(gains, found.states, strict=False)]),
        rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('settings', [DdpSettings(), EACH])
def test_members_that_agree_change_nothing(settings):
    class Twins(LinearDynamics):
        members = 2

    twins = Twins(LINEAR.transition, LINEAR.control)
    one = plan(DdpPlanner(WIDE, HORIZON), START, LINEAR, QUADRATIC, LastStage())
    two = plan(DdpPlanner(WIDE, HORIZON, settings), START, twins, QUADRATIC, LastStage())
    torch.testing.assert_close(two.actions, one.actions)
    torch.testing.assert_close(two.gains, one.gains)
    assert two.energy == pytest.approx(one.energy)


@pytest.mark.parametrize('critic', [None, LastStage()])
def test_active_limits_leave_nothing_to_gain(critic):
    narrow = replace(MASS, action_low=(-4.0,), action_high=(2.0,))
    found = plan(DdpPlanner(narrow, HORIZON), 3.0 * START, LINEAR, QUADRATIC, critic,
                 iterations=30, discount=0.9)
    gradient = slope(3.0 * START, found.actions, Problem(LINEAR, QUADRATIC, critic, 0.9))
    assert float(found.actions.min()) == -4.0
    assert float(found.actions.max()) == 2.0
    # The problem is convex: this is the optimum, and a limit's row of gains is zero.
    assert optimality_gap(found.actions, gradient, -4.0, 2.0) < 1e-6
    assert float(found.gains[0].abs().max()) == 0.0


@pytest.mark.parametrize('settings', [DdpSettings(), EACH])
@pytest.mark.parametrize('make', [CartPole, random_ensemble])
def test_ends_where_no_first_order_gain_is_left(make, settings):
    dynamics = make()
    found = plan(DdpPlanner(CARTPOLE, 16, settings), HANGING, dynamics, SWING,
                 iterations=300, discount=0.98)
    imagined = MeanDynamics(dynamics) if settings.merge else dynamics
    gradient = slope(HANGING, found.actions, Problem(imagined, SWING, None, 0.98))
    assert optimality_gap(found.actions, gradient, -10.0, 10.0) < 2e-3
    assert found.iterations < 300


def test_the_full_step_of_a_quadratic_problem_gains_what_was_promised():
    planner = DdpPlanner(WIDE, HORIZON)
    objective = planner.objective(Problem(LINEAR, QUADRATIC, LastStage(), 1.0), START,
                                  torch.Generator())
    course = planner.proposals(START, None, objective)[0][0]
    local = objective.expansion(course.states, course.actions,
                                objective.weights(course.states, course.actions))
    limit = np.full((HORIZON, 1), 100.0)
    promised = backward(*local, -limit, limit, 0.0).promised
    refined = planner.refine(course, objective, Budget(1))
    assert promised == pytest.approx(refined.course.energy - course.energy, rel=1e-9)
    assert promised < 0.0


def test_energy_never_rises_with_the_budget():
    planner = DdpPlanner(CARTPOLE, 16)
    energies = [plan(planner, HANGING, CartPole(), SWING, iterations=n, discount=0.98).energy
                for n in range(1, 12)]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < energies[0]


def test_warm_start_follows_the_last_plan_with_its_gains():
    planner = DdpPlanner(WIDE, HORIZON)
    last = plan(planner, START, LINEAR, QUADRATIC, LastStage())
    pushed = last.states[1] + torch.tensor([0.1, -0.2]).double()
    objective = planner.objective(Problem(LINEAR, QUADRATIC, LastStage(), 1.0), START,
                                  torch.Generator())
    courses, rejected = planner.proposals(pushed, last, objective)
    assert rejected == 0
    # On the linear problem u = K x, wherever the state is.
    for t in range(HORIZON - 1):
        torch.testing.assert_close(courses[0].actions[t],
                                   last.gains[t + 1] @ courses[0].states[0, t])
    assert courses[0].energy < courses[1].energy


def test_shifted_plan_is_optimal_but_for_its_new_end():
    planner = DdpPlanner(WIDE, 40)
    last = plan(planner, START, LINEAR, QUADRATIC)
    objective = planner.objective(Problem(LINEAR, QUADRATIC, None, 1.0), START,
                                  torch.Generator())
    courses, _ = planner.proposals(last.states[1], last, objective)
    best = plan(planner, last.states[1], LINEAR, QUADRATIC, warm=last, iterations=3)
    assert best.energy <= courses[0].energy <= best.energy * (1 + 1e-3)


def test_feedback_stays_inside_the_limits():
    low, high = torch.tensor([-1.0]), torch.tensor([2.0])
    actions, states = follow(
        torch.tensor([1.0, 0.0]), torch.zeros(2, 5, 1), torch.zeros(1, 5, 2),
        torch.full((1, 5, 1, 2), -50.0), torch.tensor([1.0, 0.0]), (low, high),
        Objective(Problem(LinearDynamics(LINEAR.transition.float(), LINEAR.control.float()),
                          QUADRATIC, None, 1.0)))
    assert actions[0, 0] == -1.0
    assert actions[0].min() >= -1.0 and actions[0].max() <= 2.0
    assert (actions[1] == 0.0).all()
    assert states.shape == (1, 2, 6, 2)


def test_same_arguments_same_plan_and_time_is_kept():
    planner = DdpPlanner(CARTPOLE, 16)
    one, two = (plan(planner, HANGING, random_ensemble(), SWING, iterations=3, discount=0.98)
                for _ in range(2))
    assert torch.equal(one.actions, two.actions)
    assert torch.equal(one.gains, two.gains)
    late = planner.plan(HANGING, Problem(CartPole(), SWING, None, 0.98), None,
                        Budget(99, lambda: 0.0), torch.Generator())
    assert late.iterations == 1


def test_steps_that_are_not_finite_lose_and_are_counted():
    found = plan(DdpPlanner(CARTPOLE, 16), HANGING, Cliff(), SWING, iterations=10, discount=0.98)
    assert torch.isfinite(found.states).all()
    assert found.rejected > 0
    assert float(found.actions.abs().max()) <= 3.0


def test_nothing_finite_is_an_error_and_never_a_plan():
    with pytest.raises(PlanError, match='none of 1 first trajectories'):
        plan(DdpPlanner(CARTPOLE, 16), HANGING * torch.nan, CartPole(), SWING, discount=0.98)


def test_derivatives_that_are_not_finite_leave_the_first_plan():
    class Kink(CartPole):
        def step(self, state, action, z=None):
            # The square root's slope at zero is infinite.
            return super().step(state, action) + 0.0 * action.abs().sqrt()

    found = plan(DdpPlanner(CARTPOLE, 16), HANGING, Kink(), SWING, iterations=99, discount=0.98)
    assert (found.actions == 0.0).all()
    assert torch.isfinite(found.states).all()


def test_box_qp_meets_its_conditions_for_many_actuators():
    draw = np.random.default_rng(0)
    at_limit = 0
    for _ in range(50):
        root = draw.normal(size=(4, 4))
        hessian, gradient = root @ root.T + 0.1 * np.eye(4), 3.0 * draw.normal(size=4)
        low, high = -draw.uniform(0.1, 1.0, 4), draw.uniform(0.1, 1.0, 4)
        x, free = box_qp(hessian, gradient, low, high)
        assert (x >= low).all() and (x <= high).all()
        end = gradient + hessian @ x
        assert np.abs(end[free]).max(initial=0.0) < 1e-8
        assert (np.where(x == low, end, -end)[~free] > 0.0).all()
        at_limit += int((~free).sum())
    assert at_limit > 20
    assert box_qp(-np.eye(2), np.ones(2), -np.ones(2), np.ones(2)) is None


@pytest.mark.parametrize(('pull', 'expected', 'free'), [(-1.0, 0.5, True), (-9.0, 1.0, False),
                                                        (9.0, -2.0, False)])
def test_box_qp_of_one_actuator_by_hand(pull, expected, free):
    # The minimum of x^2 + pull x is at -pull / 2.
    x, moves = box_qp(np.array([[2.0]]), np.array([pull]), np.array([-2.0]), np.array([1.0]))
    assert (x[0], bool(moves[0])) == (expected, free)


def test_mean_of_the_members_by_hand():
    dynamics = random_ensemble()
    mean, state = MeanDynamics(dynamics), torch.randn(1, 5, 4).double()
    action = torch.randn(5, 1).double()
    assert isinstance(mean, Dynamics)
    torch.testing.assert_close(mean.step(state, action)[0], sum(
        dynamics.step(state.expand(3, -1, -1), action)[i] for i in range(3)) / 3)
