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

"""A mixture: z picks modes by their probabilities, and zero is the most probable one."""

from dataclasses import replace

from problems import SWING
import pytest
import torch
from toys import CARTPOLE

from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.engines import Engines
from hlai_control.actor.place import place
from hlai_control.actor.planners import make_planner, PlanningSettings
from hlai_control.errors import ArtefactError
from hlai_control.learning.artefact import Artefact, decode, encode
from hlai_control.protocols import decodes, follows, Problem
from hlai_control.settings import (
    CriticSettings,
    DdpSettings,
    PlannerSettings,
    RiskSettings,
    WorldModelSettings,
)
from hlai_control.types import Budget, generator
from hlai_control.world_model.energy import outcomes
from hlai_control.world_model.made import make_dynamics
from hlai_control.world_model.mixture import MixtureDynamics

SETTINGS = WorldModelSettings(members=3, hidden=8, latent='mixture', modes=3)


def random_mixture() -> MixtureDynamics:
    """Three members with three modes each, all different."""
    dynamics = MixtureDynamics(CARTPOLE, SETTINGS, generator(0, 'test'))
    draw = torch.Generator().manual_seed(5)
    for part, std in ((dynamics.branches, 0.3), (dynamics.gate_weight, 0.5),
                      (dynamics.spread, 0.3)):
        part.normal_(std=std, generator=draw)
    dynamics.monomials.rate.fill_(5.0)
    dynamics.acceleration.fill_(3.0)
    return dynamics.double()


def points(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(6)
    return (torch.randn(3, count, 4, generator=draw, dtype=torch.float64),
            torch.randn(count, 1, generator=draw, dtype=torch.float64))


def test_draws_pick_each_mode_as_often_as_it_is_probable():
    dynamics, (state, action), count = random_mixture(), points(1), 20_000
    found = dynamics.outcomes(state, action)
    z = torch.randn(3, count, dynamics.latent_size, dtype=torch.float64,
                    generator=torch.Generator().manual_seed(7))
    z[..., :-1] = 0.0
    ahead = dynamics.step(state.expand(-1, count, -1), action.expand(count, -1), z)
    hit = ((ahead.unsqueeze(-2) - found.mean).abs().amax(dim=-1) < 1e-9).double().mean(dim=1)
    chance = found.log_chance[:, 0].exp()
    assert torch.allclose(chance.sum(dim=-1), torch.ones(3).double())
    # Four standard deviations of a binomial share.
    assert (hit - chance).abs().max() < 4.0 * 0.5 * count ** -0.5


def test_zero_is_the_most_probable_mode_without_noise():
    dynamics, (state, action) = random_mixture(), points(50)
    found = dynamics.outcomes(state, action)
    best = found.log_chance.argmax(dim=-1)[..., None, None].expand(-1, -1, 1, 4)
    ahead = dynamics.step(state, action)
    torch.testing.assert_close(ahead, found.mean.gather(2, best).squeeze(2))
    zero = torch.zeros(3, 50, dynamics.latent_size, dtype=torch.float64)
    torch.testing.assert_close(dynamics.step(state, action, zero), ahead)


def test_noise_moves_each_mode_by_its_own_standard_deviation():
    dynamics, (state, action) = random_mixture(), points(50)
    z = torch.zeros(3, 50, dynamics.latent_size, dtype=torch.float64)
    z[..., :-1] = 1.0
    found = dynamics.outcomes(state, action)
    best = found.log_chance.argmax(dim=-1)[..., None, None].expand(-1, -1, 1, 4)
    torch.testing.assert_close(dynamics.step(state, action, z) - dynamics.step(state, action),
                               found.std.gather(2, best).squeeze(2))


def test_gradients_are_finite_differences():
    dynamics, (state, action) = random_mixture(), points(3)
    z = 0.3 * torch.randn(3, 3, 5, generator=torch.Generator().manual_seed(1)).double()
    assert torch.autograd.gradcheck(lambda s, a: dynamics.step(s, a, z), (
        state.requires_grad_(), action.requires_grad_()))


def test_fitted_means_and_chances_are_those_of_a_step():
    dynamics, (state, action) = random_mixture(), points(20)
    found = outcomes(dynamics, state, action)
    dt = CARTPOLE.period_s
    # One mode's rates ahead say where its accelerations held.
    for mode in range(3):
        ahead = found.mean[..., mode, :]
        middle = torch.cat([state[..., :2] + 0.5 * dt * state[..., 2:],
                            0.5 * (state[..., 2:] + ahead[..., 2:])], dim=-1)
        chance, mean = dynamics.predict(middle, state[..., 2:], action.expand(3, -1, -1))
        torch.testing.assert_close(chance, found.log_chance)
        gained = (ahead - state)[..., 2:] / dt / dynamics.acceleration
        # By one fixed-point step, which is not yet the fixed point.
        torch.testing.assert_close(mean[..., mode, :], gained, rtol=0.1, atol=0.05)


def test_plans_and_draws_go_through_a_mixture():
    dynamics, start = random_mixture(), torch.zeros(4).double()
    assert decodes(dynamics) and not follows(dynamics)  # no compiled loops: steps, one by one
    for risk in (RiskSettings(), RiskSettings(tail=0.5, latents=2)):
        problem = Problem(dynamics, SWING, None, 0.98, risk)
        for planner in (DdpPlanner(CARTPOLE, 6, DdpSettings()), make_planner(
                CARTPOLE, PlanningSettings(planner=PlannerSettings(
                    kind='icem', horizon=6, candidates=16, elites=4)))):
            plan = planner.plan(start, problem, None, Budget(2), torch.Generator().manual_seed(0))
            assert torch.isfinite(plan.actions).all()
            again = planner.plan(start, problem, None, Budget(2), torch.Generator().manual_seed(0))
            assert torch.equal(plan.actions, again.actions)


def test_an_artefact_is_taken_whole_or_refused_by_name():
    dynamics = make_dynamics(CARTPOLE, SETTINGS, generator(1, 'test'))
    data = encode(Artefact('world_model', 3, dynamics.export()), CARTPOLE)
    other = make_dynamics(CARTPOLE, SETTINGS, generator(2, 'test'))
    other.load(decode(data, CARTPOLE, 'world_model', other.export()).tensors)
    assert all(torch.equal(one, other.export()[name]) for name, one in dynamics.export().items())
    for change, named in (({'latent': 'gaussian'}, 'world_model.latent'),
                          ({'modes': 2}, 'branches|gate|spread')):
        unlike = make_dynamics(CARTPOLE, replace(SETTINGS, **change), generator(2, 'test'))
        with pytest.raises(ArtefactError, match=named):
            decode(data, CARTPOLE, 'world_model', unlike.export())


def test_new_weights_lie_where_the_old_ones_lay():
    # A recorded search on a device reads these addresses.
    one, two = random_mixture(), random_mixture()
    two.branches.mul_(2.0)
    two.spread.add_(0.5)
    two.gate_bias.add_(torch.tensor([0.0, 1.0, 2.0]))
    two.fold()
    held = [part.data_ptr() for part in (one._third, one._gate, one._prior, one._noise)]
    one.load(two.export())
    assert held == [part.data_ptr() for part in (one._third, one._gate, one._prior, one._noise)]
    (state, action), z = points(5), torch.ones(3, 5, 5).double()
    torch.testing.assert_close(one.step(state, action, z), two.step(state, action, z))


def test_engines_hold_what_the_settings_ask_for():
    engines = Engines(CARTPOLE, PlanningSettings(), SETTINGS, CriticSettings(), 0, place('cpu'))
    assert isinstance(engines.dynamics, MixtureDynamics)
