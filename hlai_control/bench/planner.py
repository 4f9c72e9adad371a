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

"""``python -m hlai_control.bench.planner``: the process that ``hlai bench planner`` runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
import signal
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
import torch

from hlai_control.bench.cold import cold
from hlai_control.bench.competitors import Competitor, own
from hlai_control.bench.learned import trained, Training
from hlai_control.bench.peers import peers
from hlai_control.bench.receding import receding
from hlai_control.bench.report import markdown, summary_table
from hlai_control.bench.results import keep, Results, resume, SystemResult
from hlai_control.bench.systems import chosen, System
from hlai_control.bench.trial import bench
from hlai_control.errors import HlaiError
from hlai_control.parent.bench import BenchSettings, PEERS, read_arguments
from hlai_control.parent.machine import facts
from hlai_control.parent.watched import INTERRUPTED


def main(arguments: Sequence[str]) -> int:
    """Run what is missing, keep it, report."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings, console = read_arguments(arguments), Console()
    torch.set_num_threads(1)
    competitors = own() + (peers() if settings.peers else ())
    results = Results(settings.identity(), _facts(competitors),
                      resume(settings.json, settings.identity()) if settings.json else {})
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())
    try:
        with Progress(*columns, console=console) as progress:
            for system in chosen(settings.systems):
                bar = progress.add_task(system.name, total=2 * settings.starts + 1)
                if system.name not in results.systems:
                    found = measured(system, competitors, settings.starts, settings.seed,
                                     settings.ticks, Training(), partial(progress.advance, bar))
                    results = replace(results, systems={**results.systems, system.name: found})
                    if settings.json is not None:
                        keep(settings.json, results)
                progress.update(bar, completed=2 * settings.starts + 1)
    except KeyboardInterrupt:
        console.print('interrupted; the systems finished are kept, the same command goes on')
        return INTERRUPTED
    _report(console, settings, results)
    return 0


def measured(system: System, competitors: Sequence[Competitor], starts: int, seed: int,
             ticks: int, training: Training, tell: Callable[[], None]) -> SystemResult:
    """
    Train a model of one system and compare the planners on it.

    :param seed: of the starts, and of motion and learning.
    :param tell: called when training is done, and after each start of both experiments.
    """
    began_s = time.perf_counter()
    model = trained(system, training, seed)
    training_s = time.perf_counter() - began_s
    tell()
    ready = bench(system, model.dynamics)
    ticks = min(ticks, system.ticks)
    samples = cold(ready, competitors, starts, seed, tell)
    loops = receding(ready, competitors, starts, seed, ticks, tell)
    return SystemResult(
        system.robot, system.task, system.horizon, ticks, ready.manifest.period_s,
        ready.manifest.layout.states, model.one_step, model.long, round(training_s, 1),
        tuple(samples), tuple(loops))


def _facts(competitors: Sequence[Competitor]) -> dict[str, object]:
    return {**facts(PEERS), 'threads': 1,
            'competitors': {one.name: {'kind': one.kind, 'settings': one.settings,
                                       'warm': one.warm, 'cold': one.cold}
                            for one in competitors}}


def _report(console: Console, settings: BenchSettings, results: Results) -> None:
    for name, system in results.systems.items():
        console.print(summary_table(name, system, results))
    if settings.json is None:
        return
    text = settings.json.with_suffix('.md')
    text.write_text(markdown(results, settings.json))
    try:
        from hlai_control.bench.plot import plot
    except ImportError:
        console.print(f'{text} is written; for the plot: pip install matplotlib')
        return
    plot(results, settings.json.with_suffix('.png'))
    console.print(f'{text} and the plot beside it are written', highlight=False)


def run() -> int:
    """Run, and say what is wrong as the command line does."""
    try:
        return main(sys.argv[1:])
    except HlaiError as error:
        sys.stderr.write(f'hlai: {error}\n')
        return 2


if __name__ == '__main__':
    sys.exit(run())
