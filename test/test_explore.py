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

"""Exploration goes on where it left off, within the limits."""

from dataclasses import replace

from problems import LINEAR, QUADRATIC, START
import pytest
import torch
from toys import MASS

from hlai_control.actor.explore import Explorer
from hlai_control.actor.within import reachable
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.constraints import TaskConstraints
from hlai_control.protocols import Planner, Problem
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget


def test_exploration_goes_on_where_it_left_off_within_limits():
    explorer = Explorer(MASS, PlannerSettings(horizon=12))
    assert isinstance(explorer, Planner)
    draw, warm, sent = torch.Generator().manual_seed(0), None, []
    for _ in range(200):
        plan = explorer.plan(START, Problem(LINEAR, QUADRATIC, None, 1.0), warm, Budget(1), draw)
        if warm is not None:
            assert torch.equal(plan.actions[:-1], warm.actions[1:])
        warm = plan
        sent.append(float(plan.actions[0]))
    assert min(sent) == -1.0
    assert max(sent) == 2.0
    assert abs(sum(sent) / 200 - 0.5) < 0.4  # around the middle of the limits


# 5 per second are 0.5 in a period of 0.1 s; pushes are limited to -1 .. 2.
SLEW = ConstraintSpec('slew', 'rate', ('push',), limit=5.0)
PUSH = ConstraintSpec('push', 'limit', ('push',), high=1.25)
SPEED = ConstraintSpec('speed', 'limit', ('x/rate',), high=-9.0)


def explored(specs, ticks=60, seed=0):
    """Send the first command of each plan; the guard halves the tenth."""
    explorer = Explorer(MASS, PlannerSettings(horizon=6))
    problem = Problem(LINEAR, QUADRATIC, None, 1.0,
                      constraints=TaskConstraints(MASS, specs) if specs else None)
    draw, warm = torch.Generator().manual_seed(seed), None
    sent = [torch.tensor([-1.0]).double()]
    for tick in range(ticks):
        warm = explorer.plan(START, replace(problem, previous=sent[-1]), warm, Budget(1), draw)
        sent.append(0.5 * warm.actions[0] if tick == 10 else warm.actions[0])
    return torch.stack(sent)


def test_blind_exploration_keeps_to_constraints_on_commands():
    sent = explored((SLEW, PUSH, SPEED))
    asked = torch.cat([sent[:11], sent[12:]])  # but for what the guard made of one
    changes = sent.diff(dim=0).abs()
    changes[10] = 0.0
    assert float(changes.max()) <= 0.5 + 1e-6 and float(changes.max()) > 0.4
    assert float(asked.max()) <= 1.25 + 1e-6 and float(asked.min()) >= -1.0
    assert float(sent.std()) > 0.3  # it moves all the same
    free = explored(())
    assert float(free.diff(dim=0).abs().max()) > 1.0


def test_constraints_on_states_alone_change_nothing_as_long_as_there_is_no_model():
    assert torch.equal(explored((SPEED,)), explored(()))


def test_each_actuator_goes_as_far_as_it_may_on_its_own():
    layout = load_robot('arm7').layout
    size, first = layout.action_size, layout.actions[0]
    slow = TaskConstraints(layout, (ConstraintSpec('slow', 'rate', (first,),
                                                   limit=1.0 / layout.period_s),))
    draw = torch.Generator().manual_seed(1)
    wanted = 3.0 * torch.randn(20, size, generator=draw).double()
    start, last = torch.zeros(layout.state_size).double(), torch.zeros(size).double()
    given = reachable(wanted, last, start, slow)
    torch.testing.assert_close(given[:, 1:], wanted[:, 1:])
    assert float(torch.cat([last[None], given]).diff(dim=0)[:, 0].abs().max()) <= 1.0 + 1e-6
    assert reachable(wanted, last, start, None) is wanted


def test_regions_of_two_actuators_are_kept_by_both_together():
    layout = load_robot('arm7').layout
    hole = TaskConstraints(layout, (ConstraintSpec(
        'hole', 'keep_out', layout.actions[:2], centre=(2.0, 2.0), radius=1.0),))
    start, wanted = torch.zeros(layout.state_size).double(), torch.zeros(1, layout.action_size)
    wanted[0, :2] = 2.0
    given = reachable(wanted.double(), 0.0 * wanted[0].double(), start, hole)
    distance = float((given[0, :2] - 2.0).norm())
    assert 1.0 - 1e-6 <= distance <= 1.1  # on the way from (0, 0) it stops before the region


def test_a_constraint_that_is_not_a_number_stops_the_way_before_it():
    class Broken:
        names, units, of_state = ('broken',), (1.0,), (False,)

        def values(self, state, action, previous):
            return torch.where(action > 0.5, torch.nan, -1.0)

    given = reachable(torch.tensor([[2.0]]), torch.tensor([0.0]), START.float(), Broken())
    assert float(given) == pytest.approx(0.5, abs=2.0 / 64)
