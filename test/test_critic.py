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


"""The critic: harmless untrained, equal to known values once trained."""

import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.objective import gradient_and_hessian
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.critic.learner import CriticLearner
from hlai_control.critic.value import ValueNetwork
from hlai_control.protocols import ExpandableValue, ValueFunction
from hlai_control.settings import CriticSettings
from hlai_control.types import Batch, generator, Plan, Transition
from hlai_control.world_model.linear import LinearDynamics

DISCOUNT = 0.9
COST = TaskCost(MASS, CostSpec('test', DISCOUNT, (TermSpec('x', 'quadratic', 'x', 1.0),)))


def test_untrained_it_is_constant_and_never_negative():
    value = ValueNetwork(CARTPOLE, CriticSettings(), generator(0, 'test'))
    assert isinstance(value, ValueFunction)
    state = 10.0 * torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(0))
    for found in (value.value(state), value.untempered(state)):
        assert found.shape == (3, 50)
        assert float(found.detach().std()) == 0.0
        assert (found >= 0).all()
    assert torch.isnan(value.value(torch.full((4,), float('nan'))))


def trained(dynamics: LinearDynamics, updates: int) -> CriticLearner:
    learner = CriticLearner(MASS, COST, DISCOUNT,
                            CriticSettings(target_rate=0.2, learning_rate=5e-3, imagined_steps=3),
                            generator(0, 'test'))
    draw = torch.Generator().manual_seed(1)
    for _ in range(200):
        state = 4.0 * torch.rand(2, generator=draw) - 2.0
        action = 3.0 * torch.rand(1, generator=draw) - 1.0
        ahead = dynamics.step(state.expand(1, 1, -1), action.unsqueeze(0))[0, 0]
        learner.add(Transition(state, action, ahead))
    for _ in range(updates):
        learner.update(dynamics)
    return learner


def test_converges_to_the_known_value_of_a_decay():
    # s' = 0.8 s whatever the action: V = sum of 0.9^t (0.8^t x)^2 = x^2 / (1 - 0.9 * 0.64).
    dynamics = LinearDynamics(0.8 * torch.eye(2), torch.zeros(2, 1))
    learner = trained(dynamics, 500)
    value = learner.value
    x = torch.linspace(-1.5, 1.5, 7)
    states = torch.stack([x, torch.zeros(7)], dim=-1)
    torch.testing.assert_close(value.untempered(states), x.square() / (1 - 0.576),
                               rtol=0.1, atol=0.06 * float(value.unit))
    # It explains the steps that it judges itself by, for the greater part.
    for place in torch.linspace(-1.5, 1.5, 150):
        state = torch.stack([place, torch.zeros(())])
        learner.add(Transition(state, torch.zeros(1), 0.8 * state))
    assert float(learner.value.trust) > 0.7


def test_chooses_the_best_action_it_can_imagine():
    # x' = x + u with u in -1 .. 2: from x in -2 .. 1 one step reaches 0, so V = x^2.
    dynamics = LinearDynamics(torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
                              torch.tensor([[1.0], [0.0]]))
    value = trained(dynamics, 500).value
    x = torch.tensor([-1.8, -1.0, 0.0, 0.5, 0.9])
    states = torch.stack([x, torch.zeros(5)], dim=-1)
    # Five drawn actions miss zero by up to half a unit, which costs up to about 0.1.
    torch.testing.assert_close(value.untempered(states), x.square(),
                               rtol=0.1, atol=0.06 * float(value.unit))


def test_worthless_predictions_are_not_trusted():
    learner = trained(LinearDynamics(0.8 * torch.eye(2), torch.zeros(2, 1)), 300)
    draw = torch.Generator().manual_seed(2)
    for _ in range(300):  # steps that lead anywhere at all
        start, ahead = 4.0 * torch.rand(2, 2, generator=draw) - 2.0
        learner.add(Transition(start, torch.zeros(1), ahead))
    assert float(learner.value.trust) == 0.0
    assert float(learner.value.value(torch.ones(2)).detach()) == 0.0


@pytest.mark.parametrize('members', [1, 3])
def test_same_seed_same_critic(members):
    class Copies(LinearDynamics):
        """The same linear model several times over."""

        @property
        def members(self) -> int:
            return members

    dynamics = Copies(0.8 * torch.eye(2), torch.ones(2, 1))
    one, two = (trained(dynamics, 3).value.export() for _ in range(2)) if members == 1 else (
        _updated(dynamics) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def _updated(dynamics: LinearDynamics) -> dict[str, torch.Tensor]:
    learner = CriticLearner(MASS, COST, DISCOUNT, CriticSettings(), generator(0, 'test'))
    learner.add(Transition(torch.ones(2), torch.zeros(1), torch.ones(2)))
    losses = [learner.update(dynamics) for _ in range(3)]
    assert all(loss >= 0 for loss in losses)
    return learner.value.export()


def test_the_value_is_the_mean_of_the_members_and_a_share_of_their_spread():
    state = torch.randn(7, 4, generator=torch.Generator().manual_seed(4))
    for pessimism in (0.0, 2.0):
        network = ValueNetwork(CARTPOLE, CriticSettings(members=4, pessimism=pessimism),
                               generator(0, 'test'))
        with torch.no_grad():
            network.network.weight.normal_(generator=torch.Generator().manual_seed(5))
            network.trust.fill_(0.5)
            each = network.each(state)
            assert each.shape == (4, 7)
            spread = each.std(dim=0, correction=0)
            torch.testing.assert_close(network.spread(state), spread, rtol=1e-3, atol=2e-4)
            torch.testing.assert_close(network.value(state),
                                       0.5 * (each.mean(dim=0) + pessimism * spread),
                                       rtol=1e-3, atol=2e-4)


def test_members_agree_where_there_is_data_and_not_far_from_it():
    value = trained(LinearDynamics(0.8 * torch.eye(2), torch.zeros(2, 1)), 500).value
    value.ceiling.fill_(1e6)  # above it all would agree
    near = torch.stack([torch.linspace(-1.5, 1.5, 9), torch.zeros(9)], dim=-1)
    with torch.no_grad():
        assert float(value.spread(10.0 * near).mean()) > 5.0 * float(value.spread(near).mean())


def test_plans_teach_the_value_of_what_they_do():
    # s' = 0.8 s whatever is done: a plan of 3 steps from x costs x^2 (1 + 0.576 + 0.576^2).
    learner = trained(LinearDynamics(0.8 * torch.eye(2), torch.zeros(2, 1)), 0)
    draw = torch.Generator().manual_seed(6)
    for _ in range(200):
        begin = 4.0 * torch.rand(2, generator=draw) - 2.0
        states = torch.stack([0.8 ** t * begin for t in range(4)])
        learner.lessons.add(Plan(torch.zeros(3, 1), states, 0.0, 0.0, 1, 0))
    for _ in range(500):
        assert learner.practise() >= 0.0
    x = torch.linspace(-1.5, 1.5, 7)
    states = torch.stack([x, torch.zeros(7)], dim=-1)
    torch.testing.assert_close(learner.value.untempered(states), x.square() / (1 - 0.576),
                               rtol=0.1, atol=0.06 * float(learner.value.unit))


@pytest.mark.parametrize('pessimism', [0.0, 0.8])
def test_expansion_is_what_two_reverse_passes_find(pessimism):
    network = ValueNetwork(CARTPOLE, CriticSettings(hidden=8, pessimism=pessimism),
                           generator(0, 'test'))
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=draw)
        network.trust.fill_(0.7)
        network.unit.fill_(2.0)
        network.ceiling.fill_(3.0)
        network.features.scale.uniform_(0.5, 2.0, generator=draw)
    network = network.double()
    assert isinstance(network, ExpandableValue)
    state = 2.0 * torch.randn(40, 4, generator=draw).double()
    below = network.each(state) < 3.0
    assert 15 < int(below.sum()) < 105  # on both sides of the ceiling
    with torch.no_grad():
        gradient, hessian = network.expansion(state)
    expected = gradient_and_hessian(network.value, state)
    torch.testing.assert_close(gradient, expected[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(hessian, expected[1], rtol=1e-10, atol=1e-10)


def moved(count: int, seed: int) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    state = 4.0 * torch.rand(count, 2, generator=draw) - 2.0
    return Batch(state, 3.0 * torch.rand(count, 1, generator=draw) - 1.0, 0.8 * state)


def one_by_one(learner: CriticLearner, rows: Batch) -> None:
    for parts in zip(rows.state, rows.action, rows.next_state, strict=True):
        learner.add(Transition(*parts))


def fresh(cost: TaskCost = COST) -> CriticLearner:
    return CriticLearner(MASS, cost, DISCOUNT, CriticSettings(), generator(0, 'test'))


def test_many_at_once_scale_it_the_same_as_one_after_the_other():
    rows, single, bulk = moved(700, 8), fresh(), fresh()
    one_by_one(single, rows)
    bulk.extend(Batch(*(part[:300] for part in vars(rows).values())))
    bulk.extend(Batch(*(part[300:] for part in vars(rows).values())))
    torch.testing.assert_close(bulk._moments, single._moments, rtol=1e-12, atol=1e-12)
    one, other = single.value.export(), bulk.value.export()
    for name in one:
        torch.testing.assert_close(other[name], one[name], rtol=1e-6, atol=1e-7, msg=name)
    assert bulk.replay.total == 700


def test_a_value_learned_before_goes_on_where_it_was():
    known = trained(LinearDynamics(0.8 * torch.eye(2), torch.zeros(2, 1)), 500)
    one_by_one(known, moved(300, 9))
    after = CriticLearner(MASS, COST, DISCOUNT, CriticSettings(), generator(1, 'other'))
    after.extend(known.replay.latest(10_000))
    after.restore(known.value.export())
    states = moved(50, 10).state
    assert torch.equal(after.value.untempered(states), known.value.untempered(states))
    # Its slower copy, from which it learns, knows as much: learning does not begin anew.
    assert torch.equal(after.target.untempered(states), known.value.untempered(states))
    assert float(after.value.trust) == pytest.approx(float(known.value.trust), abs=0.05)
    assert float(known.value.trust) > 0.7


def test_for_another_cost_it_keeps_what_the_robot_did():
    other = TaskCost(MASS, CostSpec('other', DISCOUNT, (TermSpec('v', 'quadratic', 'x', 3.0),)))
    rows, before, afresh, after = moved(400, 11), fresh(), fresh(other), fresh(other)
    before.extend(rows)
    afresh.extend(rows)
    after.inherit(before)
    assert after.replay is before.replay
    for name, tensor in afresh.value.export().items():
        torch.testing.assert_close(after.value.export()[name], tensor, rtol=1e-5, atol=1e-6)
    empty = fresh(other)
    empty.inherit(fresh())
    assert empty.replay.total == 0
