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

"""The managed node: what each transition does, refuses and tells."""

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import pytest
from rclpy.parameter import Parameter
from ros_bench import bench
from std_msgs.msg import String

from hlai_control.errors import SettingsError
from hlai_control.ros.diagnostics import ERROR
from hlai_control.ros.lifecycle import ManagedNode
from hlai_control.ros.qos import DIAGNOSTICS, LATCHED, VIEW
from hlai_control.settings import PlannerSettings

CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE = (
    Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE)


class Subject(ManagedNode):
    """Records what happens to it, and fails where it is told to."""

    def __init__(self) -> None:
        """Begin with nothing wrong."""
        self.steps: list[str] = []
        self.heard: list[str] = []
        self.wrong: dict[str, Exception] = {}
        super().__init__('subject', 'Test', [PlannerSettings])

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.wrong:
            raise self.wrong[name]

    def setup(self, run) -> None:
        """Create one endpoint of each kind."""
        self.run = run
        self.speak(String, 'spoken', VIEW)
        self.listen(String, 'heard', lambda message: self.heard.append(message.data), VIEW)
        self.listen_always(String, 'function', lambda message: self.heard.append(message.data),
                           LATCHED)
        self._step('setup')

    def start(self) -> None:
        """Record."""
        self._step('start')

    def stop(self) -> None:
        """Record."""
        self._step('stop')

    def teardown(self) -> None:
        """Record."""
        self._step('teardown')


@pytest.fixture
def stand():
    with bench() as made:
        made.statuses = []
        other = made.node('other')
        other.create_subscription(DiagnosticArray, '/diagnostics',
                                  lambda m: made.statuses.append(m.status[0]), DIAGNOSTICS)
        made.other = other
        yield made


@pytest.fixture
def subject(stand):
    return stand.add(Subject())


def _change(stand, transition: int) -> bool:
    request = Transition(id=transition)
    return stand.call(ChangeState, 'subject/change_state', transition=request).success


def _state(stand) -> str:
    return stand.call(GetState, 'subject/get_state').current_state.label


def test_up_and_down_twice_step_by_step(stand, subject):
    for _ in range(2):
        subject.steps.clear()
        assert _state(stand) == 'unconfigured' and not subject.active
        for transition, state in ((CONFIGURE, 'inactive'), (ACTIVATE, 'active'),
                                  (DEACTIVATE, 'inactive'), (ACTIVATE, 'active'),
                                  (DEACTIVATE, 'inactive'), (CLEANUP, 'unconfigured')):
            assert _change(stand, transition)
            assert _state(stand) == state
            assert subject.active == (state == 'active')
        assert subject.steps == ['setup', 'start', 'stop', 'start', 'stop', 'teardown']


def test_wrong_transitions_are_refused_and_do_nothing(stand, subject):
    """One of them, a call repeated because its answer came late say, ended the process."""
    for transition in (ACTIVATE, DEACTIVATE, CLEANUP, 0, 255):
        assert not _change(stand, transition)
    assert not stand.call(ChangeState, 'subject/change_state',
                          transition=Transition(label='fly')).success
    assert _change(stand, CONFIGURE) and not _change(stand, CONFIGURE)
    assert subject.steps == ['setup'] and _state(stand) == 'inactive'
    assert subject.diagnostics.counts()['change_state: not possible in this state'] == 6


def test_acts_only_while_active_but_functions_always_count(stand, subject):
    speak = {topic: stand.other.create_publisher(String, topic, qos)
             for topic, qos in (('heard', VIEW), ('function', LATCHED))}

    def say(text: str) -> None:
        before = subject.handled
        for topic, publisher in speak.items():
            publisher.publish(String(data=f'{topic} {text}'))
        stand.until(lambda: subject.handled == before + 2, 'both messages')

    _change(stand, CONFIGURE)
    stand.until(lambda: all(p.get_subscription_count() for p in speak.values()), 'match')
    say('while inactive')
    _change(stand, ACTIVATE)
    say('while active')
    _change(stand, DEACTIVATE)
    say('after')
    assert sorted(subject.heard) == ['function after', 'function while active',
                                     'function while inactive', 'heard while active']


def _endpoints(stand) -> tuple[int, int, int]:
    other = stand.other
    return (other.count_publishers('spoken'), other.count_subscribers('heard'),
            other.count_subscribers('function'))


def test_endpoints_live_from_configure_to_cleanup(stand, subject):
    assert _endpoints(stand) == (0, 0, 0)
    _change(stand, CONFIGURE)
    stand.until(lambda: _endpoints(stand) == (1, 1, 1), 'endpoints')
    _change(stand, CLEANUP)
    stand.until(lambda: _endpoints(stand) == (0, 0, 0), 'their end')


@pytest.mark.parametrize(('error', 'told', 'logged'), [
    (SettingsError('horizon = 0; valid: 1'), 'failed to configure: horizon = 0; valid: 1',
     'horizon = 0; valid: 1'),
    (ZeroDivisionError('a defect'), 'failed to configure; the log has the traceback',
     'ZeroDivisionError: a defect')])
def test_what_setup_raises_refuses_the_transition_and_is_told(stand, subject, capfd, error,
                                                              told, logged):
    subject.wrong['setup'] = error
    assert not _change(stand, CONFIGURE)
    assert _state(stand) == 'unconfigured'
    stand.until(lambda: any((s.message, s.level) == (told, ERROR) for s in stand.statuses), told)
    assert logged in capfd.readouterr().err
    stand.until(lambda: _endpoints(stand) == (0, 0, 0), 'end of what setup had opened')
    subject.wrong.clear()  # the remedy is applied: the same node goes on
    assert _change(stand, CONFIGURE) and _change(stand, ACTIVATE) and subject.active


def test_a_wrong_parameter_refuses_configure(stand, subject, capfd):
    subject.set_parameters([Parameter('mode', value='fast')])
    assert not _change(stand, CONFIGURE)
    assert 'valid: realtime, lockstep' in capfd.readouterr().err
    subject.set_parameters([Parameter('mode', value='lockstep')])
    assert _change(stand, CONFIGURE) and subject.run.lockstep


def test_a_start_that_fails_leaves_it_inactive(stand, subject):
    subject.wrong['start'] = ValueError('x')
    _change(stand, CONFIGURE)
    assert not _change(stand, ACTIVATE)
    assert _state(stand) == 'inactive' and not subject.active


def test_the_way_down_is_never_refused(stand, subject):
    subject.wrong = {'stop': ValueError('x'), 'teardown': ValueError('y')}
    _change(stand, CONFIGURE)
    _change(stand, ACTIVATE)
    assert _change(stand, DEACTIVATE) and not subject.active
    assert _change(stand, CLEANUP) and _state(stand) == 'unconfigured'
    stand.until(lambda: _endpoints(stand) == (0, 0, 0), 'end of the endpoints')


def test_shutdown_and_close_stop_an_active_node_once(stand, subject):
    _change(stand, CONFIGURE)
    _change(stand, ACTIVATE)
    assert _change(stand, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert _state(stand) == 'finalized'
    subject.close()
    assert subject.steps == ['setup', 'start', 'stop'] and not subject.active


def test_a_failing_stop_does_not_keep_it_from_leaving(stand, subject):
    subject.wrong['stop'] = ValueError('x')
    _change(stand, CONFIGURE)
    _change(stand, ACTIVATE)
    subject.close()
    assert not subject.active
    told = 'failed to stop; the log has the traceback'
    stand.until(lambda: any(s.message == told for s in stand.statuses), told)


def test_diagnostics_tell_the_lifecycle_and_who_is_missing(stand, subject):
    def newest() -> dict[str, str]:
        mine = [s for s in stand.statuses if s.name == '/subject: Test']
        return {item.key: item.value for item in mine[-1].values} if mine else {}

    assert _change(stand, CONFIGURE)
    stand.until(lambda: newest().get('lifecycle') == 'inactive', 'inactive')
    assert newest()['missing'] == 'not active'
    assert _change(stand, ACTIVATE)
    stand.until(lambda: newest().get('missing') == '', 'nobody missing')
    assert newest()['lifecycle'] == 'active'
