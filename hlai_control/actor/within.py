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


"""Commands within constraints on commands alone, which need no world model to be kept."""

from jaxtyping import Float, Int
import torch
from torch import Tensor

from hlai_control.protocols import ConstraintFunction

# Parts into which the way to a command is divided.
_PARTS = 64


def reachable(wanted: Float[Tensor, 'T A'], last: Float[Tensor, ' A'],
              start: Float[Tensor, ' S'], constraints: ConstraintFunction | None
              ) -> Float[Tensor, 'T A']:
    """
    Go from each command as far towards the next as constraints allow.

    Each actuator goes as far as it may on its own, then all of them together.
    Where no part of the way is allowed, it is the part that violates least.
    Constraints on the state are left to whoever has a world model; those on
    command and state are looked at in the state now.

    :param wanted: commands, within their limits as is the last.
    :param last: the command before them.
    :param start: the state now.
    """
    if constraints is None or all(constraints.of_state):
        return wanted
    given, before = list[Tensor](), last
    for target in wanted:
        way = _furthest(torch.diag(target - before), before, start, constraints).sum(dim=0)
        before = before + _furthest(way.unsqueeze(0), before, start, constraints)[0]
        given.append(before)
    return torch.stack(given)


def _furthest(ways: Float[Tensor, 'W A'], before: Float[Tensor, ' A'], start: Float[Tensor, ' S'],
              constraints: ConstraintFunction) -> Float[Tensor, 'W A']:
    """Return as much of each way as is allowed."""
    parts = torch.linspace(1.0, 0.0, _PARTS + 1, dtype=ways.dtype, device=ways.device)
    tried = before + parts[:, None, None] * ways
    found = constraints.values(start.expand(*tried.shape[:-1], -1), tried, before.expand_as(tried))
    of_state = torch.tensor(constraints.of_state, device=ways.device)
    over = torch.where(of_state, 0.0, torch.relu(found.nan_to_num(nan=torch.inf))).sum(dim=-1)
    first: Int[Tensor, ' W'] = over.argmin(dim=0)  # the first of equals, so the furthest
    return parts[first].unsqueeze(-1) * ways
