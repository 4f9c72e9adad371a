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

"""Which lifecycle transitions lead from one state to another; plain data, no ROS."""

from dataclasses import dataclass

from hlai_control.errors import GraphError

UNCONFIGURED, INACTIVE, ACTIVE = 'unconfigured', 'inactive', 'active'
CONFIGURE, ACTIVATE, DEACTIVATE, CLEANUP = 'configure', 'activate', 'deactivate', 'cleanup'

_LADDER = (UNCONFIGURED, INACTIVE, ACTIVE)
_UP = (CONFIGURE, ACTIVATE)
_DOWN = (CLEANUP, DEACTIVATE)


@dataclass(frozen=True)
class Step:
    """
    One transition.

    :param name: ``configure``, ``activate``, ``deactivate`` or ``cleanup``.
    :param reached: the primary state that it leads to.
    """

    name: str
    reached: str


def steps(state: str, target: str) -> tuple[Step, ...]:
    """
    Name the transitions from one primary state to another.

    :raises GraphError: if a state is not one that transitions start from
        (a node in the middle of a transition, or finalised).
    """
    for label in (state, target):
        if label not in _LADDER:
            raise GraphError(f'lifecycle state {label!r}; valid: {", ".join(_LADDER)}')
    begin, end = _LADDER.index(state), _LADDER.index(target)
    if begin <= end:
        return tuple(Step(_UP[i], _LADDER[i + 1]) for i in range(begin, end))
    return tuple(Step(_DOWN[i - 1], _LADDER[i - 1]) for i in range(begin, end, -1))
