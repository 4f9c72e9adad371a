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

"""A domain is one graph's at a time, and free again however its owner ended."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile

import pytest

from hlai_control.errors import GraphError
from hlai_control.parent.domain import DomainLock, FIRST, LAST

HOLDER = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from hlai_control.parent.domain import DomainLock
sys.stdout.write(str(DomainLock(int(sys.argv[2])).domain))
sys.stdout.flush()
import signal
signal.pause()
"""


@pytest.fixture(autouse=True)
def _own_locks(tmp_path, monkeypatch):
    """Other graphs on this machine are left alone."""
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))


def test_each_graph_gets_another_domain_and_returns_it():
    locks = [DomainLock(None) for _ in range(FIRST, LAST + 1)]
    assert [lock.domain for lock in locks] == list(range(FIRST, LAST + 1))
    with pytest.raises(GraphError, match=f'{FIRST} .. {LAST} are all in use.*domain:=N'):
        DomainLock(None)
    locks[7].release()
    again = DomainLock(None)
    assert again.domain == FIRST + 7
    for lock in [*locks[:7], *locks[8:], again]:
        lock.release()


def test_a_domain_that_was_asked_for_is_given_or_refused():
    lock = DomainLock(42)
    assert lock.domain == 42
    with pytest.raises(GraphError, match='42 is in use'):
        DomainLock(42)
    other = DomainLock(43)
    lock.release()
    DomainLock(42).release()
    other.release()


def test_other_processes_are_kept_out_until_the_owner_ends_even_by_kill_9(tmp_path):
    holder = subprocess.Popen([sys.executable, '-c', HOLDER, str(tmp_path), '44'],
                              stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.read(2) == b'44'
        with pytest.raises(GraphError, match='44 is in use'):
            DomainLock(44)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=10.0)
    DomainLock(44).release()


def _holds(pid: int, name: str) -> bool:
    try:
        return any(name in os.readlink(fd) for fd in Path(f'/proc/{pid}/fd').iterdir())
    except FileNotFoundError:  # it is being closed this very moment
        return True


def test_what_the_owner_starts_does_not_hold_it():
    lock = DomainLock(45)
    child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'],
                             close_fds=False)
    try:
        while _holds(child.pid, 'domain-45'):
            pass  # Linux closes them a moment after the new program has begun
        lock.release()
        again = DomainLock(45)
        assert again.domain == 45 and child.poll() is None
        again.release()
    finally:
        child.kill()
        child.wait(10.0)
