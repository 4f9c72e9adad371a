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
missed if its command comes later than its period, or never. Nothing else should
run on the machine.
"""

import argparse
from dataclasses import dataclass, field
import json
from pathlib import Path
import sys
import tempfile
import time

from hlai_control.graph import TERMS, TIMING
from hlai_control.parent.graph_run import GraphRun, started
from hlai_control.parent.machine import machine, versions
from hlai_control.parent.summary import percentile
from hlai_control.ros.managers import trigger
from hlai_control.ros.scripts import Caller

PERIOD_S = 0.01
# A model first, and the first swing-up: warming up is not what is measured.
SETTLE_S, BLOCK_S, EMPTY_S, EDGE_S = 10.0, 60.0, 15.0, 0.5
# What two cores have time for at 100 Hz; see docs/results/README.md.
PARAMETERS = {
    'robot': 'cartpole_100hz', 'task': 'swingup_100hz', 'mode': 'realtime',
    'armed_at_start': True, 'planner.stride': 5, 'planner.iterations': 1,
    'schedule.updates': 1, 'schedule.critic_updates': 1, 'schedule.publish_every': 50,
    'schedule.explore_ticks': 30, 'world_model.window': 1024, 'world_model.batch': 32,
    'critic.batch': 16, 'hybrid.samples': 8}


@dataclass
class Row:
    """What was measured of one kind of block."""

    latencies_s: list[float] = field(default_factory=list)
    plans_s: list[float] = field(default_factory=list)
    ticks: int = 0

    def summary(self) -> dict[str, object]:
        """Return percentiles [s] and the fraction of missed deadlines."""
        late = sum(1 for latency in self.latencies_s if latency > PERIOD_S)
        missed = late + max(0, self.ticks - len(self.latencies_s))
        return {'ticks': self.ticks, 'late': late, 'missed': missed,
                'missed_fraction': missed / max(self.ticks, 1),
                **{f'p{share:g}_s': percentile(self.latencies_s, share / 100.0)
                   for share in (50, 90, 99, 99.9)},
                'max_s': max(self.latencies_s, default=None),
                'plan_p50_s': percentile(self.plans_s, 0.5),
                'plan_p99_s': percentile(self.plans_s, 0.99)}


def watch(run: GraphRun, seconds: float, row: Row) -> float:
    """Measure for so long, the edges left out; return the share of time within the goal."""
    run.observer.look(EDGE_S)
    motion = run.observer.motion
    begin_s, answers, held, looks = motion.motion_s, len(motion.latencies), 0, 0
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        run.observer.look(0.02)
        run.processes.tend()
        row.plans_s.append(motion.newest[TIMING]['plan_s'])
        held += motion.newest[TERMS]['held_s'] > 0.0
        looks += 1
    row.ticks += round((motion.motion_s - begin_s) / PERIOD_S)
    row.latencies_s += [latency for _, latency in motion.latencies[answers:]]
    return held / max(looks, 1)


def line(name: str, row: Row) -> str:
    """Return one row of the table."""
    found = row.summary()
    times = '  '.join(f'{1e3 * (found[key] or 0.0):7.2f}' for key in (
        'p50_s', 'p90_s', 'p99_s', 'p99.9_s', 'max_s', 'plan_p50_s', 'plan_p99_s'))
    return (f'{name:14s} {row.ticks:7d}  {times}  {found["missed"]:5d} '
            f'({100.0 * found["missed_fraction"]:.2f} %)')


def main() -> None:
    """Run the graph and print the table."""
    parser = argparse.ArgumentParser(description='100 Hz control through the graph')
    parser.add_argument('--minutes', type=float, default=10.0, help='of planning')
    parser.add_argument('--json', type=Path)
    parser.add_argument('arguments', nargs='*', help='key:=value, parameters of the nodes')
    given = parser.parse_args()
    extra = {key: json.loads(value) for key, value in (
        argument.split(':=', 1) for argument in given.arguments)}
    planning, empty = Row(), Row()
    with tempfile.TemporaryDirectory() as folder:
        parameters = {**PARAMETERS, 'run_dir': str(Path(folder) / 'run'), **extra}
        with started(parameters, Path(folder), None) as run:
            run.observer.wait_for_phase('running', 90.0)
            caller = Caller(run.observer, timeout_s=5.0, attempts=3, start_timeout_s=10.0)
            run.observer.look(SETTLE_S)
            held = []
            for block in range(max(1, round(given.minutes * 60.0 / BLOCK_S))):
                held.append(watch(run, min(BLOCK_S, given.minutes * 60.0), planning))
                run.observer.ask(trigger(caller, 'configurator/pause'))
                watch(run, EMPTY_S, empty)
                run.observer.ask(trigger(caller, 'configurator/resume'))
                print(f'block {block + 1}: within the goal {100.0 * held[-1]:.0f} % of the time; '
                      f'p99 so far {1e3 * planning.summary()["p99_s"]:.2f} ms', flush=True)
            deaths = run.processes.deaths()
    print('[ms]             ticks      p50      p90      p99    p99.9      max  '
          'plan p50  plan p99  missed')
    for name, row in (('planning', planning), ('empty planner', empty)):
        print(line(name, row))
    print(f'deaths: {deaths}')
    if given.json is not None:
        given.json.write_text(json.dumps({
            'parameters': parameters, 'planning': planning.summary(), 'empty': empty.summary(),
            'within_goal': held, 'deaths': deaths, 'machine': machine(),
            'versions': versions()}, indent=1) + '\n')


if __name__ == '__main__':
    sys.exit(main())
