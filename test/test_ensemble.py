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


"""The ensemble: its structure holds exactly, whatever its weights."""

from math import pi

import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.protocols import Dynamics
from hlai_control.settings import WorldModelSettings
from hlai_control.types import generator
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.linear import LinearDynamics


def random_ensemble(layout=CARTPOLE) -> EnsembleDynamics:
    """Give every weight and scale a random value."""
    dynamics = EnsembleDynamics(layout, WorldModelSettings(members=3, hidden=8),
                                generator(0, 'test'))
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        dynamics.coefficients.normal_(generator=draw)
        dynamics.noise_weight.normal_(generator=draw)
        dynamics.monomials.rate.uniform_(1.0, 5.0, generator=draw)
        dynamics.acceleration.uniform_(1.0, 3.0, generator=draw)
    dynamics.fold()
    return dynamics


def inputs(batch: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(6)
    return (2.0 * torch.randn(3, batch, 4, generator=draw),
            5.0 * torch.randn(batch, 1, generator=draw),
            torch.randn(3, batch, 4, generator=draw))


def test_mirror_symmetry_is_exact():
    dynamics, (state, action, z) = random_ensemble(), inputs()
    assert isinstance(dynamics, Dynamics)
    flip = torch.tensor(CARTPOLE.mirror_states)
    torch.testing.assert_close(dynamics.step(state * flip, -action, z * flip),
                               dynamics.step(state, action, z) * flip)


def test_invariance_and_whole_turns():
    dynamics, (state, action, _) = random_ensemble(), inputs()
    shift = torch.tensor([3.0, 2 * pi, 0.0, 0.0])
    torch.testing.assert_close(dynamics.step(state + shift, action),
                               dynamics.step(state, action) + shift, rtol=1e-4, atol=1e-4)


def test_untrained_it_coasts():
    dynamics = EnsembleDynamics(CARTPOLE, WorldModelSettings(), generator(0, 'test'))
    state = torch.tensor([0.1, 0.2, 3.0, -4.0]).expand(dynamics.members, 1, -1)
    # q + 0.05 dq
    expected = torch.tensor([0.25, 0.0, 3.0, -4.0]).expand_as(state)
    torch.testing.assert_close(dynamics.step(state, torch.ones(1, 1)), expected)


def test_rate_integrates_to_position_by_the_trapezoid():
    dynamics, (state, action, _) = random_ensemble(), inputs()
    ahead = dynamics.step(state, action)
    moved = 0.5 * CARTPOLE.period_s * (state[..., 2:] + ahead[..., 2:])
    torch.testing.assert_close(ahead[..., :2], state[..., :2] + moved)


def test_latent_mode_and_spread():
    dynamics, (state, action, z) = random_ensemble(), inputs()
    mode = dynamics.step(state, action)
    torch.testing.assert_close(dynamics.step(state, action, torch.zeros_like(z)), mode)
    one, two = (dynamics.step(state, action, k * z) - mode for k in (1.0, 2.0))
    torch.testing.assert_close(two, 2.0 * one, rtol=1e-3, atol=1e-4)
    assert ((one * z) > 0).all()  # a std is positive


def test_step_is_what_predict_integrates():
    # Folding must change nothing: one fixed-point step by hand, with the unfolded parts.
    dynamics, (state, action, _) = random_ensemble(), inputs()
    wide, rates = action.expand(3, -1, -1), state[..., 2:]
    for _ in range(2):
        middle = torch.cat([state[..., :2] + 0.025 * state[..., 2:], rates], dim=-1)
        mean = dynamics.predict(middle, wide)
        gained = mean * dynamics.acceleration * 0.05
        rates = state[..., 2:] + 0.5 * gained
    torch.testing.assert_close(dynamics.step(state, action)[..., 2:], state[..., 2:] + gained,
                               rtol=1e-3, atol=1e-4)


def test_gradient_equals_finite_difference():
    dynamics, (state, action, z) = random_ensemble().double(), inputs(2)
    assert torch.autograd.gradcheck(
        dynamics.step, tuple(part.double().requires_grad_() for part in (state, action, z)))


@pytest.mark.parametrize('shape', [(), (5,), (5, 6)])
def test_any_leading_axes(shape):
    dynamics = random_ensemble()
    state, action = torch.randn(3, *shape, 4), torch.randn(*shape, 1)
    whole = dynamics.step(state, action)
    flat = dynamics.step(state.reshape(3, -1, 4), action.reshape(-1, 1))
    torch.testing.assert_close(whole, flat.reshape(3, *shape, 4))


def test_without_a_mirror_and_with_uneven_limits():
    dynamics = random_ensemble(MASS)
    found = dynamics.step(torch.zeros(3, 4, 2), torch.full((4, 1), 0.5))
    # The middle of the limits -1 .. 2 is 0.5: only the constant monomial is left, with rate 0.
    mean = dynamics.predict(torch.zeros(3, 4, 2), torch.full((3, 4, 1), 0.5))
    assert torch.isfinite(found).all()
    assert mean.shape == (3, 4, 1)


def test_export_and_load_round_trip():
    one, two = random_ensemble(), EnsembleDynamics(
        CARTPOLE, WorldModelSettings(members=3, hidden=8), generator(9, 'other'))
    two.load(one.export())
    state, action, z = inputs()
    torch.testing.assert_close(two.step(state, action, z), one.step(state, action, z),
                               rtol=0.0, atol=0.0)


def test_follows_to_another_device():
    dynamics = random_ensemble().to('meta')
    found = dynamics.step(torch.zeros(3, 2, 4, device='meta'), torch.zeros(2, 1, device='meta'),
                          torch.zeros(3, 2, 4, device='meta'))
    assert found.device.type == 'meta'


def test_linear_model_is_its_matrices():
    dynamics = LinearDynamics(torch.tensor([[1.0, 0.1], [0.0, 1.0]]),
                              torch.tensor([[0.0], [0.1]]))
    found = dynamics.step(torch.tensor([[[2.0, 3.0]]]), torch.tensor([[4.0]]))
    torch.testing.assert_close(found, torch.tensor([[[2.3, 3.4]]]))
    assert (dynamics.members, dynamics.latent_size) == (1, 0)
