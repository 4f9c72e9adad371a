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

"""Every planner says what refinement gained: the energy before it, and after each step of it."""

from dataclasses import replace

from problems import CartPole, LastStage, LINEAR, lqr, QUADRATIC, START, SWING, total_energy, WIDE
import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.constrained import ConstrainedPlanner
from hlai_control.actor.device_ddp import DeviceDdpPlanner
from hlai_control.actor.device_hybrid import DeviceHybridPlanner
from hlai_control.actor.explore import Explorer
from hlai_control.actor.given import shifted
from hlai_control.actor.planners import make_planner, PlanningSettings
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.constraints import TaskConstraints
from hlai_control.layout import Layout
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget

SWINGING = Problem(CartPole(), SWING, None, 0.98)
HANGING = torch.tensor([0.2, 0.3, 0.0, 0.0]).double()
SHARED = PlannerSettings(horizon=12, candidates=64, elites=8)
KINDS = ('hybrid', 'ddp', 'adjoint', 'mppi', 'icem', 'cem', 'device hybrid', 'device ddp')


def planner(kind: str, layout: Layout = CARTPOLE) -> Planner:
    if kind == 'device ddp':
        return DeviceDdpPlanner(layout, SHARED.horizon)
    if kind == 'device hybrid':
        return DeviceHybridPlanner(layout, SHARED)
    return make_planner(layout, PlanningSettings(planner=replace(SHARED, kind=kind)))


def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize('kind', KINDS)
def test_progress_begins_with_a_proposal_and_ends_with_the_plan(kind):
    first = planner(kind).plan(HANGING, SWINGING, None, Budget(2), random())
    for warm in (None, first):
        found = planner(kind).plan(0.9 * HANGING, SWINGING, warm, Budget(4), random())
        assert len(found.progress) == found.iterations + 1
        assert list(found.progress) == sorted(found.progress, reverse=True)
        assert found.progress[-1] == found.energy
        assert found.proposed == found.progress[0]
        assert found.gained == found.proposed - found.energy > 0.0


@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind != 'hybrid'])
def test_a_smaller_budget_goes_the_first_part_of_the_same_way(kind):
    # But for hybrid, which shares it among its starts, and the last mean of those that sample.
    whole = planner(kind).plan(HANGING, SWINGING, None, Budget(4), random()).progress
    part = planner(kind).plan(HANGING, SWINGING, None, Budget(2), random()).progress
    assert part[:2] == whole[:2]
    assert part[2] <= whole[2] if kind in ('mppi', 'icem', 'cem') else part[2] == whole[2]


@pytest.mark.parametrize('kind', KINDS)
def test_what_is_proposed_is_a_known_sequence(kind):
    still = planner(kind).plan(HANGING, SWINGING, None, Budget(1), random())
    nothing = float(total_energy(HANGING, torch.zeros(12, 1).double(), SWINGING))
    if 'hybrid' in kind:
        assert still.proposed < nothing
    else:
        assert still.proposed == pytest.approx(nothing, rel=1e-12)
    warm = replace(still, gains=None, elites=None)
    again = planner(kind).plan(HANGING, SWINGING, warm, Budget(1), random())
    moved = float(total_energy(HANGING, shifted(warm.actions, 12).clone(), SWINGING))
    if kind in ('mppi', 'icem', 'cem'):
        assert again.proposed == pytest.approx(moved, rel=1e-12)
    elif 'hybrid' in kind:
        assert again.proposed <= min(moved, nothing) * (1 + 1e-12)
    else:
        assert again.proposed == pytest.approx(min(moved, nothing), rel=1e-12)


def test_one_step_takes_a_quadratic_problem_to_its_optimum():
    problem = Problem(LINEAR, QUADRATIC, LastStage(), 1.0)
    found = planner('ddp', WIDE).plan(START, problem, None, Budget(1), random())
    nothing = float(total_energy(START, torch.zeros(12, 1).double(), problem))
    assert found.progress == pytest.approx((nothing, lqr()[0]), rel=1e-9)


def test_rounds_within_constraints_count_the_penalty():
    robot = replace(MASS, action_low=(-10.0,), action_high=(10.0,))
    bound = TaskConstraints(robot, (ConstraintSpec('speed', 'limit', ('x/rate',), low=-1.0),))
    problem = Problem(LINEAR, QUADRATIC, LastStage(), 1.0, constraints=bound)
    found = ConstrainedPlanner(robot, 12, lambda one: planner('ddp', one)).plan(
        START, problem, None, Budget(40), random())
    assert found.feasible
    assert list(found.progress) == sorted(found.progress, reverse=True)
    assert 0.0 <= found.gained < float('inf')


def test_who_refines_nothing_gains_nothing():
    found = Explorer(CARTPOLE, SHARED).plan(HANGING, SWINGING, None, Budget(1), random())
    assert (found.progress, found.proposed, found.gained) == ((), found.energy, 0.0)
