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

"""The policy: within limits, mirrored, and led by true gradients to known optima."""

from dataclasses import replace

from problems import CartPole, LINEAR, QUADRATIC, random_ensemble, SWING, WIDE
import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.policy import PolicyNetwork
from hlai_control.actor.policy_learner import PolicyLearner
from hlai_control.actor.seeded import ReactivePlanner, SeededPlanner
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.constraints import TaskConstraints
from hlai_control.critic.value import ValueNetwork
from hlai_control.errors import PlanError
from hlai_control.protocols import PolicyFunction, Problem
from hlai_control.settings import CriticSettings, PolicySettings
from hlai_control.types import Budget, generator, Plan


def drawn(layout=CARTPOLE, hidden: int = 8) -> PolicyNetwork:
    """Make a policy with random weights."""
    policy = PolicyNetwork(layout, PolicySettings(hidden=hidden), generator(0, 'test'))
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.normal_(generator=draw)
    return policy.double()


def test_commands_are_within_the_limits_and_untrained_ones_in_the_middle():
    fresh = PolicyNetwork(MASS, PolicySettings(), generator(0, 'test'))
    assert isinstance(fresh, PolicyFunction)
    state = 100.0 * torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(0))
    assert (fresh.action(state) == 0.5).all()  # limits -1 .. 2
    found = drawn(MASS).action(state.double())
    assert found.shape == (3, 50, 1)
    assert (found >= -1.0).all() and (found <= 2.0).all()
    assert float(found.detach().std()) > 0.3
    assert torch.isnan(drawn(MASS).action(torch.full((2,), float('nan')).double())).all()


def test_a_mirrored_state_has_the_mirrored_command():
    policy = drawn()
    policy.features.scale.fill_(2.0)
    state = torch.randn(40, 4, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(policy.action(-state), -policy.action(state), rtol=0, atol=1e-12)
    assert float(policy.action(state).detach().abs().min()) > 0.0


def learner(layout=CARTPOLE, cost=SWING, discount: float = 0.98, **given) -> PolicyLearner:
    made = PolicyLearner(layout, cost, discount, PolicySettings(hidden=8, **given),
                         generator(0, 'test'))
    return made


def test_the_gradient_is_that_of_finite_differences():
    dynamics = random_ensemble()
    made = learner(imagined_steps=4, uncertainty=0.7)
    made.policy = drawn()
    value = ValueNetwork(CARTPOLE, CriticSettings(hidden=8), generator(0, 'value'))
    with torch.no_grad():
        value.network.weight.normal_(generator=torch.Generator().manual_seed(2))
        value.trust.fill_(1.0)
    value = value.double()
    start = torch.randn(6, 4, generator=torch.Generator().manual_seed(3)).double()
    made.objective(start, dynamics, value).sum().backward()
    step = 1e-6
    for parameter in made.policy.parameters():
        flat, slope = parameter.data.view(-1), parameter.grad.view(-1)
        for index in (0, len(flat) - 1):
            ends = []
            for sign in (1.0, -2.0, 1.0):
                flat[index] += sign * step
                ends.append(float(made.objective(start, dynamics, value).sum().detach()))
            found = (ends[0] - ends[1]) / (2.0 * step)
            assert found == pytest.approx(float(slope[index]), rel=1e-4, abs=1e-5)


class Curve:
    """V(s) = s' P s."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix

    def value(self, state: torch.Tensor) -> torch.Tensor:
        return ((state @ self.matrix) * state).sum(dim=-1)


def test_it_converges_to_the_gain_of_the_linear_quadratic_regulator():
    # Riccati iteration to its fixed point; x in 1 +- 1: the limits are 100 away.
    a, b = LINEAR.transition, LINEAR.control
    q, r = torch.diag(torch.tensor([1.0, 0.125])).double(), torch.tensor([[0.0078125]]).double()
    p, discount = q, 0.98
    for _ in range(2000):
        gain = torch.linalg.solve(r + discount * b.T @ p @ b, discount * b.T @ p @ a)
        p = q + discount * a.T @ p @ (a - b @ gain)
    made = PolicyLearner(WIDE, QUADRATIC, discount, PolicySettings(
        hidden=16, imagined_steps=6, learning_rate=1e-2), generator(0, 'test'))
    made.policy = made.policy.double()
    made._optimiser = torch.optim.Adam(made.policy.parameters(), lr=5e-3)
    draw = torch.Generator().manual_seed(5)
    for k in range(1500):
        if k == 1000:
            made._optimiser.param_groups[0]['lr'] = 5e-4
        start = 2.0 * torch.rand(64, 2, generator=draw, dtype=torch.float64) - 1.0
        made.update(start, LINEAR, Curve(p))
    tests = 2.0 * torch.rand(200, 2, generator=draw, dtype=torch.float64) - 1.0
    found = made.policy.action(tests).detach()
    fitted = torch.linalg.lstsq(tests, found).solution.T
    assert float((fitted + gain).norm() / gain.norm()) < 0.03
    # What it costs beyond the optimum, from there on, as a share of the optimum.
    with torch.no_grad():
        gap = made.objective(tests, LINEAR, Curve(p)) - Curve(p).value(tests)
    assert float(gap.mean()) >= -1e-9
    assert float(gap.mean() / Curve(p).value(tests).mean()) < 0.01


def test_what_the_members_disagree_on_is_charged_for():
    dynamics, made = random_ensemble(), learner(uncertainty=1.0)
    near = torch.zeros(1, 4).double()
    action = torch.zeros(1, 1).double()
    agreed = dynamics.step(near.expand(3, -1, -1), action).mean(dim=0).expand(3, -1, -1)
    assert float(made.doubt(agreed, action)) == pytest.approx(0.0, abs=1e-12)
    apart = agreed + torch.tensor([-1.0, 0.0, 1.0])[:, None, None].double()
    stages = SWING.stage(apart, action.expand(3, -1, -1))
    assert float(made.doubt(apart, action)) == pytest.approx(
        float(stages.std(correction=0)), rel=1e-2)
    # Fast, where rates count quadratically, the members have never been alike.
    fast = torch.tensor([[0.0, 0.0, 8.0, 8.0]]).double()
    value = Curve(torch.zeros(4, 4).double())
    made.policy = drawn()
    plain = learner(uncertainty=0.0)
    plain.policy = made.policy
    with torch.no_grad():
        charged, free = ((one.objective(torch.cat([near, fast]), dynamics, value))
                         for one in (made, plain))
    assert float(charged[1] - free[1]) > float(charged[0] - free[0]) >= 0.0


def test_imitation_follows_examples_and_equal_seeds_are_equal():
    draw = torch.Generator().manual_seed(6)
    state = torch.randn(128, 4, generator=draw)
    action = 5.0 * torch.sin(state[:, 1:2] + state[:, 3:4])  # odd, as the robot's mirror is
    losses = []
    for made in (learner(learning_rate=1e-2), learner(learning_rate=1e-2)):
        losses.append([made.imitate(state, action) for _ in range(300)])
    assert losses[0] == losses[1]
    assert losses[0][-1] < 0.05 * losses[0][0]


SWINGING = Problem(random_ensemble(), SWING, None, 0.98)


def test_reacting_is_one_call_and_refuses_what_is_not_finite():
    policy, start = drawn(), torch.tensor([0.1, 0.2, 0.3, 0.4]).double()
    plan = ReactivePlanner(policy, 1e-3).plan(start, SWINGING, None, Budget(1), torch.Generator())
    torch.testing.assert_close(plan.actions[0], policy.action(start).detach(), rtol=0, atol=0)
    assert plan.iterations == 0 and plan.states.shape == (2, 4)
    with pytest.raises(PlanError, match='hold the safe command'):
        ReactivePlanner(policy, 1e-3).plan(start * torch.nan, SWINGING, None, Budget(1),
                                           torch.Generator())
    blind = Problem(Unknowing(), SWING, None, 0.98)
    with pytest.raises(PlanError, match='check state and world model'):
        ReactivePlanner(policy, 1e-3).plan(start, blind, None, Budget(1), torch.Generator())


class Unknowing(CartPole):
    """A world model that knows of no state what follows."""

    def step(self, state, action, z=None):
        return super().step(state, action) * torch.nan


class Pushing:
    """A policy that always pushes with 9 N."""

    def action(self, state):
        return torch.full((*state.shape[:-1], 1), 9.0).to(state)


def test_reacting_keeps_to_rates_and_says_what_it_cannot_keep():
    start = torch.tensor([0.5, 0.0, 1.0, 0.0]).double()
    rate = ConstraintSpec('slew', 'rate', ('cart.force',), limit=2.0 / CARTPOLE.period_s)
    rail = ConstraintSpec('rail', 'limit', ('cart.x',), low=-0.4, high=0.4)
    for specs, violated in (((rate,), ''), ((rate, rail), 'rail.high')):
        problem = Problem(CartPole(), SWING, None, 0.98, previous=torch.tensor([1.0]).double(),
                          constraints=TaskConstraints(CARTPOLE, specs))
        plan = ReactivePlanner(Pushing(), 1e-3).plan(start, problem, None, Budget(1),
                                                     torch.Generator())
        # From 1 N the force may rise by 2 N in a tick.
        assert float(plan.actions[0]) == pytest.approx(3.0, abs=1e-6)
        assert plan.violated == violated and plan.feasible == (not violated)
    # After 50 ms at 1 m/s the cart is at 0.55 m and a little more: 0.15 m too far.
    assert plan.violation == pytest.approx(0.15, abs=0.01)


class Recorder:
    """Keeps what it is given as the previous plan."""

    def plan(self, start, problem, warm, budget, generator):
        self.warm = warm
        return Plan(torch.zeros(1, 1), torch.zeros(2, 4), 0.0, 0.0, 0, 0)


def test_the_better_of_previous_plan_and_policy_is_handed_on():
    start, still = torch.tensor([0.0, 0.5, 0.0, 0.0]).double(), torch.zeros(5, 1).double()
    states = start.expand(6, -1)
    bad = Plan(still + 10.0, states, 0.0, 0.0, 1, 0)
    good = Plan(still, states, 0.0, 0.0, 1, 0)
    centred = replace(SWINGING, cost=Effort())
    lazy = PolicyNetwork(CARTPOLE, PolicySettings(), generator(0, 'test')).double()
    inner = Recorder()
    seeded = SeededPlanner(CARTPOLE, inner, lazy)
    seeded.plan(start, centred, bad, Budget(1), torch.Generator())
    assert inner.warm is not bad and (inner.warm.actions == 0.0).all()
    assert inner.warm.actions.shape == (6, 1)  # one tick longer: planners move it on by one
    seeded.plan(start, centred, good, Budget(1), torch.Generator())
    assert inner.warm is good
    seeded.plan(start, centred, None, Budget(1), torch.Generator())
    assert inner.warm is None


class Effort:
    """C(s, a) = a^2: doing nothing is best."""

    names = ('effort',)

    def terms(self, state, action):
        return action.square()

    def stage(self, state, action):
        return action.square().sum(dim=-1)
