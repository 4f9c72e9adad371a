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

"""A mechanism is what physics says, and is found in the motion, exactly and soon."""

from dataclasses import replace
from math import cos, pi, sin

import pytest
import torch
from toys import CARTPOLE

from hlai_control.layout import is_mechanism, Layout
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Batch, generator, Transition
from hlai_control.world_model.hypotheses import Hypotheses
from hlai_control.world_model.hypotheses_learner import HypothesesLearner
from hlai_control.world_model.identification import Identifier
from hlai_control.world_model.made import make_dynamics, make_learner
from hlai_control.world_model.mechanism import Mechanism
from hlai_control.world_model.rigid_body import RigidBodyDynamics, solved
from hlai_control.world_model.trigonometry import Trigonometry

DRIVEN = replace(CARTPOLE, drives=(0,))
DOUBLE = Layout(
    robot='double', positions=('x', 'one', 'two'), actions=('push',), period_s=0.02,
    delay_ticks=0, angle=(False, True, True), invariant=(True, False, False),
    mirror_positions=(-1.0, -1.0, -1.0), mirror_actions=(-1.0,), action_low=(-20.0,),
    action_high=(20.0,), noise_std=(0.001,) * 6, drives=(0,))
# PILCO's cart-pole in numbers: M + m = 1, m l / 2 = 0.125, m l^2 / 3 = 0.041667,
# m g l / 2 = 1.22625 (energy: minus cosine), friction 0.1.
KNOWN = {(0, 0, 0): 1.0, (0, 1, 2): 0.125, (1, 1, 0): 0.125 / 3}


def known(mechanism: Mechanism) -> torch.Tensor:
    theta = torch.zeros(mechanism.size, dtype=torch.float64)
    keys = zip(mechanism.rows.tolist(), mechanism.columns.tolist(),
               mechanism.products.tolist(), strict=True)
    for at, key in enumerate(keys):
        theta[at] = KNOWN.get(key, 0.0)
    theta[mechanism.masses] = -0.5 * 0.5 * 0.5 * 9.81
    theta[-2] = 0.1
    return theta


def rates(state: list[float], force: float) -> list[float]:
    """Equations of motion of Deisenroth 2010, appendix C, angle 0 hanging."""
    mass, pole, length, friction, gravity = 0.5, 0.5, 0.5, 0.1, 9.81
    _, angle, dx, spin = state
    s, c, both, push = sin(angle), cos(angle), mass + pole, force - friction * dx
    ddx = (2 * pole * length * spin ** 2 * s + 3 * pole * gravity * s * c + 4 * push) / (
        4 * both - 3 * pole * c ** 2)
    turn = (-3 * pole * length * spin ** 2 * s * c - 6 * both * gravity * s - 6 * push * c) / (
        4 * length * both - 3 * pole * length * c ** 2)
    return [dx, spin, ddx, turn]


def ahead(state: list[float], force: float, period_s: float = 0.05) -> list[float]:
    h = period_s / 20
    for _ in range(20):
        k1 = rates(state, force)
        k2 = rates([a + 0.5 * h * b for a, b in zip(state, k1, strict=True)], force)
        k3 = rates([a + 0.5 * h * b for a, b in zip(state, k2, strict=True)], force)
        k4 = rates([a + h * b for a, b in zip(state, k3, strict=True)], force)
        state = [a + h / 6 * (p + 2 * q + 2 * r + t)
                 for a, p, q, r, t in zip(state, k1, k2, k3, k4, strict=True)]
    return state


def motion(count: int, noise: float = 0.0, seed: int = 0) -> Batch:
    """Random pushes from rest; the measured state is the true one and noise."""
    draw = torch.Generator().manual_seed(seed)
    state, states, pushes = [0.0, 0.0, 0.0, 0.0], [[0.0] * 4], []
    for _ in range(count):
        pushes.append(float(20 * torch.rand((), generator=draw) - 10))
        state = ahead(state, pushes[-1])
        states.append(state)
    seen = torch.tensor(states, dtype=torch.float64)
    seen = seen + noise * torch.randn(seen.shape, generator=draw, dtype=torch.float64)
    return Batch(seen[:-1], torch.tensor(pushes, dtype=torch.float64).unsqueeze(-1), seen[1:])


def random_body(layout: Layout, members: int = 3) -> RigidBodyDynamics:
    body = RigidBodyDynamics(layout, members)
    m, draw = body.mechanism, torch.Generator().manual_seed(2)
    theta = 0.1 * torch.randn(members, m.size, generator=draw)
    theta[:, :m.masses] += ((m.rows == m.columns) & (m.products == 0)).float()
    body.take(theta)
    body.still.fill_(0.1)
    return body


def test_slopes_of_the_products_are_those_of_autograd() -> None:
    layout = replace(DOUBLE, angle=(False, True, False), mirror_positions=(1.0, 1.0, 1.0))
    basis = Trigonometry(layout).double()
    place = torch.tensor([0.3, -1.2, 0.7], dtype=torch.float64)
    _, slopes = basis(place)
    wanted = torch.autograd.functional.jacobian(lambda q: basis(q)[0], place)
    torch.testing.assert_close(slopes, wanted[:, basis.seen])
    assert len(slopes) == 9


def test_the_known_cart_pole_moves_as_its_equations_say() -> None:
    body = RigidBodyDynamics(DRIVEN, 1).double()
    body.take(known(body.mechanism).unsqueeze(0))
    rows = motion(60)
    found = body.step(rows.state.unsqueeze(0), rows.action)[0]
    # One Runge-Kutta step against twenty; the pole turns by up to half a radian in it.
    assert (found - rows.next_state).abs().max() < 0.01


def test_noise_is_what_motion_leaves_unexplained() -> None:
    body, noise = RigidBodyDynamics(DRIVEN, 1).double(), 0.05
    body.take(known(body.mechanism).unsqueeze(0))
    rows = motion(800)
    draw = torch.Generator().manual_seed(1)
    ahead = body.step(rows.state.unsqueeze(0), rows.action)[0]
    seen = ahead + noise * torch.randn(ahead.shape, generator=draw, dtype=torch.float64)
    body.explain(Batch(rows.state, rows.action, seen))
    one = torch.ones(1, *rows.state.shape, dtype=torch.float64)
    std = body.step(rows.state.unsqueeze(0), rows.action, one)[0] - ahead
    assert abs(float((std.square().mean(dim=0).sqrt() / noise - 1.0).abs().max())) < 0.08


def test_energy_is_kept_without_friction_and_force() -> None:
    body = random_body(DOUBLE, 1).double()
    body.friction.zero_()
    state = torch.tensor([[[0.1, 0.5, -0.4, 0.2, 1.0, -1.5]]], dtype=torch.float64)

    def energy() -> float:
        values, _ = body.mechanism.basis(state[0, :, :3])
        speed = state[0, 0, 3:]
        mass = torch.einsum('f,fij->ij', values[0], body.inertia[0])
        return float(0.5 * speed @ mass @ speed + values[0] @ body.potential[0])
    before = energy()
    for _ in range(200):
        state = body.step(state, torch.zeros(1, 1, dtype=torch.float64))
    assert energy() == pytest.approx(before, abs=1e-4)


def test_momentum_gained_is_the_integral_of_the_forces() -> None:
    mechanism = Mechanism(DRIVEN).double()
    rows = motion(60)
    design = mechanism.regressors(rows.state, rows.next_state[:, 2:], 0.05)
    left = design @ known(mechanism) - 0.05 * rows.action @ mechanism.drive.T
    # Trapezoids in the positions: small beside impulses of up to 0.5 N s.
    assert left.abs().max() < 0.02
    shorter = [ahead([0.1, 1.0, 0.2, 3.0], 5.0, h) for h in (0.05, 0.025)]
    begin = torch.tensor([[0.1, 1.0, 0.2, 3.0]], dtype=torch.float64)
    errors = []
    for h, end in zip((0.05, 0.025), shorter, strict=True):
        y = mechanism.regressors(begin, torch.tensor([end[2:]], dtype=torch.float64), h)
        errors.append(float((y @ known(mechanism) - torch.tensor([5.0 * h, 0.0])).norm()))
    assert errors[1] < errors[0] / 4  # at least of second order


def test_a_cart_pole_is_found_in_a_second_of_exact_motion() -> None:
    identifier = Identifier(DRIVEN)
    found = identifier.fit(motion(20))
    error = (found.theta - known(identifier.mechanism)).abs()
    assert error.max() < 0.01


def test_noisy_motion_gives_what_is_known_within_what_it_says() -> None:
    inside = []
    for seed in range(8):
        identifier = Identifier(DRIVEN)
        found = identifier.fit(motion(60, noise=0.01, seed=seed))
        std = torch.linalg.inv(found.precision).diagonal().sqrt()
        inside.append((found.theta - known(identifier.mechanism)).abs() < 4.0 * std + 0.005)
    assert torch.stack(inside).float().mean() > 0.9


def test_a_blow_in_one_step_moves_little() -> None:
    rows = motion(60, noise=0.01)
    rows.next_state[30, 2:] += 5.0
    identifier = Identifier(DRIVEN)
    found = identifier.fit(rows)
    assert (found.theta - known(identifier.mechanism)).abs().max() < 0.1


def test_nothing_pushed_yet_is_no_failure() -> None:
    still = torch.zeros(3, 4)
    found = Identifier(DRIVEN).fit(Batch(still, torch.zeros(3, 1), still))
    assert torch.isfinite(found.theta).all() and torch.isfinite(found.precision).all()


def test_draws_have_positive_inertia_and_take_energy() -> None:
    identifier = Identifier(DRIVEN)
    rows = motion(5, noise=0.01)
    identifier.fit(rows)
    draws = identifier.draws(torch.randn(16, identifier.mechanism.size), rows.state)
    assert all(identifier.positive(theta, rows.state) for theta in draws)
    assert (identifier.mechanism.friction(draws) >= 0).all()
    assert draws.std(dim=0).max() > 0


def test_elimination_solves() -> None:
    draw = torch.Generator().manual_seed(0)
    root = torch.randn(50, 4, 4, generator=draw, dtype=torch.float64)
    matrix, right = root @ root.mT + torch.eye(4), torch.randn(50, 4, generator=draw).double()
    torch.testing.assert_close(solved(matrix, right), torch.linalg.solve(matrix, right))


@pytest.mark.parametrize('layout', [DRIVEN, DOUBLE], ids=lambda layout: layout.robot)
@pytest.mark.parametrize('bounded', [False, True])
@torch.no_grad()
def test_compiled_loops_follow_the_steps(layout: Layout, bounded: bool) -> None:
    body, draw, n = random_body(layout), torch.Generator().manual_seed(3), len(layout.positions)
    if bounded:
        body.bound(torch.full((n,), 1.0), torch.full((n,), 3.0))
    start = torch.randn(2 * n, generator=draw)
    base = 5.0 * torch.randn(4, 6, 1, generator=draw)
    actions, states = body.follow(
        start, base, torch.zeros(3, 6, 2 * n), torch.zeros(3, 6, 1, 2 * n), torch.zeros(4),
        torch.tensor(layout.action_low), torch.tensor(layout.action_high))
    torch.testing.assert_close(actions, base.clamp(layout.action_low[0], layout.action_high[0]))
    state = start.expand(3, 4, -1)
    for t in range(6):
        state = body.step(state, actions[:, t])
        torch.testing.assert_close(states[:, :, t + 1], state, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('layout', [DRIVEN, DOUBLE], ids=lambda layout: layout.robot)
def test_slopes_of_the_loops_are_those_of_autograd(layout: Layout) -> None:
    body, draw, n = random_body(layout), torch.Generator().manual_seed(3), len(layout.positions)
    states, actions = torch.randn(3, 5, 2 * n, generator=draw), torch.randn(5, 1, generator=draw)
    with torch.no_grad():
        found = body.linearise(states, actions)
    exact = body.double()
    for t in range(5):
        of_state, of_action = torch.autograd.functional.jacobian(
            lambda s, a: exact.step(s.unsqueeze(1), a.unsqueeze(0))[:, 0],
            (states[:, t].double(), actions[t].double()))
        for member in range(3):
            wanted = torch.cat([of_state[member, :, member], of_action[member]], dim=-1)
            torch.testing.assert_close(found[member, t].double(), wanted, rtol=1e-5, atol=1e-5)


def test_the_mirror_holds() -> None:
    body = random_body(DOUBLE)
    state, push = torch.randn(3, 7, 6), torch.randn(7, 1)
    torch.testing.assert_close(body.step(-state, -push), -body.step(state, push))


def test_little_known_bodies_stay_finite() -> None:
    body = random_body(DOUBLE)
    body.inertia.mul_(1e-3)
    body.bound(torch.full((3,), 40.0), torch.full((3,), 1e3))
    state = torch.randn(3, 7, 6)
    for _ in range(200):
        state = body.step(state, torch.full((7, 1), 20.0))
    assert torch.isfinite(state).all()


def test_who_is_a_mechanism() -> None:
    assert is_mechanism(DRIVEN) and is_mechanism(DOUBLE)
    assert not is_mechanism(CARTPOLE)  # nobody says what its command does
    assert not is_mechanism(replace(DRIVEN, drives=(-1,)))
    assert not is_mechanism(replace(DRIVEN, invariant=(True, True)))
    settings = WorldModelSettings()
    assert isinstance(make_dynamics(DRIVEN, settings, generator(0, 'a')), Hypotheses)
    assert not isinstance(make_dynamics(DRIVEN, replace(settings, mechanism=False),
                                        generator(0, 'a')), Hypotheses)


def taught(count: int) -> HypothesesLearner:
    learner = make_learner(DRIVEN, WorldModelSettings(members=2, hidden=8), generator(0, 'a'))
    assert isinstance(learner, HypothesesLearner)
    rows = motion(count, noise=0.01)
    for row in zip(rows.state, rows.action, rows.next_state, strict=True):
        learner.add(Transition(*(part.float() for part in row)))
        learner.update()
        assert learner.dynamics.members == 2
    return learner


def test_the_mechanism_is_believed_within_two_seconds_and_predicts_unseen_motion() -> None:
    dynamics, unseen = taught(40).dynamics, motion(40, seed=5)
    assert dynamics.mechanical
    found = dynamics.step(unseen.state.float().expand(2, -1, -1), unseen.action.float())
    assert (found.mean(dim=0) - unseen.next_state)[:, 2:].square().mean().sqrt() < 0.05


def test_whose_predictions_are_worse_is_not_believed() -> None:
    # Friction that changes its sign with the angle: no rigid body has it.
    learner = make_learner(DRIVEN, WorldModelSettings(members=2), generator(0, 'a'))
    rows = motion(100)
    for state, action in zip(rows.state.float(), rows.action.float(), strict=True):
        turn, spin = state[1], state[3]
        gained = torch.stack([action[0] - 4.0 * torch.cos(turn) * state[2],
                              -8.0 * torch.sin(turn) + 6.0 * torch.cos(turn) * spin])
        end = torch.cat([state[:2] + 0.05 * state[2:], state[2:] + 0.05 * gained])
        learner.add(Transition(state, action, end))
        learner.update()
        if learner.replay.total % 5 == 0:
            dynamics = learner.dynamics
    assert not dynamics.mechanical


def test_both_travel_together_and_training_goes_on() -> None:
    one, other = taught(12), make_learner(
        DRIVEN, WorldModelSettings(members=2, hidden=8), generator(9, 'a'))
    rows = motion(12, noise=0.01)
    other.extend(Batch(*(part.float() for part in (rows.state, rows.action, rows.next_state))))
    other.resume(one.progress())
    row = [part[5].float() for part in (rows.state, rows.action, rows.next_state)]
    for learner in (one, other):
        learner.add(Transition(*row))
        learner.update()
    first, second = one.dynamics, other.dynamics
    assert first.mechanical == second.mechanical
    for name, value in first.export().items():
        torch.testing.assert_close(value, second.export()[name], rtol=1e-2, atol=1e-3)
    copy = make_dynamics(DRIVEN, WorldModelSettings(members=2, hidden=8), generator(3, 'b'))
    copy.load(first.export())
    state, action = torch.randn(2, 5, 4), torch.randn(5, 1)
    assert torch.equal(copy.step(state, action), first.step(state, action))


def test_a_device_takes_the_one_believed_without_looking() -> None:
    dynamics = make_dynamics(DRIVEN, WorldModelSettings(members=2), generator(0, 'a'))
    dynamics = dynamics.to('meta')
    ahead_ = dynamics.step(torch.zeros(2, 3, 4, device='meta'), torch.zeros(3, 1, device='meta'))
    assert ahead_.shape == (2, 3, 4) and ahead_.device.type == 'meta'


def test_pi_is_a_whole_half_turn() -> None:
    body = RigidBodyDynamics(DRIVEN, 1).double()
    body.take(known(body.mechanism).unsqueeze(0))
    upright = torch.tensor([[[0.0, pi, 0.0, 0.0]]], dtype=torch.float64)
    still = body.step(upright, torch.zeros(1, 1, dtype=torch.float64))
    torch.testing.assert_close(still, upright, atol=1e-9, rtol=0.0)
