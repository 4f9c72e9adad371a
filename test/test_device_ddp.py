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

"""Second-order planners on a device: the iterates of those on the CPU, and no waiting."""

from copy import deepcopy
from dataclasses import replace

from devices import OnDeviceOnly
import numpy as np
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

from hlai_control.actor.captured import CapturedPlanner
from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.device_ddp import DeviceDdpPlanner
from hlai_control.actor.device_hybrid import DeviceHybridPlanner
from hlai_control.actor.device_riccati import device_box_qp, device_projected, solve
from hlai_control.actor.feedback import box_qp
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.objective import projected
from hlai_control.critic.value import ValueNetwork
from hlai_control.errors import PlanError, SettingsError
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import (
    CriticSettings,
    DdpSettings,
    HybridSettings,
    PlannerSettings,
    RiskSettings,
)
from hlai_control.types import Budget, generator, Plan

HANGING = torch.tensor([0.2, 0.3, 0.0, 0.0]).double()
DRAW = torch.Generator()


def test_linear_quadratic_problem_in_one_iteration():
    planner = DeviceDdpPlanner(WIDE, HORIZON)
    assert isinstance(planner, Planner)
    problem = Problem(LINEAR, QUADRATIC, LastStage(), 1.0)
    found = planner.plan(START, problem, None, Budget(1), DRAW)
    best, gains = lqr()
    assert found.energy == pytest.approx(best, rel=1e-10)
    torch.testing.assert_close(found.gains, torch.stack(gains), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('make', [CartPole, random_ensemble])
@pytest.mark.parametrize('critic', [None, LastStage()])
@pytest.mark.parametrize('iterations', [1, 3, 8])
def test_its_iterates_are_those_on_the_cpu(make, critic, iterations):
    problem = Problem(make(), SWING, critic, 0.98)
    device, cpu = DeviceDdpPlanner(CARTPOLE, 10), DdpPlanner(CARTPOLE, 10)
    warm = None
    for state in (HANGING, 0.9 * HANGING):
        one = device.plan(state, problem, warm, Budget(iterations), DRAW)
        two = cpu.plan(state, problem, warm, Budget(iterations), DRAW)
        assert one.energy == pytest.approx(two.energy, rel=1e-9)
        torch.testing.assert_close(one.actions, two.actions, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(one.gains, two.gains, rtol=1e-7, atol=1e-7)
        warm = two


def test_the_hybrid_refines_the_same_proposal():
    proposing = HybridSettings(samples=32, cold_samples=32, starts=1)
    settings = PlannerSettings(horizon=10)
    problem = Problem(CartPole(), SWING, None, 0.98)
    device, cpu = (kind(CARTPOLE, settings, proposing)
                   for kind in (DeviceHybridPlanner, HybridPlanner))
    # Without a previous plan, only the one for the CPU looks into several valleys.
    cold = device.plan(HANGING, problem, None, Budget(4), torch.Generator().manual_seed(0))
    warm = cold
    for seed, state in enumerate((HANGING, 0.9 * HANGING, -0.8 * HANGING)):
        one, two = (planner.plan(state, problem, warm, Budget(4),
                                 torch.Generator().manual_seed(seed)) for planner in (device, cpu))
        assert one.energy == pytest.approx(two.energy, rel=1e-9)
        torch.testing.assert_close(one.actions, two.actions, rtol=1e-9, atol=1e-9)
        warm = two
    alone = DeviceDdpPlanner(CARTPOLE, 10).plan(HANGING, problem, None, Budget(4), DRAW)
    assert cold.energy < alone.energy


def test_active_limits_are_kept():
    narrow = replace(MASS, action_low=(-4.0,), action_high=(2.0,))
    problem = Problem(LINEAR, QUADRATIC, LastStage(), 0.9)
    found = DeviceDdpPlanner(narrow, HORIZON).plan(3.0 * START, problem, None, Budget(20), DRAW)
    known = DdpPlanner(narrow, HORIZON).plan(3.0 * START, problem, None, Budget(20), DRAW)
    assert float(found.actions.min()) == -4.0
    assert float(found.actions.max()) == 2.0
    torch.testing.assert_close(found.actions, known.actions, rtol=1e-9, atol=1e-9)
    assert float(found.gains[0].abs().max()) == 0.0


def test_box_constrained_programmes_are_solved():
    draw = np.random.default_rng(0)
    for size in (1, 2, 3, 7):
        for _ in range(20):
            root = draw.normal(size=(size, size))
            hessian, gradient = root @ root.T + 0.1 * np.eye(size), 3.0 * draw.normal(size=size)
            low, high = -draw.random(size), draw.random(size)
            x, free, positive = device_box_qp(*(torch.from_numpy(part) for part in (
                hessian, gradient, low, high)))
            known = box_qp(hessian, gradient, low, high)
            np.testing.assert_allclose(x.numpy(), known[0], rtol=1e-9, atol=1e-9)
            assert free.bool().tolist() == known[1].tolist()
            assert bool(positive)
    indefinite = torch.tensor([[1.0, 2.0], [2.0, 1.0]]).double()
    assert not bool(solve(indefinite, torch.ones(2, 1).double())[1])


def test_projection_is_the_nearest_positive_semi_definite_matrix():
    draw = np.random.default_rng(1)
    root = draw.normal(size=(30, 5, 5))
    matrices = root + root.swapaxes(1, 2)
    matrices[0] = 0.0
    matrices[1] = np.diag([3.0, -2.0, 0.0, 1e-6, -1e-6])
    found = device_projected(torch.from_numpy(matrices)).numpy()
    np.testing.assert_allclose(found, projected(matrices), rtol=1e-12, atol=1e-13)


def test_nothing_finite_is_an_error_and_single_scenarios_are_refused():
    problem = Problem(CartPole(), SWING, None, 0.98)
    with pytest.raises(PlanError, match='none of 3 candidates'):
        DeviceDdpPlanner(CARTPOLE, 8).plan(HANGING * torch.nan, problem, None, Budget(2), DRAW)
    with pytest.raises(SettingsError, match='mean of the members'):
        DeviceDdpPlanner(CARTPOLE, 8, DdpSettings(merge=False))
    with pytest.raises(SettingsError, match='another planner'):
        DeviceDdpPlanner(CARTPOLE, 8).plan(
            HANGING, replace(problem, risk=RiskSettings(tail=0.0)), None, Budget(2), DRAW)


EACH = pytest.mark.parametrize('planner', [
    DeviceDdpPlanner(CARTPOLE, 6), DeviceHybridPlanner(CARTPOLE, PlannerSettings(horizon=6))],
    ids=lambda one: type(one).__name__)


@EACH
def test_the_captured_plan_is_the_same(planner):
    problem = Problem(random_ensemble(), SWING, None, 0.98)
    one, two = (kind.plan(HANGING, problem, None, Budget(3), torch.Generator().manual_seed(3))
                for kind in (planner, CapturedPlanner(planner)))
    assert torch.equal(one.actions, two.actions)
    assert torch.equal(one.gains, two.gains)


@EACH
def test_a_whole_search_runs_on_shapes_alone(planner):
    critic = ValueNetwork(CARTPOLE, CriticSettings(), generator(0, 'critic')).double()
    problem = Problem(random_ensemble().to('meta'), deepcopy(SWING).to('meta'),
                      critic.to('meta'), 0.98)
    start, planner = HANGING.to('meta'), deepcopy(planner)
    warm = Plan(*(torch.empty(*shape, dtype=torch.float64, device='meta')
                  for shape in ((6, 1), (7, 4))), 0.0, 0.0, 1, 0,
                gains=torch.empty(6, 1, 4, dtype=torch.float64, device='meta'))
    for before in (None, warm):
        resumed = planner.resume(start, before)
        with OnDeviceOnly():
            found, done = planner.search(start, resumed, problem, Budget(2), DRAW)
        assert done == 2
        assert found.actions.shape == (6, 1)
        assert found.gains.shape == (6, 1, 4)
