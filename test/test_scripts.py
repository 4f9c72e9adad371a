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

"""Scripts of service calls: bounded, retried, side by side, and never blocking."""

import time

import pytest
from ros_bench import bench
from std_srvs.srv import Trigger

from hlai_control.errors import GraphError
from hlai_control.ros.scripts import Caller, either, pause, together, wait_for


@pytest.fixture(scope='module')
def stand():
    with bench() as made:
        yield made


def _finish(stand, script):
    """Give a script turns until it ends, serving the graph between them; return its result."""
    outcome = []

    def watched():
        outcome.append((yield from script))

    turns = watched()
    stand.until(lambda: next(turns, outcome) is outcome, 'end of the script')
    return outcome[0]


def _server(stand, name: str, answer):
    node = stand.node(name)
    node.create_service(Trigger, f'{name}/go', answer)
    return node


def _yes(_request, response):
    response.success, response.message = True, 'done'
    return response


def test_a_call_returns_the_answer(stand):
    _server(stand, 'quick', _yes)
    caller = Caller(stand.node('a'), 2.0, 3, 5.0)
    for _ in range(3):
        assert _finish(stand, caller.call(Trigger, 'quick/go', Trigger.Request())
                       ).message == 'done'


def test_a_server_that_appears_later_is_waited_for(stand):
    caller = Caller(stand.node('b'), 2.0, 1, 20.0)
    script = caller.call(Trigger, 'later/go', Trigger.Request())
    for _ in range(3):
        next(script)
    _server(stand, 'later', _yes)
    assert _finish(stand, script).success


def test_a_server_that_never_appears_is_named_within_the_bound(stand):
    caller = Caller(stand.node('c'), 1.0, 3, 0.2)
    began_s = time.monotonic()
    with pytest.raises(GraphError, match='nobody/go did not appear.*0.2 s'):
        _finish(stand, caller.call(Trigger, 'nobody/go', Trigger.Request()))
    assert 0.2 <= time.monotonic() - began_s < 5.0


def test_a_server_that_does_not_answer_is_asked_again_and_then_named(stand):
    calls = []
    silent = stand.node('silent')
    silent.create_service(Trigger, 'silent/go', lambda _request, _response: calls.append(1))
    other = stand.node('other')
    stand.until(lambda: dict(other.get_service_names_and_types()).get('/silent/go'), 'server')
    # A server that is known, and whose process serves nothing.
    stand.suspend(silent)
    caller = Caller(stand.node('d'), 0.1, 3, 5.0)
    began_s = time.monotonic()
    with pytest.raises(GraphError, match='silent/go did not answer 3 calls of 0.1 s'):
        _finish(stand, caller.call(Trigger, 'silent/go', Trigger.Request()))
    assert 0.3 <= time.monotonic() - began_s < 5.0
    assert not calls


def test_a_lost_first_answer_is_made_good_by_the_second_try(stand):
    node = _server(stand, 'hesitant', _yes)
    stand.suspend(node)
    caller = Caller(stand.node('e'), 0.2, 50, 5.0)
    script = caller.call(Trigger, 'hesitant/go', Trigger.Request())
    deadline_s = time.monotonic() + 0.5  # the first two calls get no answer in time
    stand.until(lambda: next(script) or time.monotonic() > deadline_s, 'half a second')
    stand.resume(node)
    assert _finish(stand, script).success


def test_a_lost_answer_of_what_may_be_done_twice_is_asked_for_again_soon(stand):
    served = []
    node = stand.node('lossy')
    service = node.create_service(
        Trigger, 'lossy/go', lambda request, response: served.append(1) or _yes(request, response))
    send = service.send_response
    # What the middleware does to an answer for whom it does not know yet.
    service.send_response = lambda response, header: len(served) > 1 and send(response, header)
    caller = Caller(stand.node('f'), 10.0, 2, 5.0)
    began_s = time.monotonic()
    assert _finish(stand, caller.call(Trigger, 'lossy/go', Trigger.Request(), 0.2)).success
    assert 0.2 <= time.monotonic() - began_s < 5.0
    assert len(served) >= 2


def test_a_late_first_answer_counts(stand):
    late = []
    node = stand.node('late')
    service = node.create_service(Trigger, 'late/go', _yes)
    send = service.send_response
    service.send_response = lambda *answer: late.append(answer)
    caller = Caller(stand.node('g'), 0.2, 50, 5.0)
    script = caller.call(Trigger, 'late/go', Trigger.Request())
    stand.until(lambda: next(script) or len(late) == 3, 'three calls')
    send(*late[0])
    assert _finish(stand, script).success


def test_either_ends_with_the_first_and_closes_the_others():
    closed = []

    def turns(count):
        try:
            for _ in range(count):
                yield
        finally:
            closed.append(count)
        return count

    script = either(turns(5), turns(2), pause(60.0))
    outcome = []

    def watched():
        outcome.append((yield from script))

    assert len(list(watched())) == 2
    assert outcome == [2] and sorted(closed) == [2, 5]


def test_pause_lets_time_pass():
    began_s = time.monotonic()
    assert all(turn is None for turn in pause(0.05))
    assert 0.05 <= time.monotonic() - began_s < 5.0


def test_wait_for():
    reached = []
    script = wait_for(lambda: len(reached) == 3, 10.0, 'never')
    for _ in range(3):
        next(script)
        reached.append(1)
    with pytest.raises(StopIteration):
        next(script)
    impatient = wait_for(lambda: False, 0.0, 'the graph did not join')
    with pytest.raises(GraphError, match=r'the graph did not join \(waited 0 s\)'):
        for _ in impatient:
            pass


def test_together_takes_turns_and_ends_with_the_longest():
    order = []

    def script(name, turns):
        for turn in range(turns):
            order.append((name, turn))
            yield

    turns = sum(1 for _ in together([script('a', 1), script('b', 3), script('c', 0)]))
    assert order == [('a', 0), ('b', 0), ('b', 1), ('b', 2)]
    assert turns == 3
    assert sum(1 for _ in together([])) == 0


def test_together_ends_all_with_the_first_error():
    order = []

    def failing():
        yield
        raise GraphError('first')

    def other():
        try:
            for turn in range(10):
                order.append(turn)
                yield
        finally:
            order.append('closed')

    with pytest.raises(GraphError, match='first'):
        for _ in together([failing(), other()]):
            pass
    assert order == [0, 'closed']
