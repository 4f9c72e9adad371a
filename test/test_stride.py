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

"""Planning steps that last several control periods."""

from dataclasses import replace

from problems import random_ensemble
import pytest
import torch
from toys import CARTPOLE

from hlai_control.actor.stride import moved, unshifted
from hlai_control.cost.spec import CostSpec, strided, TermSpec
from hlai_control.settings import WorldModelSettings
from hlai_control.types import generator, Plan
from hlai_control.world_model.ensemble import EnsembleDynamics


def test_what_is_unshifted_and_then_moved_on_is_as_before():
    plan = Plan(actions=torch.randn(5, 1), states=torch.randn(6, 4), energy=1.0,
                anticipated=0.0, iterations=1, rejected=0, gains=torch.randn(5, 1, 4))
    back = unshifted(plan)
    assert torch.equal(back.actions[1:], plan.actions)
    assert torch.equal(back.states[1:], plan.states)
    assert torch.equal(back.gains[1:], plan.gains)
    assert unshifted(replace(plan, gains=None)).gains is None


def test_ticks_without_a_plan_move_the_last_one_on_all_the_same():
    plan = Plan(actions=torch.randn(5, 1), states=torch.randn(6, 4), energy=1.0,
                anticipated=0.0, iterations=1, rejected=0, gains=torch.randn(5, 1, 4),
                multipliers=torch.randn(6, 2), elites=torch.randn(3, 5, 1))
    assert moved(plan, 1) is plan  # the planner moves it on by one
    assert torch.equal(moved(plan, 0).actions[1:], plan.actions)
    late = moved(plan, 3)
    assert torch.equal(late.actions, plan.actions[2:])
    assert torch.equal(late.states, plan.states[2:])
    assert torch.equal(late.gains, plan.gains[2:])
    assert torch.equal(late.multipliers, plan.multipliers[2:])
    assert torch.equal(late.elites, plan.elites[:, 2:])
    # However late, there is something to begin with.
    assert torch.equal(moved(plan, 99).actions, plan.actions[-1:])


def test_a_long_step_costs_what_its_control_periods_cost():
    spec = CostSpec('t', 0.9, (TermSpec('x', 'quadratic', 'cart.x', 2.0, goal=1.0),))
    long = strided(spec, 3)
    assert long.discount == pytest.approx(0.729)
    assert long.terms == (replace(spec.terms[0], weight=6.0),)
    assert strided(spec, 1) is spec


def test_a_long_step_comes_to_where_short_steps_come_to():
    """The same accelerations over another period: what differs is the integrator's error."""
    fine = random_ensemble().float()
    gaps = []
    for stride in (2, 4):
        layout = replace(CARTPOLE, period_s=CARTPOLE.period_s / 100.0)
        short, long = (EnsembleDynamics(
            replace(layout, period_s=count * layout.period_s),
            WorldModelSettings(members=fine.members, hidden=8), generator(0, 'test'))
            for count in (1, stride))
        tensors = {name: tensor.float() for name, tensor in fine.export().items()}
        short.load(tensors)
        long.load(tensors)
        short, long = short.double(), long.double()
        state = torch.tensor([0.1, 0.7, 0.5, -2.0]).double().expand(fine.members, 1, -1)
        action = torch.tensor([[3.0]]).double()
        ahead = state
        for _ in range(stride):
            ahead = short.step(ahead, action)
        gaps.append(float((ahead - long.step(state, action)).abs().max()))
    # A midpoint rule: the error of one step is of third order in its length.
    assert gaps[1] < 1e-4
    assert 5.0 < gaps[1] / gaps[0] < 16.0
