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

"""The whole graph in lockstep: it learns from nothing, and the same seed is the same run."""

import subprocess
import sys

from graph_harness import graph, lockstep_run, look_until
import pytest

from hlai_control.graph import NODES

pytestmark = pytest.mark.timeout(400)

# Past exploration, first model, first critic: everything that could differ has begun.
TICKS = 50


def test_solves_the_task_from_nothing_and_seeds_repeat_in_series(tmp_path):
    with graph(tmp_path, 'lockstep', autostart=False) as (run, wire):
        first = lockstep_run(run, wire, 3, TICKS)
        run.observer.begin({'seed': 11})
        run.observer.wait_for_phase('running', 90.0)
        motion = run.observer.motion
        look_until(run, lambda: motion.solved_at_s is not None or motion.motion_s > 20.0, 120.0,
                   'solved')
        run.observer.end_within(30.0)
        again = lockstep_run(run, wire, 3, TICKS)
        deaths = run.processes.deaths()
    assert motion.solved_at_s is not None and motion.solved_at_s <= 12.0
    assert again == first  # to the last bit, after another run in the same processes
    assert deaths == {}
    assert [stamp for stamp, _ in first] == [k * 50_000_000 for k in range(TICKS)]
    assert all(abs(values[0]) <= 10.0 for _, values in first)


def test_a_run_does_not_depend_on_load_or_start_order(tmp_path):
    with graph(tmp_path / 'calm', 'lockstep', autostart=False) as (run, wire):
        calm = lockstep_run(run, wire, 3, TICKS)
    burner = subprocess.Popen([sys.executable, '-S', '-c', 'while True: pass'])
    try:
        with graph(tmp_path / 'busy', 'lockstep', specs=NODES[::-1],
                   autostart=False) as (run, wire):
            busy = lockstep_run(run, wire, 3, TICKS)
            other = lockstep_run(run, wire, 4, TICKS)
    finally:
        burner.kill()
        burner.wait()
    assert busy == calm
    assert other != calm


def test_without_rate_sensors_runs_repeat_too(tmp_path):
    with graph(tmp_path, 'lockstep', autostart=False, robot='cartpole_positions') as (run, wire):
        first, again = (lockstep_run(run, wire, 3, TICKS) for _ in range(2))
        deaths = run.processes.deaths()
    # Perception waited for world models and commands, and learning went on meanwhile.
    assert again == first and deaths == {}
