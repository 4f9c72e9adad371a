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

"""Energy: a minimum over modes and noise, known in closed form, and found by refinement."""

from problems import LINEAR, random_ensemble
from test_mixture import points, random_mixture
import torch
from toys import CARTPOLE, MASS

from hlai_control.types import Batch, generator, Transition
from hlai_control.world_model.encoder import Encoder
from hlai_control.world_model.energy import errors, infer, latent, outcomes, refine
from hlai_control.world_model.surprise import energy_at, free_energy, residual

TOLERANCE = torch.tensor([0.01, 0.02, 0.05, 0.1]).double()


def observed(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Shake the draws of a mixture."""
    dynamics, (state, action) = random_mixture(), points(count)
    draw = torch.Generator().manual_seed(2)
    z = torch.randn(3, count, 5, generator=draw).double()
    ahead = dynamics.step(state[:1].expand(3, -1, -1), action, z)[0]
    return state[0], action, ahead + 0.02 * torch.randn(count, 4, generator=draw).double()


def test_one_mode_has_the_closed_form_of_a_gaussian():
    dynamics, (state, action, ahead) = random_ensemble(), observed(1)
    found = outcomes(dynamics, state.expand(3, -1, -1), action)
    inferred = infer(found, ahead, CARTPOLE, TOLERANCE)
    energy, z = free_energy(*residual(dynamics, Transition(
        state[0], action[0], ahead[0]), CARTPOLE), TOLERANCE)
    torch.testing.assert_close(inferred.energy[:, 0], energy)
    torch.testing.assert_close(latent(found, inferred, 4)[:, 0], z)


def test_no_mode_and_no_noise_has_less_energy():
    dynamics, (state, action, ahead) = random_mixture(), observed(40)
    found = outcomes(dynamics, state.expand(3, -1, -1), action)
    inferred, error = infer(found, ahead, CARTPOLE, TOLERANCE), errors(found, ahead, CARTPOLE)
    draw = torch.Generator().manual_seed(3)
    for _ in range(200):
        tried = inferred.noise.unsqueeze(-2) + 0.3 * torch.randn(
            error.shape, generator=draw).double()
        energy = energy_at(error, found.std, TOLERANCE, tried) - found.log_chance
        assert (energy.amin(dim=-1) >= inferred.energy - 1e-9).all()


def test_the_latent_leads_where_its_mode_and_noise_do():
    dynamics, (state, action, ahead) = random_mixture(), observed(40)
    wide = state.expand(3, -1, -1)
    found = outcomes(dynamics, wide, action)
    inferred = infer(found, ahead, CARTPOLE, TOLERANCE)
    index = inferred.mode[..., None, None].expand(-1, -1, 1, 4)
    expected = (found.mean.gather(2, index) + found.std.gather(2, index)
                * inferred.noise.unsqueeze(2)).squeeze(2)
    assert len(inferred.mode.unique()) > 1
    torch.testing.assert_close(
        dynamics.step(wide, action, latent(found, inferred, dynamics.latent_size)), expected)


def test_without_z_the_energy_is_the_distance():
    state, action = torch.tensor([[[1.0, 0.5]]]).double(), torch.tensor([[0.2]]).double()
    found = outcomes(LINEAR, state, action)
    ahead = LINEAR.step(state, action)[0] + torch.tensor([0.02, -0.1]).double()
    energy = infer(found, ahead, MASS, torch.tensor([0.01, 0.1]).double()).energy
    torch.testing.assert_close(energy, torch.tensor([[0.5 * (4.0 + 1.0)]]).double())


def test_refinement_never_raises_and_reaches_the_closed_form_of_a_linear_decoder():
    draw = torch.Generator().manual_seed(4)
    error, std, guess = torch.randn(3, 50, 4, generator=draw).double()
    std = std.abs() + 0.01
    start = energy_at(error, std, TOLERANCE, guess)
    energy, noise = refine(lambda at: error - std * at, TOLERANCE, guess, steps=1)
    assert (energy <= start).all()
    expected, where = free_energy(error, std, TOLERANCE)
    torch.testing.assert_close(energy, expected)
    torch.testing.assert_close(noise, where)


def test_refinement_finds_a_stationary_point_of_a_bent_decoder():
    draw = torch.Generator().manual_seed(5)
    target, guess = torch.randn(2, 50, 4, generator=draw).double()
    one = torch.ones(4).double()

    def error(at: torch.Tensor) -> torch.Tensor:
        return target - at - 0.3 * torch.sin(at.roll(1, dims=-1))

    def energy(at: torch.Tensor) -> torch.Tensor:
        return energy_at(error(at), torch.zeros_like(at), one, at)

    lowest, noise = refine(error, one, guess, steps=60)
    assert (lowest <= energy(guess)).all()
    point = noise.clone().requires_grad_()
    slope, = torch.autograd.grad(energy(point).sum(), point)
    assert float(slope.abs().max()) < 1e-4
    # The gradient is the finite difference.
    step = 1e-6 * torch.eye(4).double()
    for i in range(4):
        other = (energy(guess + step[i]) - energy(guess - step[i])) / 2e-6
        start = guess.clone().requires_grad_()
        slope, = torch.autograd.grad(energy(start).sum(), start)
        torch.testing.assert_close(slope[:, i], other, rtol=1e-4, atol=1e-5)


def test_the_encoder_learns_to_guess_and_refinement_makes_it_exact():
    dynamics, rows = random_mixture(), Batch(*observed(64))
    encoder = Encoder(CARTPOLE, TOLERANCE, 16, generator(0, 'encoder')).double()
    exact = infer(outcomes(dynamics, rows.state.expand(3, -1, -1), rows.action),
                  rows.next_state, CARTPOLE, TOLERANCE).energy
    before = encoder.guess(dynamics, rows).energy
    for _ in range(200):
        encoder.update(dynamics, rows)
    guessed, refined = encoder.guess(dynamics, rows), encoder.refined(dynamics, rows)
    assert float((guessed.energy - exact).mean()) < 0.5 * float((before - exact).mean())
    assert (guessed.energy >= exact - 1e-9).all()
    assert (refined.energy <= guessed.energy + 1e-9).all()
    torch.testing.assert_close(refined.energy, exact)
