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

"""All sampling planners keep the same laws; none of them ever waits for the device."""

from copy import deepcopy
from dataclasses import replace

from devices import OnDeviceOnly
import numpy as np
from problems import CartPole, LastStage, LINEAR, lqr, QUADRATIC, random_ensemble, START, SWING
import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.icem import IcemPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.actor.rollout import energy, roll_out
from hlai_control.critic.value import ValueNetwork
from hlai_control.errors import PlanError
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import CriticSettings, PlannerSettings, RiskSettings
from hlai_control.types import Budget, generator, Plan

FREE = replace(MASS, action_low=(-12.0,), action_high=(12.0,))
LQ = Problem(LINEAR, QUADRATIC, LastStage(), 1.0)
SWINGING = Problem(CartPole(), SWING, None, 0.98)
HANGING = torch.tensor([0.2, 0.3, 0.0, 0.0]).double()
EACH = pytest.mark.parametrize('kind', [CemPlanner, IcemPlanner, MppiPlanner])


def settings(**changed) -> PlannerSettings:
    return PlannerSettings(**{'horizon': 12, 'candidates': 256, 'spread': 0.3, **changed})


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@EACH
@pytest.mark.parametrize('noise', ['coloured', 'spline'])
def test_comes_within_three_percent_of_the_linear_quadratic_optimum(kind, noise):
    planner = kind(FREE, settings(noise=noise, knots=8))
    assert isinstance(planner, Planner)
    found = planner.plan(START, LQ, None, Budget(40), random())
    assert lqr()[0] * (1 - 1e-12) <= found.energy <= 1.03 * lqr()[0]
    # What it says it expects is what the model makes of its actions.
    states = roll_out(START, found.actions.unsqueeze(0), LINEAR)
    torch.testing.assert_close(found.states, states[0, 0])
    assert found.anticipated == pytest.approx(float(LastStage().value(states[0, 0, -1])))
    assert found.energy == pytest.approx(float(energy(states, found.actions[None], LQ)))


@EACH
def test_twice_the_candidates_are_no_worse_on_the_mean(kind):
    # One-sided paired t-test over 20 seeds at the 1 % level: 2.54 with 19 degrees of freedom.
    energies = [torch.tensor([
        kind(FREE, settings(candidates=count, elites=count // 8)).plan(
            START, LQ, None, Budget(3), random(seed)).energy for seed in range(20)]).double()
        for count in (32, 64, 128, 256)]
    for few, many in zip(energies, energies[1:], strict=False):
        worse = many - few
        assert float(worse.mean() / (worse.std() / 20 ** 0.5)) < 2.54
    assert float(energies[-1].mean()) < float(energies[0].mean())


@EACH
def test_limits_are_never_exceeded_and_are_used(kind):
    planner = kind(MASS, settings(spread=1.0))
    for seed in range(5):
        found = planner.plan(1e3 * START, Problem(LINEAR, QUADRATIC, None, 1.0), None,
                             Budget(4), random(seed))
        assert float(found.actions.min()) >= -1.0
        assert float(found.actions.min()) < -0.99
        assert float(found.actions.max()) <= 2.0


@EACH
def test_same_seed_same_plan_and_the_budget_is_kept(kind):
    planner = kind(CARTPOLE, settings())
    one, two = (planner.plan(HANGING, SWINGING, None, Budget(3), random(4)) for _ in range(2))
    assert torch.equal(one.actions, two.actions)
    assert one.iterations == 3
    late = planner.plan(HANGING, SWINGING, None, Budget(99, lambda: 0.0), random())
    assert late.iterations == 1  # there is always a first answer


class Forever:
    """V(s) = s' P s, the cost to go for ever: P of the algebraic Riccati equation."""

    def __init__(self):
        a, b = LINEAR.transition, LINEAR.control
        q, r = torch.diag(torch.tensor([1.0, 0.125])).double(), torch.tensor([[0.0078125]])
        self.p = q
        for _ in range(2000):
            self.gain = torch.linalg.solve(r + b.T @ self.p @ b, b.T @ self.p @ a)
            self.p = q + a.T @ self.p @ (a - b @ self.gain)

    def value(self, state):
        return (state @ self.p * state).sum(dim=-1)


@EACH
def test_a_shifted_warm_start_stays_optimal_on_a_time_invariant_problem(kind):
    forever, states, actions = Forever(), [START], []
    for _ in range(40):
        actions.append(-forever.gain @ states[-1])
        states.append(LINEAR.step(states[-1].expand(1, -1), actions[-1])[0])
    warm = Plan(torch.stack(actions), torch.stack(states), 0.0, 0.0, 1, 0)
    found = kind(FREE, settings(horizon=40)).plan(
        states[1], Problem(LINEAR, QUADRATIC, forever, 1.0), warm, Budget(1), random())
    # Only the command at the very end is new, when nothing is left to do.
    assert found.energy == pytest.approx(float(forever.value(states[1])), rel=1e-6)


def still(plan):
    """Undo in advance that a warm start is moved on by one tick."""
    return replace(plan, actions=torch.cat([plan.actions[:1], plan.actions]),
                   elites=plan.elites if plan.elites is None else torch.cat(
                       [plan.elites[:, :1], plan.elites], dim=1))


@EACH
def test_warm_start_and_iterations_only_help(kind):
    planner = kind(CARTPOLE, settings())
    energies, warm = [], None
    for seed in range(6):
        warm = planner.plan(HANGING, SWINGING, warm and still(warm), Budget(2), random(seed))
        energies.append(warm.energy)
    assert all(later <= earlier + 1e-9 for earlier, later in zip(energies, energies[1:],
                                                                 strict=False))
    assert energies[-1] < energies[0]


class Count:
    """1 per coordinate that is more than 0.1 from zero, in numpy: no slope, and no tensor."""

    names = ('count',)

    def stage(self, state, action):
        rows = state.numpy().reshape(-1, 2)
        found = [float(sum(abs(x) > 0.1 for x in row)) for row in rows]
        return torch.from_numpy(np.array(found)).reshape(state.shape[:-1])

    def terms(self, state, action):
        return self.stage(state, action).unsqueeze(-1)


@EACH
def test_a_black_box_cost_is_minimised(kind):
    planner = kind(FREE, settings(candidates=64, elites=8))
    found = planner.plan(START, Problem(LINEAR, Count(), None, 1.0), None, Budget(8), random())
    # Doing nothing costs 2 at each of 13 stages.
    assert found.energy < 0.8 * 26


class Cliff(CartPole):
    """Pushing to the right gives no number at all."""

    def step(self, state, action, z=None):
        return torch.where(action > 0.0, torch.nan, super().step(state, action))


@EACH
def test_candidates_that_are_not_finite_lose_and_are_counted(kind):
    # The middle of the limits is 0.5: the mean itself falls off the cliff.
    skew = replace(CARTPOLE, action_low=(-10.0,), action_high=(11.0,))
    white = settings(horizon=3, candidates=128, elites=16, colour=0.0)
    found = kind(skew, white).plan(
        HANGING, Problem(Cliff(), SWING, None, 0.98), None, Budget(4), random())
    assert torch.isfinite(found.states).all()
    assert torch.isfinite(found.actions).all()
    assert float(found.actions.max()) <= 0.0
    assert 100 < found.rejected < 4 * 128


@EACH
def test_nothing_finite_is_an_error_and_never_a_plan(kind):
    with pytest.raises(PlanError, match=r'none of \d+ candidates'):
        kind(CARTPOLE, settings()).plan(
            HANGING * torch.nan, SWINGING, None, Budget(2), random())


@EACH
@pytest.mark.parametrize('risk', [RiskSettings(), RiskSettings(latents=2, tail=0.5)])
def test_a_whole_search_runs_on_shapes_alone(kind, risk):
    critic = ValueNetwork(CARTPOLE, CriticSettings(), generator(0, 'critic')).double()
    problem = Problem(random_ensemble().to('meta'), deepcopy(SWING).to('meta'),
                      critic.to('meta'), 0.98, risk)
    planner, start = kind(CARTPOLE, settings(candidates=32, elites=8)), HANGING.to('meta')
    kept = torch.empty(3, 12, 1, dtype=torch.float64, device='meta')
    warm = Plan(kept[0], torch.empty(13, 4, dtype=torch.float64, device='meta'), 0.0, 0.0, 1, 0,
                elites=kept)
    for before in (None, warm):
        resumed = planner.resume(start, before)
        with OnDeviceOnly(), torch.inference_mode():
            found, done = planner.search(start, resumed, problem, Budget(3), random())
        assert done == 3
        assert found.actions.shape == (12, 1)
        assert found.states.shape == (13, 4)
        assert found.numbers.shape == (2 + 1 + 1 + 3,)
