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
100 Hz control through the ROS graph, with learning going on, beside an empty planner.

Usage: python benchmark/hundred_hertz.py [--minutes M] [--json FILE] [key:=value ...]

One graph of the cart-pole at 100 Hz learns, swings up and balances. Its planner
runs in blocks of 60 s; between them the actor is asked to hold for 15 s: it then
answers every state at once, without planning, so that what the graph alone costs
is measured in the same run. (The pole falls meanwhile, and each block begins with
a swing-up.) Latency is from the sensor's stamp to the actor's command; a tick is
missed if its command comes later than its period, or never. How long it will take
is said first; after each block the file is written with what there is so far, so
that a run that is ended early loses its last block only. Nothing else should run on
the machine.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
import json
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

from hlai_control.graph import TERMS, TIMING
from hlai_control.parent.graph_run import GraphRun, started
from hlai_control.parent.machine import machine, versions
from hlai_control.parent.summary import percentile
from hlai_control.ros.managers import trigger
from hlai_control.ros.scripts import Caller

PERIOD_S = 0.01
# A model first, and the first swing-up: warming up is not what is measured.
SETTLE_S, BLOCK_S, EMPTY_S, EDGE_S = 10.0, 60.0, 15.0, 0.5
# About what starting and ending take.
AROUND_S = 20.0
# What two cores have time for at 100 Hz; see docs/results/README.md.
PARAMETERS = {
    'robot': 'cartpole_100hz', 'task': 'swingup_100hz', 'mode': 'realtime',
    'armed_at_start': True, 'planner.stride': 5, 'planner.iterations': 1,
    'schedule.updates': 1, 'schedule.critic_updates': 1, 'schedule.publish_every': 50,
    'schedule.explore_ticks': 30, 'world_model.window': 1024, 'world_model.batch': 32,
    'critic.batch': 16, 'hybrid.samples': 8}


@dataclass
class Row:
    """
    What was measured of one kind of block.

    :param reports: newest ``actor/timing`` at each look.
    :param held: at each look, whether the robot was within the goal.
    """

    latencies_s: list[float] = field(default_factory=list)
    reports: list[dict[str, float]] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    ticks: int = 0

    @staticmethod
    def of(rows: 'Sequence[Row]') -> 'Row':
        """Put blocks together."""
        return Row([one for row in rows for one in row.latencies_s],
                   [one for row in rows for one in row.reports],
                   [one for row in rows for one in row.held], sum(row.ticks for row in rows))

    def summary(self) -> dict[str, Any]:
        """Return percentiles [s], missed deadlines, and what refinement gained in what time."""
        seen = {name: [report[name] for report in self.reports] for name in (
            'plan_s', 'budget_s', 'iterations', 'proposed', 'gained')}
        late = sum(1 for latency in self.latencies_s if latency > PERIOD_S)
        missed = late + max(0, self.ticks - len(self.latencies_s))
        return {'ticks': self.ticks, 'late': late, 'missed': missed,
                'missed_fraction': missed / max(self.ticks, 1),
                **{f'p{share:g}_s': percentile(self.latencies_s, share / 100.0)
                   for share in (50, 90, 99, 99.9)},
                'max_s': max(self.latencies_s, default=None),
                'plan_p50_s': percentile(seen['plan_s'], 0.5),
                'plan_p99_s': percentile(seen['plan_s'], 0.99),
                **{f'{name.removesuffix("_s")}_p50{"_s" * name.endswith("_s")}':
                   percentile(seen[name], 0.5)
                   for name in ('budget_s', 'iterations', 'proposed', 'gained')},
                'within_goal': sum(self.held) / max(len(self.held), 1)}


def watch(run: GraphRun, seconds: float) -> Row:
    """Measure for so long, the edges left out."""
    run.observer.look(EDGE_S)
    motion, row = run.observer.motion, Row()
    begin_s, answers = motion.motion_s, len(motion.latencies)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        run.observer.look(0.02)
        run.processes.tend()
        row.reports.append(motion.newest[TIMING])
        row.held.append(motion.newest[TERMS]['held_s'] > 0.0)
    row.ticks = round((motion.motion_s - begin_s) / PERIOD_S)
    row.latencies_s = [latency for _, latency in motion.latencies[answers:]]
    return row


def line(name: str, row: Row) -> str:
    """Return one row of the table."""
    found = row.summary()
    times = '  '.join(f'{1e3 * (found[key] or 0.0):7.2f}' for key in (
        'p50_s', 'p90_s', 'p99_s', 'p99.9_s', 'max_s', 'plan_p50_s', 'plan_p99_s'))
    return (f'{name:14s} {row.ticks:7d}  {times}  {found["missed"]:5d} '
            f'({100.0 * found["missed_fraction"]:.2f} %)')


def write(path: Path | None, planning: Sequence[Row], empty: Sequence[Row],
          facts: dict[str, object]) -> None:
    """Write what there is so far."""
    if path is not None:
        path.write_text(json.dumps({
            **facts, 'planning': Row.of(planning).summary(), 'empty': Row.of(empty).summary(),
            'blocks': [row.summary() for row in planning]}, indent=1) + '\n')


def measure(run: GraphRun, minutes: float, path: Path | None, facts: dict[str, object]
            ) -> tuple[list[Row], list[Row]]:
    """
    Measure block by block.

    :returns: blocks of planning, and of the empty planner.
    """
    caller = Caller(run.observer, timeout_s=5.0, attempts=3, start_timeout_s=10.0)
    run.observer.look(SETTLE_S)
    planning, empty = list[Row](), list[Row]()
    blocks = count(minutes)
    for block in range(1, blocks + 1):
        planning.append(watch(run, min(BLOCK_S, minutes * 60.0)))
        run.observer.ask(trigger(caller, 'configurator/pause'))
        empty.append(watch(run, EMPTY_S))
        # Now, while nothing is measured.
        write(path, planning, empty, {**facts, 'blocks_of': blocks,
                                      'deaths': run.processes.deaths()})
        run.observer.ask(trigger(caller, 'configurator/resume'))
        newest, all_s = planning[-1].summary(), Row.of(planning).summary()
        print(f'block {block} of {blocks}: within the goal {100.0 * newest["within_goal"]:.0f} % '
              f'of the time; p99 so far {1e3 * all_s["p99_s"]:.2f} ms, missed '
              f'{100.0 * all_s["missed_fraction"]:.2f} %', flush=True)
    return planning, empty


def count(minutes: float) -> int:
    """Return the number of blocks."""
    return max(1, round(minutes * 60.0 / BLOCK_S))


def main() -> None:
    """Run the graph and print the table."""
    parser = argparse.ArgumentParser(description='100 Hz control through the graph')
    parser.add_argument('--minutes', type=float, default=10.0, help='of planning')
    parser.add_argument('--json', type=Path)
    parser.add_argument('arguments', nargs='*', help='key:=value, parameters of the nodes')
    given = parser.parse_args()
    extra = {key: json.loads(value) for key, value in (
        argument.split(':=', 1) for argument in given.arguments)}
    block_s = min(BLOCK_S, given.minutes * 60.0) + EMPTY_S + 2.0 * EDGE_S
    takes_s = AROUND_S + SETTLE_S + count(given.minutes) * block_s
    print(f'{count(given.minutes)} blocks, about {takes_s / 60.0:.1f} minutes', flush=True)
    with tempfile.TemporaryDirectory() as folder:
        parameters = {**PARAMETERS, 'run_dir': str(Path(folder) / 'run'), **extra}
        facts: dict[str, object] = {'parameters': parameters, 'machine': machine(),
                                    'versions': versions()}
        with started(parameters, Path(folder), None) as run:
            run.observer.wait_for_phase('running', 90.0)
            planning, empty = measure(run, given.minutes, given.json, facts)
            deaths = run.processes.deaths()
    print('[ms]             ticks      p50      p90      p99    p99.9      max  '
          'plan p50  plan p99  missed')
    for name, rows in (('planning', planning), ('empty planner', empty)):
        print(line(name, Row.of(rows)))
    found = Row.of(planning).summary()
    print(f'per plan, medians: {1e3 * found["budget_p50_s"]:.1f} ms to spend, '
          f'{1e3 * found["plan_p50_s"]:.1f} ms spent, {found["iterations_p50"]:.0f} refinements '
          f'gain {found["gained_p50"]:.3g} from {found["proposed_p50"]:.3g}')
    print(f'deaths: {deaths}')


if __name__ == '__main__':
    sys.exit(main())
