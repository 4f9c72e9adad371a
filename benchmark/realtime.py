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
arguments are passed on. Nothing else should run on the machine meanwhile.
"""

import argparse
import json
from pathlib import Path
import statistics
import subprocess
import sys
import tempfile
from typing import Any


def one(seed: int, arguments: list[str]) -> dict[str, Any]:
    """Run one graph and return its summary."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / 'run'
        command = [sys.executable, '-m', 'hlai_control.cli', 'up', 'robot:=cartpole',
                   'task:=swingup', 'stop_when:=solved', 'timeout_s:=25', f'seed:={seed}',
                   f'run_dir:={run_dir}', *arguments]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False, timeout=180)
        summary: dict[str, Any] = json.loads((run_dir / 'summary.json').read_text())
        return summary


def row(seed: int, run: dict[str, Any]) -> str:
    """Return one run as a line."""
    missed, latency = run['deadline_misses'], run['latency']
    return (f'{seed:6d}  {run["solved_at_s"]!s:>8}  {run["real_time_factor"]:6.4f}  '
            f'{1e3 * latency["p50_s"]:6.1f} {1e3 * latency["p99_s"]:6.1f} '
            f'{1e3 * latency["max_s"]:6.1f}  {missed["total"]:3.0f} of {run["ticks"]:4d}  '
            f'{run["updates"] / max(run["transitions"], 1.0):5.2f}  '
            f'{run["first_command_s"]:6.2f}')


def main() -> None:
    """Run the seeds one after the other and print the table."""
    parser = argparse.ArgumentParser(description='real time on this machine')
    parser.add_argument('--seeds', type=int, default=10)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--json', type=Path)
    parser.add_argument('arguments', nargs='*', help='key:=value, for hlai up')
    given = parser.parse_args()
    print('  seed  solved_s  factor  latency p50, p99, max [ms]  missed  updates/transition  '
          'first command [s]')
    runs = []
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        runs.append({'seed': seed, **one(seed, given.arguments)})
        print(row(seed, runs[-1]), flush=True)
        if given.json is not None:
            given.json.write_text(json.dumps(runs, indent=1) + '\n')
    solved = [run['solved_at_s'] for run in runs if run['solved_at_s'] is not None]
    ticks = sum(run['deadline_misses']['ticks_after_5_s'] for run in runs)
    late = sum(run['deadline_misses']['late_after_5_s'] for run in runs)
    print(f'solved {len(solved)} of {len(runs)}; median {statistics.median(solved):.2f} s, worst '
          f'{max(solved):.2f} s; late after the first 5 s: {late} of {ticks} ticks; '
          f'worst p99 {1e3 * max(run["latency"]["p99_s"] for run in runs):.1f} ms')


if __name__ == '__main__':
    main()
