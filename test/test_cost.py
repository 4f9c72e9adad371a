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


"""The cost: zero at the goal, hand-computed elsewhere, differentiable, never finite for NaN."""

from math import inf, nan, pi

from hypothesis import given, settings, strategies
import pytest
import torch
from toys import CARTPOLE

from hlai_control.actor.objective import gradient_and_hessian
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.errors import SettingsError
from hlai_control.protocols import CostFunction, ExpandableCost

SPEC = CostSpec('swingup', 0.98, (
    TermSpec('rail', 'barrier', 'cart.x', 100.0, limit=1.6),
    TermSpec('upright', 'angle', 'pole.angle', 1.0, goal=pi),
    TermSpec('centre', 'quadratic', 'cart.x', 0.5, goal=0.25),
    TermSpec('tip', 'saturating', 'pole.angle', 2.0, goal=pi, width=0.5),
    TermSpec('effort', 'quadratic', 'cart.force', 0.001)))
GOAL = torch.tensor([0.25, pi, 0.0, 0.0])


def test_zero_at_the_goal_after_any_turns():
    cost = TaskCost(CARTPOLE, SPEC)
    assert isinstance(cost, CostFunction)
    assert cost.names == ('rail', 'upright', 'centre', 'tip', 'effort')
    for turns in (-2, 0, 1):
        state = GOAL + torch.tensor([0.0, 2 * pi * turns, 0.0, 0.0])
        torch.testing.assert_close(cost.terms(state, torch.zeros(1)), torch.zeros(5),
                                   rtol=0.0, atol=1e-5)


def test_hand_computed_terms():
    state, action = torch.tensor([1.8, pi / 2, 3.0, -4.0]), torch.tensor([-10.0])
    found = TaskCost(CARTPOLE, SPEC).terms(state, action)
    expected = torch.tensor([
        100.0 * 0.2 ** 2,          # 0.2 m beyond 1.6 m
        1.0 - 0.0,                 # cos(-pi / 2) = 0
        0.5 * 1.55 ** 2,           # 1.8 - 0.25
        2.0 * (1 - 0.0183156389),  # d^2 = 2 (1 - 0) = 2, exp(-2 / (2 * 0.25)) = exp(-4)
        0.001 * 100.0])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@settings(deadline=None)
@given(strategies.lists(strategies.floats(-5, 5), min_size=5, max_size=5))
def test_at_least_zero_and_summed(values):
    numbers, cost = torch.tensor(values), TaskCost(CARTPOLE, SPEC)
    terms = cost.terms(numbers[:4], numbers[4:])
    assert (terms >= 0).all()
    torch.testing.assert_close(cost.stage(numbers[:4], numbers[4:]), terms.sum())


def test_gradient_equals_finite_difference():
    cost = TaskCost(CARTPOLE, SPEC).double()
    draw = torch.Generator().manual_seed(1)
    state = 2.0 * torch.randn(16, 4, generator=draw, dtype=torch.float64)
    action = torch.randn(16, 1, generator=draw, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        cost.stage, (state.requires_grad_(), action.requires_grad_()))


@pytest.mark.parametrize('bad', [nan, inf, -inf])
@pytest.mark.parametrize('place', range(5))
def test_never_finite_where_a_number_is_not(bad, place):
    numbers = torch.cat([GOAL, torch.zeros(1)])
    numbers[place] = bad  # the rates have no term at all
    assert not torch.isfinite(TaskCost(CARTPOLE, SPEC).stage(numbers[:4], numbers[4:]))


def test_nothing_in_it_is_learned_and_it_moves_to_a_device():
    cost = TaskCost(CARTPOLE, SPEC)
    assert list(cost.parameters()) == []
    cost.to('meta')
    found = cost.stage(torch.zeros(2, 3, 4, device='meta'), torch.zeros(2, 3, 1, device='meta'))
    assert found.device.type == 'meta'
    assert found.shape == (2, 3)


@pytest.mark.parametrize(('term', 'words'), [
    (('t', 'cubic', 'cart.x', 1.0), 'angle, quadratic, saturating, barrier'),
    (('t', 'quadratic', 'cart.x', -1.0), 'weight'),
    (('t', 'quadratic', 'cart.x', nan), 'weight'),
    (('t', 'saturating', 'cart.x', 1.0, 0.0, 0.0, 0.0), 'width')])
def test_wrong_terms_are_refused(term, words):
    with pytest.raises(SettingsError, match=words):
        TermSpec(*term)


def test_terms_that_do_not_fit_the_robot_are_refused():
    with pytest.raises(SettingsError, match='cart.x, pole.angle'):
        TaskCost(CARTPOLE, CostSpec('t', 1.0, (TermSpec('t', 'angle', 'elbow', 1.0),)))
    with pytest.raises(SettingsError, match='use kind angle'):
        TaskCost(CARTPOLE, CostSpec('t', 1.0, (TermSpec('t', 'quadratic', 'pole.angle', 1.0),)))
    with pytest.raises(SettingsError, match='each name once'):
        CostSpec('t', 1.0, (TermSpec('t', 'angle', 'pole.angle', 1.0),) * 2)
    with pytest.raises(SettingsError, match='discount'):
        CostSpec('t', 1.5, SPEC.terms)


@pytest.mark.parametrize('terms', [SPEC.terms, SPEC.terms[:1], SPEC.terms[3:4] + (
    TermSpec('near', 'saturating', 'cart.x', 3.0, goal=0.5, width=0.8),)])
def test_expansion_is_what_two_reverse_passes_find(terms):
    cost = TaskCost(CARTPOLE, CostSpec('swingup', 0.98, terms)).double()
    assert isinstance(cost, ExpandableCost)
    draw = torch.Generator().manual_seed(3)
    points = 2.0 * torch.randn(40, 5, generator=draw).double()
    gradient, hessian = cost.expansion(points[:, :4], points[:, 4:])
    expected = gradient_and_hessian(lambda at: cost.stage(at[..., :4], at[..., 4:]), points)
    torch.testing.assert_close(gradient, expected[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(hessian, expected[1], rtol=1e-12, atol=1e-12)


def test_expansion_at_the_edge_of_a_barrier_and_where_nothing_is_a_number():
    cost = TaskCost(CARTPOLE, SPEC)
    state = torch.tensor([[1.6, pi, 0.0, 0.0], [-1.7, pi, 0.0, 0.0], [nan, nan, 0.0, 0.0]])
    gradient, hessian = cost.expansion(state, torch.zeros(3, 1))
    # 0.5 * 2 (x - 0.25); beyond the barrier also 100 * 2 * 0.1, outwards; curvature 2 * 0.5.
    torch.testing.assert_close(gradient[:2, 0], torch.tensor([1.35, -1.95 - 20.0]))
    torch.testing.assert_close(hessian[:2, 0, 0], torch.tensor([1.0, 201.0]))
    assert gradient[2, :2].isnan().all()
