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

"""Risk: from the mean over CVaR to the worst, over members and draws of z, for every planner."""

from hypothesis import given
from hypothesis import strategies as st
from problems import CartPole, QUADRATIC, random_ensemble, SWING, WIDE
import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.adjoint import AdjointPlanner, costates, lagrangian
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.constrained import ConstrainedPlanner
from hlai_control.actor.curiosity import Curious
from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.actor.objective import Objective
from hlai_control.actor.risk import draw_latents, risk_weights
from hlai_control.actor.rollout import energy, roll_out, scenario_energies
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.constraints import TaskConstraints
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.errors import SettingsError
from hlai_control.protocols import Problem
from hlai_control.settings import DdpSettings, PlannerSettings, RiskSettings
from hlai_control.types import Budget

PLACE = TaskCost(MASS, CostSpec('place', 1.0, (TermSpec('x', 'quadratic', 'x', 1.0),))).double()
ONE = torch.tensor([1.0, 0.0]).double()
HANGING = torch.tensor([0.2, 0.3, 0.0, 0.0]).double()
EACH = DdpSettings(merge=False)
PLANNERS = {
    'adjoint': (AdjointPlanner(MASS, 1), 40, 1e-4),
    'ddp': (DdpPlanner(MASS, 1, EACH), 40, 1e-4),
    'hybrid': (HybridPlanner(MASS, PlannerSettings(horizon=1), refining=EACH), 40, 1e-4),
    'cem': (CemPlanner(MASS, PlannerSettings(horizon=1, candidates=512)), 20, 0.02),
    'mppi': (MppiPlanner(MASS, PlannerSettings(horizon=1, candidates=512)), 20, 0.02)}


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Gamble:
    """A push moves the mass by -1 of itself if one member is right, by +1/2 if the other is."""

    members, latent_size = 2, 0

    def step(self, state, action, z=None):
        factors = state.new_tensor([-1.0, 0.5]).reshape(2, *(1,) * action.dim())
        moved = state[..., :1] + factors * action
        return torch.cat([moved, state[..., 1:]], dim=-1)


class Shaky:
    """A push moves the mass by itself, but for as large a noise."""

    members, latent_size = 1, 1

    def step(self, state, action, z=None):
        shaken = action if z is None else action * (1.0 + z)
        return torch.cat([state[..., :1] + shaken, state[..., 1:]], dim=-1)


class Torn:
    """A pushed mass that drifts to one side or to the other."""

    members, latent_size = 2, 0

    def step(self, state, action, z=None):
        shape = (2, *(1,) * action.dim())
        push = state.new_tensor([1.0, 0.4]).reshape(shape)
        drift = state.new_tensor([-0.2, 0.2]).reshape(shape)
        x, v = state[..., :1], state[..., 1:]
        return torch.cat([x + 0.3 * v, v + 0.3 * push * action + drift], dim=-1)


def noisy():
    """Three members that expect noise of their own."""
    dynamics = random_ensemble()
    with torch.no_grad():
        dynamics.noise_bias.add_(torch.tensor([-1.0, -2.0, -3.0]).double()[:, None, None])
    dynamics.fold()
    return dynamics


def test_cvar_by_hand():
    found = torch.tensor([4.0, 1.0, 3.0, 2.0])[:, None]
    # The worst one and a half of four: (4 + 3 / 2) / 1.5.
    weights = risk_weights(found, 0.375)
    torch.testing.assert_close(weights[:, 0], torch.tensor([2.0, 0.0, 1.0, 0.0]) / 3.0)
    assert float((weights * found).sum()) == pytest.approx(11.0 / 3.0)
    assert risk_weights(found, 0.5)[:, 0].tolist() == [0.5, 0.0, 0.5, 0.0]
    for tail in (0.0, 0.1, 0.25):
        assert risk_weights(found, tail)[:, 0].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert risk_weights(found, 1.0)[:, 0].tolist() == [0.25] * 4


def test_what_is_not_a_number_is_the_worst():
    found = torch.tensor([[4.0, 1.0], [float('nan'), 2.0]])
    assert risk_weights(found, 0.0).tolist() == [[0.0, 0.0], [1.0, 1.0]]


@given(st.lists(st.floats(0.0, 1e3), min_size=1, max_size=8), st.floats(0.01, 1.0),
       st.floats(0.0, 1.0))
def test_cvar_is_the_least_of_rockafellar_and_uryasev(energies, tail, part):
    found = torch.tensor(energies).double()[:, None]

    def risk(share):
        weights = risk_weights(found, share)
        assert float(weights.min()) >= 0.0 and float(weights.sum()) == pytest.approx(1.0)
        return float((weights * found).sum())

    # min over c of c + mean of max(F - c, 0) / tail: convex, with its corners at the energies.
    tail = max(tail, 1.0 / len(energies))
    corners = (found.T + (found - found.T).clamp_min(0.0).mean(dim=0) / tail).min()
    assert risk(tail) == pytest.approx(float(corners), abs=1e-9)
    slack = 1e-9 * (1.0 + max(energies))
    assert risk(1.0) - slack <= risk(tail) <= risk(part * tail) + slack
    assert risk(1.0) == pytest.approx(float(found.mean()))
    assert risk(0.0) == float(found.max())


@pytest.mark.parametrize(('tail', 'best'), [(1.0, 0.4), (0.9, 2.0 / 7.0), (0.5, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize('name', PLANNERS)
def test_the_gamble_is_taken_on_average_only(name, tail, best):
    # Mean of (1 - a)^2 and (1 + a / 2)^2: least at a = 0.4. CVaR weighs the second, which is
    # the worse for a > 0, by w = 1 / (2 tail): least at (1 - 1.5 w) / (1 - 0.75 w), until 0.
    planner, iterations, gap = PLANNERS[name]
    problem = Problem(Gamble(), PLACE, None, 1.0, RiskSettings(tail=tail))
    found = planner.plan(ONE, problem, None, Budget(iterations), random())
    assert float(found.actions[0]) == pytest.approx(best, abs=gap)


@pytest.mark.parametrize('name', PLANNERS)
def test_noise_that_grows_with_the_push_is_seen_only_by_draws_of_it(name):
    planner, iterations, gap = PLANNERS[name]
    mode = planner.plan(ONE, Problem(Shaky(), PLACE, None, 1.0), None, Budget(iterations),
                        random())
    assert float(mode.actions[0]) == pytest.approx(-1.0, abs=gap)
    problem = Problem(Shaky(), PLACE, None, 1.0, RiskSettings(latents=64))
    found = planner.plan(ONE, problem, None, Budget(iterations), random(3))
    # Least mean of (1 + a (1 + z))^2 over the z that the plan drew; a = -1/2 over all z.
    drawn = 1.0 + draw_latents(problem, 1, ONE, random(3))
    best = -float(drawn.mean() / drawn.square().mean())
    assert float(found.actions[0]) == pytest.approx(best, abs=gap)
    assert best == pytest.approx(-0.5, abs=0.15)


@pytest.mark.parametrize('risk', [
    RiskSettings(tail=0.5), RiskSettings(tail=0.0), RiskSettings(latents=3),
    RiskSettings(tail=0.3, latents=2)])
def test_costates_are_the_gradient_under_every_risk(risk):
    problem = Problem(random_ensemble(), SWING, None, 0.98, risk)
    objective = Objective(problem, draw_latents(problem, 10, HANGING, random()))
    actions = 3.0 * torch.randn(10, 1, generator=random(3)).double()
    states = roll_out(HANGING, actions[None], problem.dynamics, objective.latents)[:, 0]
    found = costates(states, actions, objective)
    for t in range(len(actions)):
        ends = []
        for side in (1e-5, -1e-5):
            moved = actions.clone()
            moved[t] += side
            ends.append(float(energy(roll_out(HANGING, moved[None], problem.dynamics,
                                              objective.latents), moved[None], problem)))
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(
            float(found.gradient[t]), rel=1e-5, abs=1e-5)
    states = states.clone().requires_grad_()
    by_state, = torch.autograd.grad(
        lagrangian(states, actions, found.multipliers, objective), states)
    torch.testing.assert_close(by_state[:, 1:], torch.zeros_like(by_state[:, 1:]))


@pytest.mark.parametrize('horizon', [3, 8])
def test_second_order_steps_reach_the_least_worst_case(horizon):
    # Each member's F is convex and quadratic in the actions, F = c + g a + a H a / 2: the
    # least worst case is the greatest over w of the least of w F_1 + (1 - w) F_2.
    start = torch.tensor([0.6, -0.3]).double()
    problem = Problem(Torn(), QUADRATIC, None, 1.0, RiskSettings(tail=0.0))

    def energies(actions):
        wide = actions.reshape(1, -1, 1)
        return scenario_energies(roll_out(start, wide, Torn()), wide, problem)[:, 0]

    still = torch.zeros(horizon).double()
    c, g = energies(still), torch.autograd.functional.jacobian(energies, still)
    h = torch.stack([torch.autograd.functional.hessian(lambda a, e=e: energies(a)[e], still)
                     for e in range(2)])
    w = torch.linspace(0.0, 1.0, 10001).double()
    w = torch.stack([w, 1.0 - w], dim=1)
    slope = w @ g
    least = w @ c - 0.5 * (slope * torch.linalg.solve(
        torch.einsum('we,eij->wij', w, h), slope)).sum(dim=1)
    assert 0.05 < float(w[least.argmax(), 0]) < 0.95  # both are as bad: a kink
    found = DdpPlanner(WIDE, horizon).plan(start, problem, None, Budget(100), random())
    assert float(least.max()) - 1e-9 <= found.energy <= float(least.max()) * (1 + 2e-4)


@pytest.mark.parametrize('name', PLANNERS)
def test_same_generator_same_plan(name):
    planner = PLANNERS[name][0]
    problem = Problem(Shaky(), PLACE, None, 1.0, RiskSettings(tail=0.5, latents=4))
    one, two, other = (planner.plan(ONE, problem, None, Budget(3), random(seed))
                       for seed in (1, 1, 2))
    assert torch.equal(one.actions, two.actions) and one.energy == two.energy
    assert one.energy != other.energy


def test_more_draws_estimate_the_energy_better():
    dynamics = noisy()
    actions = 3.0 * torch.randn(1, 10, 1, generator=random(3)).double()

    def variance(draws):
        problem = Problem(dynamics, SWING, None, 0.98, RiskSettings(latents=draws))
        return float(torch.stack([energy(
            roll_out(HANGING, actions, dynamics, draw_latents(problem, 10, HANGING, random(i))),
            actions, problem) for i in range(40)]).var())

    # Independent draws: the variance of their mean falls by the factor 16.
    assert variance(64) < variance(4) / 6.0


def test_scenarios_are_members_next_to_their_draws():
    dynamics = noisy()
    problem = Problem(dynamics, SWING, None, 0.98, RiskSettings(latents=2))
    z = draw_latents(problem, 5, HANGING, random())
    actions = torch.randn(3, 5, 1, generator=random(1)).double()
    found = roll_out(HANGING, actions, dynamics, z)
    assert found.shape == (6, 3, 6, 4)
    for member in range(3):
        for draw in range(2):
            state = HANGING.expand(3, 3, -1)
            for t in range(5):
                shaken = z[2 * member + draw, t].expand(3, 3, -1)
                state = dynamics.step(state, actions[:, t], shaken)[member].expand(3, -1, -1)
            torch.testing.assert_close(found[2 * member + draw, :, -1], state[0])


def test_no_draws_leave_the_generator_alone():
    before = random().get_state()
    untouched = random()
    for problem in (Problem(random_ensemble(), SWING, None, 0.98),
                    Problem(CartPole(), SWING, None, 0.98, RiskSettings(latents=3))):
        assert draw_latents(problem, 5, HANGING, untouched) is None
    assert torch.equal(untouched.get_state(), before)


def test_a_scenario_that_is_not_finite_is_never_averaged_away():
    states = torch.zeros(4, 2, 3, 2).double()
    states[1, 0, 2] = torch.nan
    actions = torch.zeros(2, 2, 1).double()
    for tail in (1.0, 0.5, 0.0):
        objective = Objective(Problem(Gamble(), PLACE, None, 1.0, RiskSettings(tail=tail)))
        assert objective.energies(states, actions).tolist() == [float('inf'), 0.0]


@pytest.mark.parametrize(('field', 'value'), [('tail', -0.1), ('tail', 1.1),
                                              ('tail', float('nan')), ('latents', -1)])
def test_what_is_no_risk_is_refused_by_name(field, value):
    with pytest.raises(SettingsError, match=f'RiskSettings.{field} = .* is outside 0'):
        RiskSettings(**{field: value})


@pytest.mark.parametrize('make', [
    lambda robot: HybridPlanner(robot, PlannerSettings(horizon=6)),
    lambda robot: AdjointPlanner(robot, 6),
    lambda robot: MppiPlanner(robot, PlannerSettings(horizon=6))])
def test_goes_together_with_constraints_and_curiosity(make):
    dynamics = noisy()
    problem = Problem(
        dynamics, Curious(SWING, dynamics, CARTPOLE, 0.2), None, 0.98,
        RiskSettings(tail=0.3, latents=3),
        TaskConstraints(CARTPOLE, (ConstraintSpec('slew', 'rate', ('cart.force',), limit=20.0),)))
    planner = ConstrainedPlanner(CARTPOLE, 6, make)
    one, two = (planner.plan(HANGING, problem, None, Budget(40), random()) for _ in range(2))
    assert torch.equal(one.actions, two.actions)
    assert float(one.actions.abs().max()) <= 10.0 and one.violation == 0.0
    # 20 N/s for 0.05 s, from a command of zero on.
    changes = torch.cat([torch.zeros(1, 1).double(), one.actions]).diff(dim=0)
    assert float(changes.abs().max()) <= 1.05
