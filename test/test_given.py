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

"""What planners are given is checked before anything is computed."""

from dataclasses import replace

from problems import LINEAR, QUADRATIC, START
import pytest
import torch
from toys import MASS

from hlai_control.actor.adjoint import AdjointPlanner
from hlai_control.actor.captured import CapturedPlanner
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.explore import Explorer
from hlai_control.actor.given import check, shifted
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.icem import IcemPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.errors import ShapeError
from hlai_control.protocols import Problem
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget, Plan

PROBLEM = Problem(LINEAR, QUADRATIC, None, 1.0)
WARM = Plan(torch.zeros(5, 1), torch.zeros(6, 2), 0.0, 0.0, 1, 0, gains=torch.zeros(5, 1, 2),
            elites=torch.zeros(3, 5, 1))
DRAW = torch.Generator()
HERE = PlannerSettings(horizon=3, candidates=8, elites=4)


def test_what_fits_passes():
    for warm in (None, WARM):
        check(MASS, START, PROBLEM, warm, DRAW)
        found = IcemPlanner(MASS, HERE).plan(START, PROBLEM, warm, Budget(1), DRAW)
        assert found.actions.shape == (3, 1) and found.energy < torch.inf


@pytest.mark.parametrize('start', [torch.zeros(3), torch.zeros(1, 2), torch.zeros(()),
                                   torch.zeros(2, dtype=torch.long)])
def test_a_start_of_other_axes_is_refused_by_name(start):
    with pytest.raises(ShapeError, match=r'start has shape .*\[S\] = \(2,\).* mass'):
        check(MASS, start, PROBLEM, None, DRAW)


@pytest.mark.parametrize(('part', 'value', 'axes'), [
    ('actions', torch.zeros(5, 2), r'warm.actions .* \[T, A\] = \(any, 1\)'),
    ('actions', torch.zeros(0, 1), r'warm.actions .* \[T, A\]'),
    ('states', torch.zeros(6, 4), r'warm.states .* \[T \+ 1, S\] = \(any, 2\)'),
    ('gains', torch.zeros(5, 1, 4), r'warm.gains .* \[T, A, S\]'),
    ('elites', torch.zeros(5, 1), r'warm.elites .* \[N, T, A\]')])
def test_a_plan_of_another_robot_is_refused_by_name(part, value, axes):
    with pytest.raises(ShapeError, match=axes):
        check(MASS, START, PROBLEM, replace(WARM, **{part: value}), DRAW)


def test_nothing_is_moved_between_devices_in_silence():
    away = START.to('meta')
    with pytest.raises(ShapeError, match=r'dynamics is on device cpu, start \[S\] on meta'):
        check(MASS, away, PROBLEM, None, DRAW)
    with pytest.raises(ShapeError, match='warm is on device cpu'):
        check(MASS, away, PROBLEM, WARM, DRAW)


@pytest.mark.parametrize('planner', [
    AdjointPlanner(MASS, 3), CapturedPlanner(CemPlanner(MASS, HERE)), CemPlanner(MASS, HERE),
    DdpPlanner(MASS, 3), Explorer(MASS, HERE), HybridPlanner(MASS, HERE),
    IcemPlanner(MASS, HERE), MppiPlanner(MASS, HERE)], ids=lambda one: type(one).__name__)
def test_every_planner_asks(planner):
    with pytest.raises(ShapeError, match=r'start has shape \(4,\)'):
        planner.plan(torch.zeros(4), PROBLEM, None, Budget(1), DRAW)
    with pytest.raises(ShapeError, match='dynamics is on device cpu'):
        planner.plan(START.to('meta'), PROBLEM, None, Budget(1), DRAW)
    found = planner.plan(START, PROBLEM, None, Budget(1), DRAW)
    with pytest.raises(ShapeError, match=r'warm.actions .* \[T, A\]'):
        planner.plan(START, PROBLEM, replace(found, actions=found.actions.expand(-1, 2)),
                     Budget(1), DRAW)


def test_shifting_repeats_the_last_command():
    actions = torch.tensor([[1.0], [2.0], [3.0]])
    assert shifted(actions, 4).flatten().tolist() == [2.0, 3.0, 3.0, 3.0]
    assert shifted(actions, 1).flatten().tolist() == [2.0]
    assert shifted(actions[:1], 2).flatten().tolist() == [1.0, 1.0]
    both = torch.stack([actions, -actions])
    assert torch.equal(shifted(both, 3), torch.stack([shifted(actions, 3), -shifted(actions, 3)]))
