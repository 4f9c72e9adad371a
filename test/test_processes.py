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

"""The process parent, with real children: deaths are noticed, and nobody is left behind."""

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest
import yaml

from hlai_control.graph import NodeSpec
from hlai_control.parent.processes import environment, OBEY_S, Processes, RESPAWN_BACKOFF_S

WAIT_S = 20.0
# Children by module name. `told` is a line in the file "events": what, who, when.
TELL = """
import os, signal, sys, time
def tell(what):
    with open(os.path.join(os.environ['EVENTS'], 'events'), 'a') as file:
        file.write(f'{what} {__spec__.name} {time.monotonic()}\\n')
def leave(*_):
    tell('leaves')
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
"""
WAIT = """
tell('starts')
while True:
    signal.pause()
"""
SHOW = """
print(sys.argv[1:], os.environ['ROS_DOMAIN_ID'], os.getsid(0) == os.getpid(), flush=True)
"""
CHILDREN = {
    'good': TELL + WAIT,
    'guarding': TELL + WAIT,
    'slow': TELL.replace("tell('leaves')", "time.sleep(0.3); tell('leaves')") + WAIT,
    'stubborn': TELL + 'signal.signal(signal.SIGTERM, signal.SIG_IGN)' + WAIT,
    'dying': TELL + "tell('starts')\nfor k in range(20): print('line', k)\nsys.exit(3)\n",
    'settled': TELL + SHOW + WAIT}
PARENT = """
import sys
from pathlib import Path
from hlai_control.graph import NodeSpec
from hlai_control.parent.processes import Processes
names = ('good', 'slow')
run = Processes([NodeSpec(n, n, False) for n in names], {}, Path(sys.argv[1]), 99)
run.start()
sys.stdout.write(' '.join(str(run.pid(n)) for n in names) + '\\n')
sys.stdout.flush()
import signal
signal.pause()
"""


@pytest.fixture
def modules(tmp_path, monkeypatch) -> Path:
    """Put the children where Python finds them."""
    folder = tmp_path / 'modules'
    folder.mkdir()
    for name, text in CHILDREN.items():
        (folder / f'{name}.py').write_text(text)
    monkeypatch.setenv('PYTHONPATH', str(folder))
    monkeypatch.setenv('EVENTS', str(tmp_path))
    return tmp_path


@pytest.fixture
def make(modules) -> Iterator[Callable[..., Processes]]:
    """Build process parents of nodes by ``name=module``, and end all that is left."""
    made: list[Processes] = []

    def build(**specs: str) -> Processes:
        processes = Processes([NodeSpec(name, module, False) for name, module in specs.items()],
                              {'robot': 'cartpole', 'seed': 3}, modules / 'run', 99)
        made.append(processes)
        processes.start()
        return processes

    yield build
    for processes in made:
        processes.stop()


def _events(folder: Path) -> list[tuple[str, str, float]]:
    try:
        lines = (folder / 'events').read_text().splitlines()
    except FileNotFoundError:
        return []
    return [(what, who, float(when)) for what, who, when in map(str.split, lines)]


def _until(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f'no {what} in {WAIT_S} s'
        time.sleep(0.005)


def _started(folder: Path, *names: str) -> None:
    _until(lambda: {who for what, who, _ in _events(folder) if what == 'starts'} >= set(names),
           f'start of {names}')


def _runs(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_children_get_parameters_domain_log_and_a_session_of_their_own(make, modules):
    processes = make(node='settled')
    log = modules / 'run' / 'logs' / 'node.log'
    _until(lambda: log.exists() and log.read_text().endswith('\n'), 'log')
    parameters = modules / 'run' / 'parameters.yaml'
    expected = ['--ros-args', '-r', '__ns:=/hlai', '--params-file', str(parameters)]
    assert log.read_text() == f'{expected} 99 True\n'
    assert yaml.safe_load(parameters.read_text()) == {
        '/**': {'ros__parameters': {'robot': 'cartpole', 'seed': 3}}}
    assert processes.tend() == () and processes.deaths() == {}


def test_the_environment_stays_on_this_machine():
    found = environment(7, {'PATH': '/bin', 'ROS_DOMAIN_ID': '1', 'ROS_LOCALHOST_ONLY': '1'})
    assert found['ROS_DOMAIN_ID'] == '7' and found['PATH'] == '/bin'
    assert 'ROS_LOCALHOST_ONLY' not in found
    profile = Path(found['FASTRTPS_DEFAULT_PROFILES_FILE']).read_text()
    assert '<address>127.0.0.1</address>' in profile
    assert '<useBuiltinTransports>false</useBuiltinTransports>' in profile
    assert found['FASTDDS_DEFAULT_PROFILES_FILE'] == found['FASTRTPS_DEFAULT_PROFILES_FILE']


def test_who_dies_is_reported_with_the_end_of_its_log_and_brought_back(make, modules):
    processes, deaths = make(a='dying', b='good'), []

    def died(count: int) -> bool:
        deaths.extend(processes.tend())
        return len(deaths) >= count

    _until(lambda: died(1), 'first death')
    assert (deaths[0].name, deaths[0].how) == ('a', 'status 3')
    assert deaths[0].log.splitlines() == [f'line {k}' for k in range(12, 20)]
    # It comes back at once, then ever later; the others go on.
    _until(lambda: died(3), 'third death')
    starts = [when for what, who, when in _events(modules) if (what, who) == ('starts', 'dying')]
    assert starts[2] - starts[1] >= RESPAWN_BACKOFF_S[1]
    assert processes.deaths() == {'a': 3} and _runs(processes.pid('b'))


@pytest.mark.parametrize(('number', 'how'), [
    (signal.SIGKILL, 'signal SIGKILL'), (signal.SIGSEGV, 'signal SIGSEGV'), (40, 'signal 40')])
def test_the_signal_that_ended_it_is_named(make, modules, number, how):
    processes = make(a='good')
    _started(modules, 'good')
    first = processes.pid('a')
    os.kill(first, number)
    deaths: list[str] = []
    _until(lambda: deaths.extend(d.how for d in processes.tend()) or deaths, 'death')
    assert deaths == [how]
    assert processes.pid('a') != first and _runs(processes.pid('a'))


def test_stop_ends_all_and_the_guard_last(make, modules):
    processes = make(guard='guarding', a='good', b='slow')
    _started(modules, 'guarding', 'good', 'slow')
    pids = [processes.pid(name) for name in ('guard', 'a', 'b')]
    processes.stop()
    left = {who: when for what, who, when in _events(modules) if what == 'leaves'}
    assert max(left, key=left.__getitem__) == 'guarding' and len(left) == 3
    assert not any(_runs(pid) for pid in pids)
    processes.stop()  # once more does no harm


def test_who_obeys_nothing_is_killed_within_the_bound(make, modules):
    processes = make(a='stubborn', b='good')
    _started(modules, 'stubborn', 'good')
    pid, began_s = processes.pid('a'), time.monotonic()
    processes.stop()
    assert 2 * OBEY_S <= time.monotonic() - began_s < 2 * OBEY_S + 2.0
    assert not _runs(pid)
    assert ('leaves', 'good') in [event[:2] for event in _events(modules)]


def test_a_stopped_process_ends_in_order_all_the_same(make, modules):
    processes = make(a='good')
    _started(modules, 'good')
    os.kill(processes.pid('a'), signal.SIGSTOP)
    began_s = time.monotonic()
    processes.stop()
    assert ('leaves', 'good') in [event[:2] for event in _events(modules)]
    assert time.monotonic() - began_s < 2 * OBEY_S


def test_nobody_is_brought_back_after_stop(make, modules):
    processes = make(a='dying')
    _until(lambda: processes.tend() and processes.deaths()['a'] >= 2, 'two deaths')
    processes.stop()
    starts = len(_events(modules))
    assert processes.tend() == () and len(_events(modules)) == starts
    with pytest.raises(KeyError):
        processes.pid('a')


def test_children_end_when_their_parent_is_killed(modules):
    parent = subprocess.Popen([sys.executable, '-c', PARENT, str(modules / 'run')],
                              stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        _started(modules, 'good', 'slow')
        assert all(_runs(pid) for pid in pids)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate(timeout=WAIT_S)
    _until(lambda: not any(_runs(pid) for pid in pids), 'end of the children')
    # By SIGTERM, so that the guard can send its safe command.
    assert {event[:2] for event in _events(modules)} >= {('leaves', 'good'), ('leaves', 'slow')}


def test_the_log_tail_of_whoever_has_none_is_empty(make):
    assert make(a='good').log_tail('nobody') == ''
