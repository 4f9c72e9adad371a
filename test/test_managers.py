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

"""Transitions are made once each, whichever answers are lost on the way."""

import time

import pytest
from ros_bench import bench

from hlai_control.configurator.transitions import ACTIVE, INACTIVE, UNCONFIGURED
from hlai_control.errors import GraphError
from hlai_control.ros.lifecycle import ManagedNode
from hlai_control.ros.managers import bring, set_parameters, state_of
from hlai_control.ros.scripts import Caller
from hlai_control.settings import PlannerSettings

# Much longer than a test may take: nothing here is waited for until its bound.
BOUND_S = 60.0


class Subject(ManagedNode):
    """Writes down what it is told to do."""

    def __init__(self) -> None:
        """Begin with nothing wrong."""
        self.steps: list[str] = []
        self.wrong = False
        super().__init__('subject', 'Test', [PlannerSettings])

    def setup(self, run) -> None:
        """Fail if told to."""
        self.steps.append('setup')
        if self.wrong:
            raise GraphError('as told')

    def start(self) -> None:
        """Record."""
        self.steps.append('start')

    def teardown(self) -> None:
        """Record."""
        self.steps.append('teardown')


@pytest.fixture
def stand():
    with bench() as made:
        made.subject = made.add(Subject())
        made.caller = Caller(made.node('caller'), BOUND_S, 3, 20.0)
        yield made


def finish(stand, script):
    outcome = []

    def watched():
        outcome.append((yield from script))

    turns = watched()
    began_s = time.monotonic()
    stand.until(lambda: next(turns, outcome) is outcome, 'end of the script')
    assert time.monotonic() - began_s < BOUND_S / 3
    return outcome[0]


def lose(service, answers: int) -> list[object]:
    """Have the first answers of a service lost, and return them as they are."""
    send, lost = service.send_response, []

    def sometimes(response, header) -> None:
        if len(lost) < answers:
            lost.append(response)
        else:
            send(response, header)

    service.send_response = sometimes
    return lost


@pytest.mark.parametrize('answers', [0, 1, 2])
def test_a_transition_whose_answer_is_lost_is_noticed_by_the_state(stand, answers):
    subject = stand.subject
    lost = lose(subject._service_change_state, answers)
    finish(stand, bring(stand.caller, 'subject', ACTIVE))
    assert subject.active and subject.steps == ['setup', 'start']
    assert [response.success for response in lost] == [True] * answers
    assert finish(stand, state_of(stand.caller, 'subject')) == ACTIVE
    finish(stand, bring(stand.caller, 'subject', UNCONFIGURED))
    assert subject.steps == ['setup', 'start', 'teardown']


def test_every_first_answer_may_be_lost(stand):
    subject = stand.subject
    for service in (subject._service_change_state, subject._service_get_state):
        lose(service, 1)
    finish(stand, bring(stand.caller, 'subject', INACTIVE))
    assert subject.steps == ['setup']
    finish(stand, set_parameters(stand.caller, 'subject', {'planner.horizon': 7}))
    assert subject.get_parameter('planner.horizon').value == 7


@pytest.mark.parametrize('answers', [0, 1])
def test_a_refusal_is_no_loss(stand, answers):
    stand.subject.wrong = True
    if answers:
        # The state tells no difference between a refusal and a request that is not served yet:
        # asked again after its bound, the node refuses again.
        stand.caller = Caller(stand.node('hasty'), 1.0, 3, 20.0)
    lose(stand.subject._service_change_state, answers)
    with pytest.raises(GraphError, match='subject refused to configure'):
        finish(stand, bring(stand.caller, 'subject', ACTIVE))
    assert set(stand.subject.steps) == {'setup', 'teardown'}
