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


"""Planning within constraints: known constrained optima, their multipliers, and what cannot be."""

from dataclasses import replace
from functools import cache
from math import pi

from problems import CartPole, HORIZON, LastStage, LINEAR, QUADRATIC, START, total_energy
import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.adjoint import AdjointPlanner
from hlai_control.actor.carried import CarriedLayout
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.constrained import ConstrainedPlanner
from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.icem import IcemPlanner
from hlai_control.actor.lagrangian import counting
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.actor.rollout import roll_out
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.constraints import TaskConstraints
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.layout import Layout
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import (
    AdjointSettings,
    ConstraintSettings,
    DdpSettings,
    PlannerSettings,
)
from hlai_control.types import Budget
from hlai_control.world_model.linear import LinearDynamics

ROBOT = replace(MASS, action_low=(-10.0,), action_high=(10.0,))
TIGHT = ConstraintSettings(tolerance=1e-6)
LEAST_SPEED, MOST_CHANGE = -1.0, 4.0
SAMPLING = PlannerSettings(horizon=HORIZON, candidates=400, elites=40, spread=0.1)
MAKERS = {
    'ddp': lambda robot: DdpPlanner(robot, HORIZON),
    'ddp, each member': lambda robot: DdpPlanner(robot, HORIZON, DdpSettings(merge=False)),
    'hybrid': lambda robot: HybridPlanner(robot, SAMPLING),
    'adjoint': lambda robot: AdjointPlanner(robot, HORIZON, AdjointSettings(step_sizes=24)),
    'icem': lambda robot: IcemPlanner(robot, SAMPLING),
    'mppi': lambda robot: MppiPlanner(robot, SAMPLING),
    'cem': lambda robot: CemPlanner(robot, SAMPLING),
}
# Greatest excess over the optimum, as a fraction of what the constraints cost.
GAPS = {'ddp': 1e-4, 'ddp, each member': 1e-4, 'hybrid': 1e-4, 'adjoint': 1e-4, 'icem': 0.05,
        'mppi': 0.2, 'cem': 0.05}
# Greatest excess over the least violation, as a fraction of the limit.
MISSES = dict.fromkeys(MAKERS, 0.02) | dict.fromkeys(('icem', 'mppi', 'cem'), 0.06)


def within(least_speed=LEAST_SPEED):
    return TaskConstraints(ROBOT, (
        ConstraintSpec('speed', 'limit', ('x/rate',), low=least_speed),
        ConstraintSpec('slew', 'rate', ('push',), limit=MOST_CHANGE / ROBOT.period_s)))


FREE = Problem(LINEAR, QUADRATIC, LastStage(), 1.0)
BOUND = replace(FREE, constraints=within(), previous=torch.zeros(1).double())


def plan(make, problem=BOUND, warm=None, iterations=200, settings=TIGHT, start=START, seed=0,
         robot=ROBOT):
    planner = ConstrainedPlanner(robot, HORIZON, make, settings)
    return planner.plan(start, problem, warm, Budget(iterations),
                        torch.Generator().manual_seed(seed))


def measured(actions, problem):
    """Measure the constraints along what follows from the actions; -inf where none counts."""
    states = roll_out(START, actions.unsqueeze(0), problem.dynamics)[0, 0]
    before = torch.cat([problem.previous.unsqueeze(0), actions])
    now = torch.cat([actions, actions[-1:]])
    found = problem.constraints.values(states, now, before)
    counts = counting(problem.constraints, HORIZON, START)
    return torch.where(counts > 0.0, found, -torch.inf)


def optimum(problem, active):
    """
    Solve the quadratic programme whose active constraints are known, by its KKT equations.

    :returns: F, the commands, and the multipliers dF / dg of all constraints.
    """
    zero = torch.zeros(HORIZON, 1).double()
    curve = torch.autograd.functional.hessian(
        lambda a: total_energy(START, a, problem), zero).reshape(HORIZON, HORIZON)
    slope = torch.autograd.functional.jacobian(
        lambda a: total_energy(START, a, problem), zero).flatten()
    rows = torch.autograd.functional.jacobian(
        lambda a: measured(a, problem)[active], zero).flatten(1)
    edge = measured(zero, problem)[active]
    kkt = torch.cat([torch.cat([curve, rows.T], dim=1),
                     torch.cat([rows, rows.new_zeros(len(rows), len(rows))], dim=1)])
    solved = torch.linalg.solve(kkt, torch.cat([-slope, -edge]))
    actions = solved[:HORIZON, None]
    multipliers = torch.zeros(active.shape).double()
    multipliers[active] = solved[HORIZON:]
    return float(total_energy(START, actions, problem)), actions, multipliers


@cache
def known_optimum(discount=1.0):
    """Which constraints are active is a guess that the KKT conditions then prove."""
    problem = replace(BOUND, discount=discount)
    active = plan(MAKERS['ddp'], problem).multipliers > 1e-3
    energy, actions, multipliers = optimum(problem, active)
    assert float(measured(actions, problem).max()) < 1e-9  # all are kept
    assert float(multipliers.min()) >= 0.0  # and none would rather be left
    assert int(active.sum()) >= 4 and active.any(dim=0).tolist() == [True] * 3
    return energy, actions, multipliers


@pytest.mark.parametrize('name', MAKERS)
def test_every_planner_comes_to_the_known_optimum(name):
    best, actions, _ = known_optimum()
    free = plan(MAKERS['ddp'], FREE).energy
    settings = TIGHT if GAPS[name] < 1e-3 else ConstraintSettings()
    found = plan(MAKERS[name], settings=settings)
    assert found.energy - best <= GAPS[name] * (best - free)
    assert float(measured(found.actions, BOUND).max()) <= 2.0 * settings.tolerance
    assert found.feasible and found.violated == '' and found.violation == 0.0
    assert found.states.shape == (HORIZON + 1, 2) and found.iterations <= 200
    assert float(found.multipliers.min()) >= 0.0
    if GAPS[name] < 1e-3:
        torch.testing.assert_close(found.actions, actions, rtol=0.0, atol=1e-3)
        assert found.iterations < 200  # it knew when to stop
        assert (found.multipliers.sum(dim=0) > 0.0).all()  # each constraint is felt somewhere


@pytest.mark.parametrize('discount', [1.0, 0.9])
@pytest.mark.parametrize('name', ['ddp', 'hybrid', 'adjoint'])
def test_multipliers_are_the_sensitivities_and_zero_where_there_is_slack(name, discount):
    problem = replace(BOUND, discount=discount)
    _, _, multipliers = known_optimum(discount)
    found = plan(MAKERS[name], problem)
    powers = discount ** torch.arange(HORIZON + 1).double().unsqueeze(-1)
    assert float(found.multipliers.min()) >= 0.0
    torch.testing.assert_close(powers * found.multipliers, multipliers, rtol=0.02, atol=0.005)
    slack = measured(found.actions, problem) < -1e-4
    assert float(found.multipliers[slack].max()) == 0.0


def test_what_a_limit_costs_is_the_slope_of_the_optimum():
    active = known_optimum()[2] > 0.0
    step = 1e-4
    more, less = (optimum(replace(BOUND, constraints=within(LEAST_SPEED + h)), active)[0]
                  for h in (step, -step))
    found = plan(MAKERS['ddp'])
    # A higher least speed asks for more: the value rises by lambda per unit of 1 m/s.
    assert float(found.multipliers[:, 0].sum()) == pytest.approx(
        (more - less) / (2 * step), rel=1e-2)


def test_the_first_change_is_from_the_command_sent_last():
    start = torch.zeros(2).double()
    for sent in (6.0, -9.0):
        problem = replace(BOUND, previous=torch.tensor([sent]).double())
        found = plan(MAKERS['ddp'], problem, start=start)
        assert float(found.actions[0]) == pytest.approx(sent - 4.0 * (1 if sent > 0 else -1),
                                                        abs=1e-3)
    unknown = replace(BOUND, previous=None)
    assert abs(float(plan(MAKERS['ddp'], unknown).actions[0])) == pytest.approx(4.0, abs=1e-3)
    warm = replace(plan(MAKERS['ddp']), actions=torch.full((HORIZON, 1), -7.0).double())
    found = plan(MAKERS['ddp'], unknown, warm=warm, start=start)
    assert float(found.actions[0]) == pytest.approx(-3.0, abs=1e-3)


PLANE = Layout(
    robot='plane', positions=('x', 'y'), actions=('fx', 'fy'), period_s=0.2, delay_ticks=0,
    angle=(False,) * 2, invariant=(False,) * 2, mirror_positions=(1.0, 1.0),
    mirror_actions=(1.0, 1.0), action_low=(-3.0, -3.0), action_high=(3.0, 3.0),
    noise_std=(0.01,) * 4)


@pytest.mark.parametrize('name', ['ddp', 'hybrid', 'adjoint', 'icem'])
def test_a_point_mass_goes_round_what_it_would_go_through(name):
    one, dt = torch.eye(2).double(), PLANE.period_s
    mass = LinearDynamics(torch.kron(torch.tensor([[1.0, dt], [0.0, 1.0]]).double(), one),
                          torch.kron(torch.tensor([[0.5 * dt ** 2], [dt]]).double(), one))
    cost = TaskCost(PLANE, CostSpec('reach', 1.0, (
        TermSpec('x', 'quadratic', 'x', 1.0, goal=1.0), TermSpec('y', 'quadratic', 'y', 1.0),
        *(TermSpec(f, 'quadratic', f, 0.05) for f in ('fx', 'fy', 'x/rate', 'y/rate'))))).double()
    post = TaskConstraints(PLANE, (
        ConstraintSpec('post', 'keep_out', ('x', 'y'), centre=(0.0, 0.0), radius=0.4),))
    start = torch.tensor([-1.0, 0.02, 0.0, 0.0]).double()
    through, around = (
        plan(MAKERS[name], Problem(mass, cost, None, 1.0, constraints=given), start=start,
             robot=PLANE, settings=ConstraintSettings()) for given in (None, post))
    assert float(through.states[:, :2].norm(dim=1).min()) < 0.2
    assert around.feasible
    assert float(around.states[:, :2].norm(dim=1).min()) >= 0.4 * (1 - 1e-3)
    assert float(around.states[-1, 0]) > 0.6  # it arrives all the same


@pytest.mark.parametrize('name', MAKERS)
def test_what_excludes_each_other_gives_the_least_violating_plan_and_says_so(name):
    both = TaskConstraints(ROBOT, (ConstraintSpec('fast', 'limit', ('x/rate',), low=1.0),
                                   ConstraintSpec('back', 'limit', ('x/rate',), high=-1.0)))
    found = plan(MAKERS[name], replace(FREE, constraints=both), settings=ConstraintSettings())
    # Half way between the two, each is missed by 1 m/s.
    torch.testing.assert_close(found.states[1:, 1], torch.zeros(HORIZON).double(), rtol=0.0,
                               atol=MISSES[name])
    assert not found.feasible
    assert found.violation == pytest.approx(1.0, abs=MISSES[name])
    assert found.violated in both.names
    assert torch.isfinite(found.actions).all() and torch.isfinite(found.multipliers).all()
    assert float(found.multipliers.min()) >= 0.0
    if MISSES[name] < 0.05:
        assert found.iterations < 200  # it knew when to give up


@pytest.mark.parametrize('name', MAKERS)
def test_what_the_limits_keep_out_of_reach_is_missed_by_as_little_as_they_allow(name):
    near = TaskConstraints(ROBOT, (ConstraintSpec('near', 'limit', ('x',), high=0.5),))
    found = plan(MAKERS[name], replace(FREE, constraints=near), settings=ConstraintSettings(),
                 iterations=60)
    # From x = 1 at 0.5 m/s; one period of 0.125 s later, with a push of -10: 0.984375.
    assert found.violated == 'near.high'
    assert found.violation == pytest.approx(0.484375, abs=0.5 * MISSES[name])
    assert float(found.actions.min()) >= -10.0


@pytest.mark.parametrize('name', MAKERS)
def test_without_constraints_the_plan_is_the_same_to_the_last_bit(name):
    generator = torch.Generator().manual_seed(1)
    alone = MAKERS[name](ROBOT).plan(START, FREE, None, Budget(3), generator)
    inside = plan(MAKERS[name], FREE, iterations=3, seed=1)
    assert torch.equal(alone.actions, inside.actions)
    assert torch.equal(alone.states, inside.states)
    assert (alone.energy, alone.iterations) == (inside.energy, inside.iterations)
    assert inside.multipliers is None and inside.feasible
    assert isinstance(ConstrainedPlanner(ROBOT, HORIZON, MAKERS[name]), Planner)


@pytest.mark.parametrize('name', ['ddp', 'hybrid', 'adjoint'])
def test_warm_multipliers_need_fewer_iterations_than_cold_ones(name):
    last = plan(MAKERS[name])
    problem = replace(BOUND, previous=last.actions[0])
    warm = plan(MAKERS[name], problem, warm=last, start=last.states[1])
    cold = plan(MAKERS[name], problem, warm=replace(last, multipliers=None),
                start=last.states[1])
    assert warm.iterations < cold.iterations
    assert warm.energy == pytest.approx(cold.energy, rel=1e-5)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize(('iterations', 'costs', 'first', 'later'), [
    (3, (34.0, 42.0), 2.0, 0.01), (30, (39.06, 39.5), 0.02, 2e-3)])
def test_a_moving_robot_keeps_to_its_constraints(iterations, costs, first, later, seed):
    planner, total = ConstrainedPlanner(ROBOT, HORIZON, MAKERS['hybrid']), 0.0
    state, sent, warm, worst = 2.0 * START, BOUND.previous, None, []
    for _ in range(24):
        warm = planner.plan(state, replace(BOUND, previous=sent), warm, Budget(iterations),
                            torch.Generator().manual_seed(seed))
        total += float(QUADRATIC.stage(state, warm.actions[0]))
        state = LINEAR.step(state[None], warm.actions[0])[0]
        worst.append(max(LEAST_SPEED - float(state[1]),
                         float((warm.actions[0] - sent).abs()) - MOST_CHANGE))
        sent = warm.actions[0]
    # Three refinements do not suffice from a cold start; the next ticks make up for it.
    assert max(worst) < first and max(worst[6:]) < later
    assert costs[0] < total < costs[1] and float(state.norm()) < 0.2


def test_swings_the_known_cart_pole_up_between_the_ends_of_a_short_rail():
    # Left alone it uses 0.45 m of rail, and changes the force by up to 370 N/s.
    cost = TaskCost(CARTPOLE, CostSpec('swing', 0.98, (
        TermSpec('upright', 'angle', 'pole.angle', 1.0, goal=pi),
        TermSpec('centre', 'quadratic', 'cart.x', 0.5),
        TermSpec('effort', 'quadratic', 'cart.force', 0.0005)))).double()
    bounds = TaskConstraints(CARTPOLE, (
        ConstraintSpec('rail', 'limit', ('cart.x',), low=-0.35, high=0.35),
        ConstraintSpec('slew', 'rate', ('cart.force',), limit=150.0)))
    planner = ConstrainedPlanner(CARTPOLE, 20, lambda robot: HybridPlanner(
        robot, PlannerSettings(horizon=20)))
    state, sent, warm = torch.tensor([0.0, 0.01, 0.0, 0.0]).double(), torch.zeros(1).double(), None
    draw, upright, reached, changes = torch.Generator().manual_seed(0), [], [], []
    for _ in range(40):
        problem = Problem(CartPole(), cost, None, 0.98, constraints=bounds, previous=sent)
        warm = planner.plan(state, problem, warm, Budget(3), draw)
        changes.append(float((warm.actions[0] - sent).abs()) / CARTPOLE.period_s)
        sent = warm.actions[0]
        state = CartPole().step(state[None, None], warm.actions[:1])[0, 0]
        upright.append(abs(float(state[1] % (2 * pi)) - pi) < 0.2)
        reached.append(abs(float(state[0])))
    assert all(upright[25:])
    assert max(reached) < 0.355 and max(changes) < 1.05 * 150.0


def test_time_is_kept_and_what_is_left_is_reported():
    planner = ConstrainedPlanner(ROBOT, HORIZON, MAKERS['ddp'], TIGHT)
    late = planner.plan(3.0 * START, BOUND, None, Budget(99, lambda: 0.0), torch.Generator())
    assert late.iterations == 1 and late.multipliers is not None
    before = torch.cat([BOUND.previous.unsqueeze(0), late.actions])
    left = BOUND.constraints.values(late.states[1:], late.actions, before[:-1]).max()
    assert late.violation == pytest.approx(float(left) * (1.0 if 'speed' in late.violated
                                                          else 40.0))
    assert not late.feasible


def test_the_carried_robot_has_one_name_for_each_coordinate():
    carried = CarriedLayout(**vars(ROBOT))
    assert carried.states == ('x', 'x/rate', 'push/last', 'time')
    assert carried.state_size == 4 and carried.action_size == 1
