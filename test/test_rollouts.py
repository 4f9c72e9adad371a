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

"""Training over several steps: what follows what, and the gradient of what is foreseen."""

import pytest
from test_learner import cartpole_data, cartpole_step
import torch
from toys import CARTPOLE

from hlai_control.learning.replay import Replay
from hlai_control.learning.spans import alone, following, Spans, together
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Batch, generator, Transition
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.learner import WorldModelLearner
from hlai_control.world_model.rollouts import Rollouts

LONG = 4


def motion(count: int, seed: int = 0, noise: float = 0.0) -> Batch:
    """Push a cart-pole at random, one step after the other; measured with noise."""
    draw = torch.Generator().manual_seed(seed)
    state, states = torch.zeros(4), []
    pushes = torch.rand(count, 1, generator=draw) * 20.0 - 10.0
    for push in pushes:
        states.append(state)
        state = cartpole_step(state, push)
    seen = torch.stack([*states, state])
    seen = seen + noise * torch.randn(seen.shape, generator=draw)
    return Batch(seen[:-1], pushes, seen[1:])


def filled(rows: Batch, capacity: int = 1024) -> Replay:
    replay = Replay(CARTPOLE, capacity)
    for row in zip(rows.state, rows.action, rows.next_state, strict=True):
        replay.add(Transition(*row))
    return replay


def holds(spans: Spans, rows: Batch) -> None:
    """Check each joined step against the row that came so much later."""
    for state, actions, ahead, joined in zip(spans.state, spans.action, spans.ahead,
                                             spans.joined, strict=True):
        at = int((rows.state == state).all(dim=-1).nonzero()[0])
        for k in range(int(joined.sum())):
            assert torch.equal(actions[k], rows.action[at + k])
            assert torch.equal(ahead[k], rows.next_state[at + k])


def test_spans_are_what_followed_and_cross_no_gap():
    rows = motion(60)
    # A tick was dropped after the 20th, and the robot put back after the 40th.
    kept = [i for i in range(60) if i != 20]
    gap = Batch(*(part[kept] for part in (rows.state, rows.action, rows.next_state)))
    gap = Batch(gap.state.clone(), gap.action, gap.next_state)
    gap.state[39] = 0.5
    spans = filled(gap).spans(500, LONG, torch.Generator().manual_seed(0))
    holds(spans, gap)
    whole = {int((gap.state == state).all(dim=-1).nonzero()[0]): int(joined.sum())
             for state, joined in zip(spans.state, spans.joined, strict=True)}
    assert len(whole) == 59
    for at, length in whole.items():
        ends = min(end for end in (20, 39, 59) if end > at)
        assert length == min(LONG, ends - at), at


def test_rows_that_have_left_are_alone_and_the_ring_joins_its_ends():
    rows = motion(100)
    replay = filled(rows, capacity=32)
    spans = replay.spans(800, LONG, torch.Generator().manual_seed(0))
    holds(spans, rows)
    at = torch.tensor([int((rows.state == state).all(dim=-1).nonzero()[0])
                       for state in spans.state])
    length = spans.joined.sum(dim=-1)
    assert (length[at < 68] == 1).all() and (at < 68).any()
    assert torch.equal(length[at >= 68], (100 - at[at >= 68]).clamp_max(LONG))
    # The same generator draws the same first steps as one-step training.
    one = replay.sample(800, torch.Generator().manual_seed(0))
    assert torch.equal(one.state, spans.state) and torch.equal(one.action, spans.action[:, 0])


def test_one_step_is_what_it_was_and_parts_keep_their_member():
    rows = motion(12)
    at = torch.arange(12)
    first = following(rows, at, 1)
    assert torch.equal(first.ahead[:, 0], rows.next_state) and first.joined.all()
    laid = together([following(rows, at, LONG), alone(rows, LONG)], 3)
    assert laid.state.shape == (3, 8, 4) and laid.action.shape == (3, 8, LONG, 1)
    assert torch.equal(laid.state[1, :4], rows.state[4:8])
    assert laid.joined[:, 4:, 1:].sum() == 0


def learned(settings: WorldModelSettings) -> WorldModelLearner:
    learner = WorldModelLearner(CARTPOLE, settings, generator(0, 'test'))
    for transition in cartpole_data(40, seed=1):
        learner.add(transition)
    assert learner.dynamics.members == settings.members
    return learner


def test_foresees_as_planning_does():
    dynamics = learned(WorldModelSettings(members=2)).dynamics
    assert isinstance(dynamics, EnsembleDynamics)
    rows = motion(20, seed=3)
    start = rows.state.expand(2, -1, -1)
    with torch.no_grad():
        found = Rollouts(CARTPOLE, dynamics).ahead(start, rows.action.expand(2, -1, -1))
    torch.testing.assert_close(found, dynamics.step(start, rows.action), atol=1e-5, rtol=1e-5)


def test_what_is_foreseen_exactly_costs_nothing_and_what_is_not_joined_does_not_count():
    dynamics = learned(WorldModelSettings(members=2)).dynamics
    rollouts, rows = Rollouts(CARTPOLE, dynamics), motion(8, seed=3)
    state, actions = rows.state[:1].expand(2, 1, -1), rows.action[:LONG].expand(2, 1, -1, -1)
    with torch.no_grad():
        ahead = [state]
        for k in range(LONG):
            ahead.append(rollouts.ahead(ahead[-1], actions[..., k, :]))
        foreseen = torch.stack(ahead[1:], dim=-2)
        # A whole turn more is the same angle.
        foreseen[..., 2, 1] += 2.0 * torch.pi
        joined = torch.ones(2, 1, LONG, dtype=torch.bool)
        assert rollouts.later(Spans(state, actions, foreseen, joined)) < 1e-8
        foreseen[..., 3, :] += 1.0
        wrong = rollouts.later(Spans(state, actions, foreseen, joined))
        expected = rollouts.unit(4).reciprocal().square().sum() / (4 * (LONG - 1))
        torch.testing.assert_close(wrong, expected)
        joined[..., 3] = False
        assert rollouts.later(Spans(state, actions, foreseen, joined)) < 1e-8


@pytest.mark.parametrize('name', ['w1', 'w2', 'b1'])
def test_gradient_is_the_finite_difference(name):
    dynamics = learned(WorldModelSettings(members=2, hidden=8)).dynamics.double()
    rollouts = Rollouts(CARTPOLE, dynamics)
    rows = motion(24, seed=3)
    rows = Batch(*(part.double() for part in (rows.state, rows.action, rows.next_state)))
    spans = together([following(rows, torch.arange(20), LONG)], 2)
    part = dict(dynamics.named_parameters())[f'trunk.{name}']
    rollouts.later(spans).backward()
    assert part.grad is not None
    way = torch.randn(part.shape, generator=torch.Generator().manual_seed(5),
                      dtype=torch.float64)
    along, ends = float((part.grad * way).sum()), []
    with torch.no_grad():
        for step in (1e-6, -2e-6):
            part += step * way
            ends.append(float(rollouts.later(spans)))
    assert along == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4)


def test_learning_over_several_steps_goes_on_from_a_copy_and_foresees_well():
    settings = WorldModelSettings(members=2, loss_steps=LONG)
    learner = WorldModelLearner(CARTPOLE, settings, generator(0, 'test'))
    rows = motion(200, seed=1, noise=0.01)
    learner.extend(rows)
    for _ in range(30):
        learner.update()
    again = WorldModelLearner(CARTPOLE, settings, generator(0, 'test'))
    again.extend(rows)
    again.resume(learner.progress())
    assert learner.update() == again.update()
    for _ in range(100):
        learner.update()
    unseen = motion(40, seed=2)
    with torch.no_grad():
        ahead = unseen.state[::5].expand(2, -1, -1)
        for k in range(5):
            ahead = learner.dynamics.step(ahead, unseen.action[k::5])
        error = ahead.mean(dim=0) - unseen.next_state[4::5]
        stayed = unseen.state[::5] - unseen.next_state[4::5]
    assert error.square().mean() < 0.05 * stayed.square().mean()
