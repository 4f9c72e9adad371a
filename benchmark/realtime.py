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

"""
Real time on this machine: solve the task from nothing, several times, and count deadlines.

Usage: python benchmark/realtime.py [--seeds N] [--first-seed K] [--json FILE] [key:=value ...]

Each run is ``hlai up stop_when:=solved``, a fresh graph of its own; further
arguments are passed on. Nothing else should run on the machine meanwhile; so
much processor time others took from the machine, its host included, is shown.
Beside the runs stand those of simple controllers, and FILE.png shows them all.
"""

import argparse
import json
import os
from pathlib import Path
import resource
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from hlai_control.cost.task import load_task
from hlai_control.files import write_atomic
from hlai_control.parent.evaluate import account
from hlai_control.parent.machine import machine, versions
from hlai_control.parent.statistics import median_or_none, worst_or_none
from hlai_control.parent.survival_plot import draw, picture
from hlai_control.robots.classical import rows
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.trial import trial

ROBOT, TASK, TIMEOUT_S = 'cartpole', 'swingup', 25.0


def one(seed: int, arguments: list[str]) -> dict[str, Any]:
    """Run one graph and return its summary."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / 'run'
        command = [sys.executable, '-m', 'hlai_control.cli', 'up', f'robot:={ROBOT}',
                   f'task:={TASK}', 'stop_when:=solved', f'timeout_s:={TIMEOUT_S:g}',
                   f'seed:={seed}', f'run_dir:={run_dir}', *arguments]
        before, used = busy_s(), children_s()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False, timeout=180)
        others_s = busy_s() - before - (children_s() - used)
        summary: dict[str, Any] = json.loads((run_dir / 'summary.json').read_text())
        return summary | {'others_s': round(others_s, 2)}


def busy_s() -> float:
    """Return how long the machine's cores were busy, or taken by its host, since it started."""
    fields = [int(text) for text in Path('/proc/stat').read_text().split('\n')[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf('SC_CLK_TCK')


def children_s() -> float:
    """Return the processor time of all processes of runs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def baselines(seeds: range) -> dict[str, Any]:
    """Run the simple controllers, without a graph."""
    manifest = load_robot(ROBOT)
    task = load_task(TASK, manifest)
    return {name: account([trial(manifest, task, make, seed, TIMEOUT_S)
                           for seed in seeds]) for name, make in rows(manifest.name, task.name)}


def results(runs: list[dict[str, Any]], beside: dict[str, Any], seeds: range) -> dict[str, Any]:
    """Return what ``hlai eval`` would write of these runs."""
    times = [run['solved_at_s'] for run in runs]
    return {'runs': runs, 'median_solved_at_s': median_or_none(times),
            'worst_solved_at_s': worst_or_none(times), 'baselines': beside,
            'settings': {'robot': ROBOT, 'task': TASK, 'timeout_s': TIMEOUT_S,
                         'mode': 'realtime', 'seeds': len(seeds), 'first_seed': seeds.start},
            'machine': machine(), 'versions': versions()}


def row(seed: int, run: dict[str, Any]) -> str:
    """Return one run as a line."""
    missed, latency = run['deadline_misses'], run['latency']
    # The newest transition is counted when it comes; its updates follow.
    learned = max(run['transitions'] - 1.0, 1.0)
    return (f'{seed:6d}  {run["solved_at_s"]!s:>8}  {run["real_time_factor"]:6.4f}  '
            f'{1e3 * latency["p50_s"]:6.1f} {1e3 * latency["p99_s"]:6.1f} '
            f'{1e3 * latency["max_s"]:6.1f}  {missed["total"]:3.0f} of {run["ticks"]:4d}  '
            f'{run["updates"] / learned:5.2f}  '
            f'{run["first_command_s"]:6.2f}  {run["others_s"]:6.2f}')


def main() -> None:
    """Run the seeds one after the other and print the table."""
    parser = argparse.ArgumentParser(description='real time on this machine')
    parser.add_argument('--seeds', type=int, default=10)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--json', type=Path)
    parser.add_argument('arguments', nargs='*', help='key:=value, for hlai up')
    given = parser.parse_args()
    print('  seed  solved_s  factor  latency p50, p99, max [ms]  missed  updates/transition  '
          'first command, others [s]')
    runs, seeds = [], range(given.first_seed, given.first_seed + given.seeds)
    beside = baselines(seeds) if given.json is not None else {}
    for seed in seeds:
        runs.append({'seed': seed, **one(seed, given.arguments)})
        print(row(seed, runs[-1]), flush=True)
        if given.json is not None:
            kept = results(runs, beside, seeds)
            write_atomic(given.json, (json.dumps(kept, indent=1) + '\n').encode())
            draw(kept, picture(given.json))
    solved = [run['solved_at_s'] for run in runs if run['solved_at_s'] is not None]
    ticks = sum(run['deadline_misses']['ticks_after_5_s'] for run in runs)
    late = sum(run['deadline_misses']['late_after_5_s'] for run in runs)
    print(f'solved {len(solved)} of {len(runs)}; median {statistics.median(solved):.2f} s, worst '
          f'{max(solved):.2f} s; late after the first 5 s: {late} of {ticks} ticks; '
          f'worst p99 {1e3 * max(run["latency"]["p99_s"] for run in runs):.1f} ms')


if __name__ == '__main__':
    main()
