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

"""The augmented Lagrangian: its derivatives, and carried states that follow the bare ones."""

from dataclasses import replace

import numpy as np
from problems import HORIZON, LastStage, LINEAR, QUADRATIC, random_ensemble, START, total_energy
import pytest
from test_compiled import LAYOUTS, problem_of, Steps
import torch
from toys import MASS

from hlai_control.actor.adjoint import costates
from hlai_control.actor.carried import CarriedDynamics, CarriedLayout
from hlai_control.actor.ddp import follow
from hlai_control.actor.lagrangian import counting, penalised, Penalty
from hlai_control.actor.objective import (
    gradient_and_hessian,
    jacobians,
    MeanDynamics,
    Objective,
)
from hlai_control.actor.rollout import roll_out
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.constraints import TaskConstraints
from hlai_control.protocols import ExpandableConstraints, ExpandableCost, Problem, Trajectories

BOUNDS = TaskConstraints(MASS, (ConstraintSpec('speed', 'limit', ('x/rate',), low=-1.0),
                                ConstraintSpec('slew', 'rate', ('push',), limit=40.0)))


class Black:
    """The same constraints, that do not know their derivatives."""

    names, units, of_state, values = (BOUNDS.names, BOUNDS.units, BOUNDS.of_state, BOUNDS.values)


def penalty(bounds=BOUNDS, weight=7.0):
    """Multipliers that are different at each step."""
    counts = counting(bounds, HORIZON, START)
    draw = torch.Generator().manual_seed(3)
    return Penalty(bounds, counts * torch.rand(counts.shape, generator=draw).double(), counts,
                   weight)


def trajectory(problem, seed=4):
    actions = 4.0 * torch.randn(HORIZON, 1, generator=torch.Generator().manual_seed(seed)).double()
    start = torch.cat([START, torch.tensor([1.0, 0.0]).double()])
    return start, actions, roll_out(start, actions.unsqueeze(0), problem.dynamics)[:, 0]


@pytest.mark.parametrize('bounds', [BOUNDS, Black()])
@pytest.mark.parametrize('critic', [None, LastStage()])
def test_gradient_of_the_penalised_energy_equals_finite_differences(critic, bounds):
    problem = penalised(Problem(LINEAR, QUADRATIC, critic, 0.9), penalty(bounds), 1)
    start, actions, states = trajectory(problem)
    moves = 1e-5 * torch.eye(HORIZON).double().unsqueeze(-1)
    expected = torch.stack([
        (total_energy(start, actions + h, problem) - total_energy(start, actions - h, problem))
        / 2e-5 for h in moves])
    assert float(penalty(bounds).of(states[0, :-1], actions).sum()) > 0.1  # something to find
    objective = Objective(problem)
    torch.testing.assert_close(costates(states, actions, objective).gradient.flatten(), expected,
                               rtol=1e-6, atol=1e-6)
    slopes, _ = objective.expansion(states, actions, objective.weights(states, actions))
    np.testing.assert_allclose(slopes.gradient, objective.slopes(states, actions).gradient,
                               atol=1e-12)
    np.testing.assert_allclose(slopes.last_gradient, objective.slopes(states, actions)
                               .last_gradient, atol=1e-12)


def test_where_constraints_are_linear_the_hessian_is_that_of_reverse_passes():
    assert isinstance(BOUNDS, ExpandableConstraints)
    assert not isinstance(Black(), ExpandableConstraints)
    problem = penalised(Problem(LINEAR, QUADRATIC, None, 0.9), penalty(), 1)
    assert isinstance(problem.cost, ExpandableCost)
    _, actions, states = trajectory(problem)
    found = problem.cost.expansion(states[0, :-1], actions)
    expected = gradient_and_hessian(lambda both: problem.cost.stage(both[..., :4], both[..., 4:]),
                                    torch.cat([states[0, :-1], actions], dim=-1))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_each_step_has_its_own_multipliers_and_nothing_else_counts():
    multipliers = penalty().multipliers
    # With no weight to speak of, the part is lambda g where lambda > 0.
    light = replace(penalty(), weight=1e-9)
    state = torch.tensor([0.0, 0.5]).double()
    for t in range(HORIZON + 1):
        carried = torch.cat([state, torch.tensor([1.0, float(t)]).double()])
        found = light.of(carried, torch.tensor([3.0]).double())
        expected = multipliers[t] * torch.tensor([-1.5, (-2.0 - 4.0) / 4.0, (2.0 - 4.0) / 4.0])
        torch.testing.assert_close(found, expected.double(), rtol=1e-6, atol=1e-6)
    counts = counting(BOUNDS, HORIZON, START)
    assert counts[0].tolist() == [0.0, 1.0, 1.0] and counts[-1].tolist() == [1.0, 0.0, 0.0]
    assert (counts[1:-1] == 1.0).all()


def test_carried_states_follow_the_bare_ones_and_know_their_commands_and_time():
    dynamics = random_ensemble()
    bare, draw = torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), torch.Generator().manual_seed(0)
    start = torch.cat([bare, torch.tensor([7.0, 0.0]).double()])
    actions = torch.randn(5, 8, 1, generator=draw).double()
    for model in (dynamics, Steps(dynamics)):
        carried = CarriedDynamics(model)
        assert isinstance(carried, Trajectories)
        with torch.no_grad():
            assert carried.whole(start, 5) is (model is dynamics)
            states = roll_out(start, actions, carried)
            torch.testing.assert_close(states[..., :4], roll_out(bare, actions, dynamics))
            last = torch.cat([torch.full((5, 1), 7.0).double(), actions[..., 0]], dim=1)
            assert (states[..., 4] == last).all()
            assert (states[..., 5] == torch.arange(9)).all()


@pytest.mark.parametrize('name', LAYOUTS)
@pytest.mark.parametrize('merged', [True, False])
def test_whole_derivatives_and_feedback_are_those_of_single_steps(name, merged):
    robot = CarriedLayout(**vars(LAYOUTS[name]))
    groups, horizon, size, width = 1 if merged else 3, 6, robot.state_size, robot.action_size
    dynamics = problem_of(LAYOUTS[name], groups, torch.float64)[0]
    draw = torch.Generator().manual_seed(1)
    whole, single = (CarriedDynamics(one) for one in (dynamics, Steps(dynamics)))
    if merged:
        whole, single = MeanDynamics(whole), MeanDynamics(single)

    def normal(*shape):
        return torch.randn(*shape, generator=draw).double()
    states, base, closed = normal(groups, horizon, size), normal(5, horizon, width), normal(5)
    gains = 0.2 * normal(groups, horizon, width, size)  # also on the last command
    limit = torch.full((width,), 1.2, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(jacobians(whole, states, base[0]),
                                   jacobians(single, states, base[0]))
        found, expected = (
            follow(states[0, 0], base, states, gains, closed, (-limit, limit),
                   Objective(Problem(model, QUADRATIC, None, 1.0))) for model in (whole, single))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert (found[0].abs() == 1.2).any() and (found[0].abs() < 1.2).any()
    # What was carried is what was given, and the time counts on.
    torch.testing.assert_close(found[1][:, :, 1:, -1 - width:-1],
                               found[0].expand(groups, -1, -1, -1))
    gone = found[1][..., -1] - states[0, 0, -1]
    torch.testing.assert_close(gone, torch.arange(horizon + 1).double().expand_as(gone))
