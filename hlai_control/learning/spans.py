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

"""Steps that follow each other, as training over several steps needs them."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
import torch
from torch import Tensor

from hlai_control.types import Batch


@dataclass(frozen=True)
class Spans:
    """
    B drawn steps, each with those that followed, L in all.

    :param state: where each span begins.
    :param action: commands in effect during each step.
    :param ahead: measured states at the end of each step.
    :param joined: whether a step belongs to its span; the first always does.
    """

    state: Float[Tensor, '*B S']
    action: Float[Tensor, '*B L A']
    ahead: Float[Tensor, '*B L S']
    joined: Bool[Tensor, '*B L']


def alone(rows: Batch, length: int) -> Spans:
    """
    Make spans of steps of which nobody knows what followed.

    :param length: L.
    """
    joined = torch.zeros(len(rows.state), length, dtype=torch.bool)
    joined[:, 0] = True
    return Spans(rows.state, rows.action.unsqueeze(1).expand(-1, length, -1),
                 rows.next_state.unsqueeze(1).expand(-1, length, -1), joined)


def following(rows: Batch, at: Int[Tensor, ' B'], length: int) -> Spans:
    """
    Cut spans out of rows in their order.

    A step follows another if it begins with the very numbers with which the
    other ended: both are then the same measurement. After a gap, a restart or
    a dropped tick they are not, however the rows were stored; so no span
    crosses one, and nothing else need be remembered about the rows.

    :param rows: oldest first.
    :param at: where spans begin.
    :param length: L.
    """
    numbers = at.unsqueeze(1) + torch.arange(length)
    within = numbers.clamp_max(len(rows.state) - 1)
    begin, ahead = rows.state[within], rows.next_state[within]
    return Spans(begin[:, 0], rows.action[within], ahead, _joined(
        begin, ahead, numbers < len(rows.state)))


def together(parts: list[Spans], members: int) -> Spans:
    """
    Lay spans out for an ensemble, each member its own.

    :param parts: of each, the first rows are the first member's.
    :param members: E.
    """
    def laid(alike: list[Tensor]) -> Tensor:
        return torch.cat([rows.reshape(members, -1, *rows.shape[1:]) for rows in alike], dim=1)

    return Spans(laid([part.state for part in parts]), laid([part.action for part in parts]),
                 laid([part.ahead for part in parts]), laid([part.joined for part in parts]))


def _joined(begin: Float[Tensor, 'B L S'], ahead: Float[Tensor, 'B L S'],
            exists: Bool[Tensor, 'B L']) -> Bool[Tensor, 'B L']:
    joined = exists.clone()
    joined[:, 1:] &= (begin[:, 1:] == ahead[:, :-1]).all(dim=-1)
    return joined.cumprod(dim=1).bool()
