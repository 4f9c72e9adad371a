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

"""A ball on a plane with a ridge: the same state and action lead to two outcomes."""

from jaxtyping import Bool, Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.types import Transition

# Greatest sideways acceleration of the ridge [m/s^2], its radius [m], and over what distance
# from its crest the side becomes certain [m].
PUSH, RADIUS, CREST = 8.0, 0.4, 0.3
# Process noise of the rates [m/s].
NOISE = 0.02
BALL = Layout(
    robot='ball', positions=('ball.x', 'ball.y'), actions=('ball.fx', 'ball.fy'), period_s=0.05,
    delay_ticks=0, angle=(False, False), invariant=(False, False), mirror_positions=(1.0, 1.0),
    mirror_actions=(1.0, 1.0), action_low=(-5.0, -5.0), action_high=(5.0, 5.0),
    noise_std=(0.001, 0.001, 0.01, 0.01), action_units=('N', 'N'))


class RidgeBall:
    """
    A ball of 1 kg, pushed by two forces; near the origin it is thrown to one side or the other.

    Each tick anew: to +y with probability sigmoid(y / CREST), else to -y, by
    an acceleration of ``PUSH exp(-|position|^2 / (2 RADIUS^2))``.

    :param seed: of the sides and of the noise.
    """

    def __init__(self, seed: int) -> None:
        """Seed the sides."""
        self._random = torch.Generator().manual_seed(seed)

    def step(self, state: Float[Tensor, 'B S'], action: Float[Tensor, 'B A']
             ) -> Float[Tensor, 'B S']:
        """Let one control period pass."""
        up = torch.rand(len(state), generator=self._random) < chance_up(state)
        ahead = outcome(state, action, up)
        noise = NOISE * torch.randn(len(state), 2, generator=self._random)
        return ahead + torch.cat([0.5 * BALL.period_s * noise, noise], dim=-1)


def middle(state: Float[Tensor, 'B S']) -> Float[Tensor, 'B n']:
    """Return the positions half a period on, where the ridge acts."""
    return state[..., :2] + 0.5 * BALL.period_s * state[..., 2:]


def chance_up(state: Float[Tensor, 'B S']) -> Float[Tensor, ' B']:
    """Return the probability of being thrown to +y."""
    return torch.sigmoid(middle(state)[..., 1] / CREST)


def outcome(state: Float[Tensor, 'B S'], action: Float[Tensor, 'B A'],
            up: Bool[Tensor, ' B']) -> Float[Tensor, 'B S']:
    """Return the next state without noise, if thrown to +y (true) or to -y."""
    push = PUSH * torch.exp(-0.5 * middle(state).square().sum(dim=-1) / RADIUS ** 2)
    side = torch.where(up, push, -push)
    gained = BALL.period_s * torch.stack([action[..., 0], action[..., 1] + side], dim=-1)
    moved = BALL.period_s * (state[..., 2:] + 0.5 * gained)
    return state + torch.cat([moved, gained], dim=-1)


def stream(count: int, seed: int) -> list[Transition]:
    """
    Record a ball that is driven to and fro over the plane, its commands shaken.

    :param count: transitions, consecutive.
    """
    random, ball = torch.Generator().manual_seed(seed), RidgeBall(seed + 1)
    state, rows, goal = torch.zeros(1, 4), list[Transition](), torch.zeros(1, 2)
    for tick in range(count):
        if tick % 15 == 0:
            goal = 0.6 * (2.0 * torch.rand(1, 2, generator=random) - 1.0)
        shaken = 2.0 * torch.randn(1, 2, generator=random)
        action = (6.0 * (goal - state[:, :2]) - 3.0 * state[:, 2:] + shaken).clamp(-5.0, 5.0)
        ahead = ball.step(state, action)
        rows.append(Transition(state[0], action[0], ahead[0]))
        state = ahead
    return rows
