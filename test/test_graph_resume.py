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

"""A run is killed, and another session goes on with it: through the real graph."""

from math import isfinite
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from graph_harness import graph, look_until
import pytest
from sensor_msgs.msg import JointState

from hlai_control.errors import ArtefactError
from hlai_control.graph import ANTICIPATED, INTERVALS, SURPRISE, TIMING
from hlai_control.learning.journal import Journal, JournalReader
from hlai_control.parent.resume import known, open_session
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.qos import learner

pytestmark = pytest.mark.timeout(240)

ROBOT = load_robot('cartpole')
ENOUGH = 60


def written(folder: Path) -> int:
    reader = JournalReader(folder / 'journals' / 'world_model.journal', ROBOT.layout)
    count = len(reader)
    reader.close()
    return count


def killed_session(folder: Path) -> int:
    """Let ``hlai up`` learn, kill it outright, and return how much it had written by then."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'hlai_control.cli', 'up', 'robot:=cartpole', 'task:=swingup',
         'seed:=5', f'run_dir:={folder}'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    for _ in process.stdout:  # a line at least every few seconds
        if (folder / 'journals' / 'world_model.journal').exists() and written(folder) >= ENOUGH:
            break
    told = written(folder)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(20.0) == -signal.SIGKILL
    process.stdout.close()
    wait_for_the_writer(folder)
    return told


def wait_for_the_writer(folder: Path) -> None:
    """Wait until nobody writes the journal: the nodes die a moment after their parent."""
    deadline_s = time.monotonic() + 30.0
    while True:
        try:
            Journal(folder / 'journals' / 'world_model.journal', ROBOT.layout).close()
            return
        except ArtefactError:
            assert time.monotonic() < deadline_s, 'the world model outlived hlai up'
            time.sleep(0.02)


def test_a_killed_run_goes_on_with_all_that_it_knew(tmp_path):
    folder = tmp_path / 'run'
    told = killed_session(folder)
    assert told >= ENOUGH
    run_of_before = known(str(folder))
    assert 'seed:=5' in run_of_before.arguments
    open_session(folder)
    exploring, transitions, intervals = [], [], []
    with graph(tmp_path / 'again', 'realtime', run_dir=str(folder), seed=5) as (run, _):
        rate = learner(20.0)
        run.observer.create_subscription(JointState, TIMING, lambda message: exploring.append(
            message.position[list(message.name).index('exploring')]), rate)
        run.observer.create_subscription(JointState, SURPRISE, lambda message: transitions.append(
            message.position[list(message.name).index('transitions')]), rate)
        run.observer.create_subscription(JointState, INTERVALS, intervals.append, rate)
        run.observer.wait_for_phase('running', 120.0)
        look_until(run, lambda: len(exploring) >= 40 and len(transitions) >= 40, 60.0, '40 ticks')
        look_until(run, lambda: intervals, 60.0, 'intervals')
        look_until(run, lambda: run.observer.motion.newest.get(ANTICIPATED, {}).get(
            'updates', 0.0) > 10.0, 60.0, 'a critic that learns')
        deaths = run.processes.deaths()
    # It planned from its first tick, and counts on from where it was.
    assert set(exploring) == {0.0}
    surprise = run.observer.motion.newest[SURPRISE]
    assert surprise['energy'] >= 0.0 and 0.0 <= surprise['evidence'] < 2 * surprise['threshold']
    assert surprise['alarm'] in (0.0, 1.0)
    newest = dict(zip(intervals[-1].name, intervals[-1].position, strict=True))
    assert len(newest) == 4 * 4 + 4 and all(map(isfinite, newest.values()))
    assert newest['pole.angle/1'] > 0.0 and 0.0 <= newest['coverage/25'] <= 1.0
    assert tuple((folder / 'functions').glob('calibration-*'))
    assert transitions[0] > told and transitions[-1] >= transitions[0] + 39
    assert written(folder) >= transitions[-1] and deaths == {}
