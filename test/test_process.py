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

"""The main loop of a node, as a process: signals, leaving, and who goes first."""

from ast import literal_eval
from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest
from ros_bench import DOMAIN

from hlai_control.parent.processes import environment

WAIT_S = 20.0

WORKER = """
import sys
import time
from rclpy.node import Node
from std_msgs.msg import String
from hlai_control.errors import SettingsError
from hlai_control.ros.process import run


def tell(text):
    sys.stdout.write(text + '\\n')
    sys.stdout.flush()


class Worker(Node):
    def __init__(self):
        super().__init__('worker')
        self.handled, self.turns, self.timer_ran = 0, 0, False
        self.publisher = self.create_publisher(String, 'last_words', 1)
        self.create_timer(0.05, self.on_timer)

    def on_timer(self):
        self.handled += 1
        self.timer_ran = True

    def work(self):
        self.turns += 1
        if self.turns == 1:
            tell('working')
        WORK

    def close(self):
        self.publisher.publish(String(data='safe'))
        tell('closed')


def make():
    MAKE
    return Worker()


sys.exit(run(make))
"""


@contextmanager
def worker(work: str = 'return False', make: str = 'pass') -> Iterator[subprocess.Popen[str]]:
    """Start a node whose ``work`` and making are as given; leave no process behind."""
    text = WORKER.replace('        WORK\n', f'        {work}\n').replace('MAKE', make)
    process = subprocess.Popen([sys.executable, '-c', text], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True,
                               env=environment(DOMAIN, os.environ))
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize('work', ['return False', 'return True'])
def test_the_first_signal_ends_it_in_order(number, work):
    """Idle or busy; in plain rclpy.spin() an idle node often ignores the first SIGTERM."""
    with worker(work) as process:
        assert _line(process) == 'working'
        began_s = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=WAIT_S)
        assert time.monotonic() - began_s < 5.0
        # It could still publish when it left, and rclpy's own handler was not in the way.
        assert (process.returncode, out, err) == (0, 'closed\n', '')


def test_a_second_signal_does_not_disturb_the_leaving():
    with worker() as process:
        assert _line(process) == 'working'
        for _ in range(20):
            process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=WAIT_S) == ('closed\n', '')
        assert process.returncode == 0


def test_a_busy_worker_still_serves_its_callbacks():
    work = "tell('timer ran') if self.timer_ran else None; self.timer_ran = False; return True"
    with worker(work) as process:
        assert [_line(process) for _ in range(4)] == ['working'] + 3 * ['timer ran']


def test_an_idle_worker_sleeps():
    with worker() as process:
        assert _line(process) == 'working'
        before = _cpu_s(process.pid)
        began_s = time.monotonic()
        # A condition that only time can bring: half a second of being idle.
        while (passed_s := time.monotonic() - began_s) < 0.5:
            time.sleep(0.05)
        assert _cpu_s(process.pid) - before < 0.3 * passed_s


def _cpu_s(pid: int) -> float:
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def test_what_a_node_refuses_at_the_start_is_one_sentence():
    with worker(make="raise SettingsError('mode = 1; valid: 2')") as process:
        out, err = process.communicate(timeout=WAIT_S)
        assert (process.returncode, out, err) == (1, '', 'error: mode = 1; valid: 2\n')


def test_a_defect_leaves_safely_and_shows_its_traceback():
    with worker("raise ZeroDivisionError('a defect')") as process:
        out, err = process.communicate(timeout=WAIT_S)
        assert process.returncode == 1
        assert out == 'working\nclosed\n'
        assert 'Traceback' in err and 'ZeroDivisionError: a defect' in err


def _in_a_process(expression: str) -> str:
    done = subprocess.run(
        [sys.executable, '-c', f'import os; from hlai_control.ros.process import *\n'
         f'import sys; sys.stdout.write(repr({expression}))'],
        capture_output=True, text=True, timeout=WAIT_S, check=True)
    return done.stdout


def test_priorities_are_what_they_say():
    said, policy = literal_eval(_in_a_process('(lower_priority(), os.sched_getscheduler(0))'))
    assert (said == 'SCHED_IDLE') == (policy == os.SCHED_IDLE)
    assert said == 'SCHED_IDLE' or said.startswith('normal priority')
    asked = '(raise_priority(7), os.sched_getscheduler(0), os.nice(0))'
    said, policy, level = literal_eval(_in_a_process(asked))
    assert (said, policy, level) in {
        ('SCHED_RR 7', os.SCHED_RR, os.nice(0)), ('nice -10', os.SCHED_OTHER, -10),
        ('normal priority (raising it was not permitted)', os.SCHED_OTHER, os.nice(0))}
    # Asked for twice, it is the same level, not twice as far.
    twice = literal_eval(_in_a_process(f'(raise_priority(7), *{asked})'))
    assert twice == (said, said, policy, level)


def test_every_thread_is_raised():
    policies = literal_eval(_in_a_process(
        '(__import__("threading").Thread(target=__import__("time").sleep, args=(1,), '
        'daemon=True).start(), raise_priority(7), [os.sched_getscheduler(int(thread)) '
        'for thread in os.listdir("/proc/self/task")])[2]'))
    assert len(policies) > 1 and len(set(policies)) == 1
