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

"""Diagnostics on the wire: every count, bounded whatever is counted."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import pytest
from rclpy.serialization import serialize_message
from ros_bench import bench

from hlai_control.ros.diagnostics import Diagnostics, ERROR, MAX_REASONS, MAX_TEXT, OTHER
from hlai_control.ros.qos import DIAGNOSTICS


@pytest.fixture(scope='module')
def stand():
    with bench() as made:
        yield made


@pytest.fixture
def heard(stand):
    """Diagnostics of a node, and the list of what a listener has heard."""
    node = stand.node('subject')
    listener = stand.node('listener')
    messages: list[DiagnosticArray] = []
    listener.create_subscription(DiagnosticArray, '/diagnostics', messages.append, DIAGNOSTICS)
    diagnostics = Diagnostics(node, 'Component')
    stand.until(lambda: node.count_subscribers('/diagnostics'), 'listener')
    stand.until(lambda: listener.count_publishers('/diagnostics'), 'subject')

    def newest() -> DiagnosticStatus:
        count = len(messages)
        diagnostics.publish()
        stand.until(lambda: len(messages) > count, 'diagnostics')
        return messages[-1].status[0]

    yield diagnostics, newest, messages
    stand.remove(node)
    stand.remove(listener)


def test_carries_name_state_facts_and_counts(heard, stand):
    diagnostics, newest, messages = heard
    assert diagnostics.fact('transitions', 3) and not diagnostics.fact('transitions', 3)
    assert diagnostics.fact('transitions', 4)
    for amount in (1, 1, 5):
        diagnostics.count('joint_states: non-finite', amount)
    status = newest()
    assert status.name == '/subject: Component' and status.hardware_id == 'hlai_control'
    values = {item.key: item.value for item in status.values}
    assert values == {'transitions': '4', 'joint_states: non-finite': '7'}
    assert diagnostics.counts() == {'joint_states: non-finite': 7}


def test_warns_once_for_new_counts_and_then_is_well_again(heard):
    diagnostics, newest, _ = heard
    assert newest().level == DiagnosticStatus.OK
    diagnostics.count('state: backward stamp')
    assert newest().level == DiagnosticStatus.WARN
    assert newest().level == DiagnosticStatus.OK


def test_a_change_of_state_is_told_at_once_and_only_a_change(heard, stand):
    diagnostics, newest, messages = heard
    diagnostics.state('failed', ERROR)
    stand.until(lambda: messages, 'the change')
    assert (messages[0].status[0].level, messages[0].status[0].message) == (ERROR, 'failed')
    diagnostics.state('failed', ERROR)
    diagnostics.count('more')
    assert newest().level == ERROR  # counts do not hide an error
    assert len(messages) == 2


def test_reasons_without_end_stay_bounded(heard):
    """A reason quotes what was received: different each time, it grew without bound."""
    diagnostics, newest, _ = heard
    for k in range(1000):
        diagnostics.count(f'task: {k} ' + 'x' * 10_000)
    diagnostics.state('y' * 100_000)
    diagnostics.fact('missing', 'z' * 100_000)
    counts = diagnostics.counts()
    assert sum(counts.values()) == 1000 and len(counts) == MAX_REASONS + 1
    assert counts[OTHER] == 1000 - MAX_REASONS
    status = newest()
    assert len(status.message) == MAX_TEXT and status.message.endswith('…')
    assert len(serialize_message(status)) < 64 * 1024


@pytest.mark.parametrize('hostile', ['half \ud800 a character', 'a\0b', '\x1b[2J', 'ünïcode 字'])
def test_any_text_can_be_told(heard, hostile):
    """Half a surrogate pair in what was received once ended the process."""
    diagnostics, newest, _ = heard
    diagnostics.count(hostile)
    diagnostics.fact('fact', hostile)
    diagnostics.state(hostile)
    status = newest()
    shown = hostile.replace('\ud800', '\\ud800').replace('\0', '\\0')
    assert status.message == shown
    assert {(item.key, item.value) for item in status.values} == {('fact', shown), (shown, '1')}
