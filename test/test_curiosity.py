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

"""Curiosity: gain by hand, bounds, and every planner goes where there is something to learn."""

from dataclasses import replace
from math import log, nan

from problems import random_ensemble, SWING
import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.adjoint import AdjointPlanner, costates
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.curiosity import Curious, curious
from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.actor.objective import Objective
from hlai_control.actor.rollout import energy, roll_out
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.protocols import CostFunction, Problem
from hlai_control.settings import CuriositySettings, PlannerSettings
from hlai_control.types import Budget

STAY = TaskCost(MASS, CostSpec('stay', 1.0, (TermSpec('x', 'quadratic', 'x', 0.1),))).double()
HORIZON = 6
SETTINGS = PlannerSettings(horizon=HORIZON, candidates=256)
PLANNERS = {'adjoint': AdjointPlanner(MASS, HORIZON), 'ddp': DdpPlanner(MASS, HORIZON),
            'hybrid': HybridPlanner(MASS, SETTINGS), 'cem': CemPlanner(MASS, SETTINGS),
            'mppi': MppiPlanner(MASS, SETTINGS)}
HANGING = torch.tensor([0.2, 0.3, 0.0, 0.0]).double()


class Unsure:
    """Two members that disagree on the drift about x = 1.5, by 0.2 at most."""

    members, latent_size = 2, 2

    def step(self, state, action, z=None):
        x = state[..., :1]
        bump = 0.1 * torch.exp(-2.0 * (x - 1.5).square())
        side = state.new_tensor([1.0, -1.0]).reshape(2, *(1,) * action.dim())
        ahead = torch.cat([x + 0.3 * action + side * bump, state[..., 1:]], dim=-1)
        return ahead if z is None else ahead + 0.03 * z


class Sure(Unsure):
    """The same without the second member."""

    members = 1

    def step(self, state, action, z=None):
        return super().step(state.expand(2, *state.shape[1:]), action)[:1]


def states(*places):
    return torch.stack([torch.tensor([x, 0.0]).double() for x in places])


def test_gain_by_hand():
    cost = Curious(STAY, Unsure(), MASS, 2.0)
    # At the bump the members are 0.1 from their mean; noise 0.03, sensor 0.01.
    ratio = 0.1 ** 2 / (0.03 ** 2 + 0.01 ** 2)
    best = 0.5 * log(1.0 + ratio / (1.0 + ratio / 1e4))
    still = torch.zeros(2, 1).double()
    found = cost.gain(states(1.5, -9.0), still)
    assert found.tolist() == pytest.approx([best, 0.0])
    # 0.1 x^2 and 2 per nat of the most that two coordinates may gain, log(1 + 10^4) / 2 each.
    assert cost.stage(states(1.5, -9.0), still).tolist() == pytest.approx(
        [0.225 + 2.0 * (log(10001.0) - best), 8.1 + 2.0 * log(10001.0)])


def test_is_a_cost_like_any_other():
    cost = Curious(SWING, random_ensemble(), CARTPOLE, 0.5)
    assert isinstance(cost, CostFunction)
    assert cost.names == (*SWING.names, 'boredom')
    draw = torch.Generator().manual_seed(0)
    state = 10.0 ** torch.linspace(-3, 6, 50).double()[:, None] * torch.randn(
        50, 4, generator=draw).double()
    action = 10.0 * torch.randn(3, 50, 1, generator=draw).double()
    found = cost.terms(state.expand(3, -1, -1), action)
    assert found.shape == (3, 50, len(cost.names))
    assert float(found.min()) >= 0.0
    assert float(found[..., -1].max()) <= 0.5 * 4 * 0.5 * log(10001.0)
    torch.testing.assert_close(found.sum(dim=-1), cost.stage(state.expand(3, -1, -1), action))


def test_what_is_not_a_number_never_costs_a_finite_amount():
    cost = Curious(SWING, random_ensemble(), CARTPOLE, 0.5)
    for i in range(4):
        broken = HANGING.clone()
        broken[i] = nan
        assert cost.stage(broken, torch.zeros(1).double()).isnan()
    assert cost.stage(HANGING, torch.full((1,), nan).double()).isnan()

    class Broken(Unsure):
        def step(self, state, action, z=None):
            return super().step(state, action, z) / 0.0

    found = Curious(STAY, Broken(), MASS, 1.0).stage(states(1.0), torch.zeros(1, 1).double())
    assert not torch.isfinite(found).any()


def test_one_member_and_a_known_model_have_nothing_to_learn():
    cost = Curious(STAY, Sure(), MASS, 1.0)
    assert cost.gain(states(1.5, 0.0), torch.zeros(2, 1).double()).tolist() == [0.0, 0.0]


def test_sensors_that_measure_nothing_or_all_still_bound_the_gain():
    blind = replace(MASS, noise_std=(nan, 0.0))
    found = Curious(STAY, Unsure(), blind, 1.0).gain(states(1.5), torch.zeros(1, 1).double())
    assert 0.0 < float(found) < log(10001.0)


@pytest.mark.parametrize('name', PLANNERS)
def test_the_curious_go_where_there_is_something_to_learn(name):
    start = torch.tensor([0.4, 0.0]).double()

    def end(cost):
        problem = Problem(Unsure(), cost, None, 1.0)
        found = PLANNERS[name].plan(start, problem, None, Budget(30),
                                    torch.Generator().manual_seed(0))
        assert float(found.actions.min()) >= -1.0 and float(found.actions.max()) <= 2.0
        return float(found.states[-1, 0])

    assert end(STAY) == pytest.approx(0.0, abs=0.1)
    assert end(curious(STAY, Unsure(), MASS, CuriositySettings(weight=0.0))) == end(STAY)
    assert end(curious(STAY, Unsure(), MASS, CuriositySettings(weight=1.0))) == pytest.approx(
        1.5, abs=0.3)


def test_its_gradient_is_the_central_difference():
    dynamics = random_ensemble()
    problem = Problem(dynamics, Curious(SWING, dynamics, CARTPOLE, 0.5), None, 0.98)
    actions = 3.0 * torch.randn(8, 1, generator=torch.Generator().manual_seed(3)).double()
    found = costates(roll_out(HANGING, actions[None], dynamics)[:, 0], actions,
                     Objective(problem)).gradient
    for t in range(len(actions)):
        ends = []
        for side in (1e-5, -1e-5):
            moved = actions.clone()
            moved[t] += side
            ends.append(float(energy(roll_out(HANGING, moved[None], dynamics), moved[None],
                                     problem)))
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(float(found[t]), rel=1e-5, abs=1e-5)
