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

"""The gradient planner: costates are the true derivatives, limits hold, optima are reached."""

from dataclasses import replace

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
    total_energy,
    WIDE,
)
import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.adjoint import AdjointPlanner, costates, lagrangian
from hlai_control.actor.objective import Objective
from hlai_control.actor.rollout import energy, roll_out
from hlai_control.errors import PlanError
from hlai_control.protocols import Planner, Problem
from hlai_control.types import Budget

HANGING = torch.tensor([0.2, 0.3, 0.0, 0.0]).double()


class Upright:
    """A smooth terminal value that couples coordinates."""

    def value(self, state: torch.Tensor) -> torch.Tensor:
        return (2.0 + torch.cos(state[..., 1]) + 0.1 * state[..., 0] * state[..., 3]).square()


SYSTEMS = {
    'linear': (START, Objective(Problem(LINEAR, QUADRATIC, LastStage(), 0.9))),
    'linear without critic': (START, Objective(Problem(LINEAR, QUADRATIC, None, 0.9))),
    'cart-pole': (HANGING, Objective(Problem(CartPole(), SWING, Upright(), 0.98))),
    'ensemble': (HANGING, Objective(Problem(random_ensemble(), SWING, Upright(), 0.98))),
    'ensemble without critic': (HANGING, Objective(Problem(random_ensemble(), SWING, None, 0.98))),
}


def trajectory(name):
    start, objective = SYSTEMS[name]
    draw = torch.Generator().manual_seed(3)
    actions = 3.0 * torch.randn(10, 1, generator=draw).double()
    return start, actions, roll_out(start, actions.unsqueeze(0), objective.problem.dynamics)[:, 0]


@pytest.mark.parametrize('name', SYSTEMS)
def test_costates_equal_autograd_and_central_differences(name):
    objective = SYSTEMS[name][1]
    start, actions, states = trajectory(name)
    found = costates(states, actions, objective)
    torch.testing.assert_close(found.gradient, slope(start, actions, objective.problem),
                               rtol=1e-9, atol=1e-9)
    for t in range(len(actions)):
        ends = []
        for side in (1e-5, -1e-5):
            moved = actions.clone()
            moved[t] += side
            ends.append(float(total_energy(start, moved, objective.problem)))
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(
            float(found.gradient[t]), rel=1e-5, abs=1e-5)


def to_go(state, actions, objective, t):
    """F of each member's own course from s[t] on; what came before does not depend on it."""
    states = [state]
    for action in actions[t:]:
        states.append(objective.problem.dynamics.step(states[-1].unsqueeze(1), action[None])[:, 0])
    whole = torch.stack(states, dim=1).unsqueeze(1)
    return objective.problem.discount ** t * energy(
        whole, actions[None, t:], objective.problem)[0]


@pytest.mark.parametrize('name', SYSTEMS)
def test_costates_are_the_sensitivity_to_the_state(name):
    objective = SYSTEMS[name][1]
    _, actions, states = trajectory(name)
    found = costates(states, actions, objective).sensitivity
    for t in (0, 4, 9):
        state = states[:, t].clone().requires_grad_()
        by_autograd, = torch.autograd.grad(to_go(state, actions, objective, t), state)
        torch.testing.assert_close(found[:, t], by_autograd, rtol=1e-9, atol=1e-9)
        for member in range(len(states)):
            for i in range(states.shape[-1]):
                move = torch.zeros_like(states[:, t])
                move[member, i] = 1e-5
                rise = float(to_go(states[:, t] + move, actions, objective, t)
                             - to_go(states[:, t] - move, actions, objective, t))
                assert rise / 2e-5 == pytest.approx(float(found[member, t, i]), rel=1e-5,
                                                    abs=1e-5)


@pytest.mark.parametrize('name', SYSTEMS)
def test_the_lagrangian_is_flat_in_the_states(name):
    objective = SYSTEMS[name][1]
    _, actions, states = trajectory(name)
    found = costates(states, actions, objective)
    states, actions = states.clone().requires_grad_(), actions.requires_grad_()
    by_state, by_action = torch.autograd.grad(
        lagrangian(states, actions, found.multipliers, objective), (states, actions))
    torch.testing.assert_close(by_state[:, 1:], torch.zeros_like(by_state[:, 1:]))
    torch.testing.assert_close(by_action, found.gradient, rtol=1e-9, atol=1e-9)
    # The start is given: its multiplier takes what is left.
    torch.testing.assert_close(by_state[:, 0], found.sensitivity[:, 0])


def plan(planner, start, dynamics, cost, critic=None, warm=None, iterations=1,
         discount=1.0):
    return planner.plan(start, Problem(dynamics, cost, critic, discount), warm,
                        Budget(iterations), torch.Generator())


def test_finds_the_linear_quadratic_optimum():
    planner = AdjointPlanner(WIDE, HORIZON)
    assert isinstance(planner, Planner)
    found = plan(planner, START, LINEAR, QUADRATIC, LastStage(), iterations=60)
    assert lqr()[0] * (1 - 1e-12) <= found.energy <= lqr()[0] * (1 + 1e-6)
    assert found.iterations < 60


@pytest.mark.parametrize('critic', [None, LastStage()])
def test_limits_hold_and_nothing_is_left_to_gain_within(critic):
    narrow = replace(MASS, action_low=(-4.0,), action_high=(2.0,))
    planner = AdjointPlanner(narrow, HORIZON)
    for iterations in (1, 2, 5, 100):
        found = plan(planner, 3.0 * START, LINEAR, QUADRATIC, critic, iterations=iterations,
                     discount=0.9)
        assert float(found.actions.min()) >= -4.0 and float(found.actions.max()) <= 2.0
    gradient = slope(3.0 * START, found.actions, Problem(LINEAR, QUADRATIC, critic, 0.9))
    assert float(found.actions.min()) == -4.0
    assert float(found.actions.max()) == 2.0
    assert optimality_gap(found.actions, gradient, -4.0, 2.0) < 1e-3


@pytest.mark.parametrize('make', [CartPole, random_ensemble])
def test_energy_never_rises_with_the_budget(make):
    planner = AdjointPlanner(CARTPOLE, 16)
    energies = [plan(planner, HANGING, make(), SWING, iterations=n, discount=0.98).energy
                for n in (1, 2, 4, 8, 16)]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < energies[0]


def test_a_warm_start_goes_on_where_the_last_plan_ended():
    planner = AdjointPlanner(CARTPOLE, 16)
    cold = plan(planner, HANGING, CartPole(), SWING, iterations=30, discount=0.98)
    warm = plan(planner, cold.states[1], CartPole(), SWING, warm=cold, iterations=2, discount=0.98)
    again = plan(planner, cold.states[1], CartPole(), SWING, iterations=2, discount=0.98)
    assert warm.energy < again.energy


def test_same_arguments_same_plan_and_time_is_kept():
    planner = AdjointPlanner(CARTPOLE, 16)
    one, two = (plan(planner, HANGING, random_ensemble(), SWING, iterations=5, discount=0.98)
                for _ in range(2))
    assert torch.equal(one.actions, two.actions)
    late = planner.plan(HANGING, Problem(CartPole(), SWING, None, 0.98), None,
                        Budget(99, lambda: 0.0), torch.Generator())
    assert late.iterations == 1


def test_steps_that_are_not_finite_lose_and_are_counted():
    found = plan(AdjointPlanner(CARTPOLE, 16), HANGING, Cliff(), SWING, iterations=10,
                 discount=0.98)
    assert torch.isfinite(found.states).all()
    assert found.rejected > 0
    assert float(found.actions.abs().max()) <= 3.0


def test_nothing_finite_is_an_error_and_never_a_plan():
    with pytest.raises(PlanError, match='none of 1 first trajectories'):
        plan(AdjointPlanner(CARTPOLE, 16), HANGING * torch.nan, CartPole(), SWING, discount=0.98)
