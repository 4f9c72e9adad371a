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

"""The lifecycle's ladder, against the table of ROS's managed nodes."""

import pytest

from hlai_control.configurator.transitions import (
    ACTIVATE,
    ACTIVE,
    CLEANUP,
    CONFIGURE,
    DEACTIVATE,
    INACTIVE,
    steps,
    UNCONFIGURED,
)
from hlai_control.errors import GraphError

STATES = (UNCONFIGURED, INACTIVE, ACTIVE)
# https://design.ros2.org/articles/node_lifecycle.html
LEADS = {(UNCONFIGURED, CONFIGURE): INACTIVE, (INACTIVE, ACTIVATE): ACTIVE,
         (ACTIVE, DEACTIVATE): INACTIVE, (INACTIVE, CLEANUP): UNCONFIGURED}


@pytest.mark.parametrize('state', STATES)
@pytest.mark.parametrize('target', STATES)
def test_each_step_is_a_transition_of_the_state_before_it(state, target):
    path = steps(state, target)
    assert len(path) == abs(STATES.index(state) - STATES.index(target))
    for step in path:
        assert LEADS[state, step.name] == step.reached
        state = step.reached
    assert state == target


@pytest.mark.parametrize('label', ['configuring', 'finalized', 'errorprocessing', '', 'Active'])
def test_other_states_are_refused_with_the_valid_ones(label):
    for pair in ((label, ACTIVE), (ACTIVE, label)):
        with pytest.raises(GraphError, match='unconfigured, inactive, active'):
            steps(*pair)
