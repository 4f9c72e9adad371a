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

"""``python -m hlai_control.paradigms``: the process that ``hlai eval paradigms`` runs."""

from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
import signal
import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
import torch

from hlai_control.errors import HlaiError
from hlai_control.paradigms.playing import Case, case, Fixed, mind, played, Tell
from hlai_control.paradigms.report import markdown, tables
from hlai_control.paradigms.rows import CONTROLLER, identity, MIND, Row, SAC, System
from hlai_control.paradigms.runs import Cell, Cells, joined, keep, load, Run
from hlai_control.parent.machine import facts as measured_on
from hlai_control.parent.paradigms import ParadigmSettings, PEERS, read_arguments
from hlai_control.parent.watched import INTERRUPTED
from hlai_control.robots.classical import rows as controllers


def main(arguments: Sequence[str]) -> int:
    """Make the runs that are missing, keep each, report."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings, console = read_arguments(arguments), Console()
    torch.set_num_threads(1)
    cells, facts = load(settings.json) if settings.json else ({}, {})
    for system, row in _wanted(settings):
        cells.setdefault(system.robot, {})[row.name] = _begun(settings, cells, system, row)
    try:
        _compare(settings, cells, facts, console)
    except KeyboardInterrupt:
        console.print('interrupted; the runs finished are kept, the same command goes on')
        _report(settings, cells, facts, console)
        return INTERRUPTED
    _report(settings, cells, facts, console)
    return 0


def _wanted(settings: ParadigmSettings) -> Iterator[tuple[System, Row]]:
    """Go through what was asked for, row by row; not every robot has every one."""
    for row in settings.rows:
        for system in settings.systems:
            if row.kind != CONTROLLER or row.title in dict(controllers(system.robot, system.task)):
                yield system, row


def _begun(settings: ParadigmSettings, cells: Cells, system: System, row: Row) -> Cell:
    asked = identity(system, row, settings.budget(system, row))
    if settings.json is None:
        return Cell(asked, {})
    return joined(settings.json, cells, system.robot, row.name, asked, settings.seeds)


def _compare(settings: ParadigmSettings, cells: Cells, facts: dict[str, object],
             console: Console) -> None:
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn(), TextColumn('{task.fields[now]}'))
    with Progress(*columns, console=console) as progress:
        for row in settings.rows:
            systems = [system for system, found in _wanted(settings) if found is row]
            bars = {system.robot: progress.add_task(
                f'{system.robot} {row.name}', total=len(settings.seeds), now='')
                for system in systems}
            # Robots in turn: whenever it ends, there is something of each.
            for seed in settings.seeds:
                for system in systems:
                    bar, known = bars[system.robot], cells[system.robot][row.name].runs
                    if seed not in known:
                        tell = partial(_tell, progress, bar, seed)
                        _add(settings, cells, facts, case(
                            system, row, seed, settings.budget(system, row)), tell)
                    progress.update(bar, advance=1, now=_outcome(
                        cells[system.robot][row.name].runs[seed]))


def _tell(progress: Progress, bar: TaskID, seed: int, motion_s: float) -> None:
    progress.update(bar, now=f'seed {seed}: {motion_s:.0f} s of motion')


def _add(settings: ParadigmSettings, cells: Cells, facts: dict[str, object], given: Case,
         tell: Tell) -> None:
    """Make a run and keep it."""
    tell(0.0)
    found = cells[given.system.robot]
    cell = found[given.row.name]
    found[given.row.name] = Cell(cell.settings, {**cell.runs, given.seed: one(given, tell)})
    facts |= {**measured_on(PEERS), 'threads': 1}
    if settings.json is not None:
        keep(settings.json, cells, facts)


def one(given: Case, tell: Tell) -> Run:
    """Make one run, whoever plays."""
    calls = list[int]()
    if given.row.kind == MIND:
        return played(given, mind(given, calls.append), calls, tell)
    if given.row.kind == SAC:
        from hlai_control.paradigms.sac import learned  # only who asks for it needs its library
        return learned(given, tell)
    make = dict(controllers(given.system.robot, given.system.task))[given.row.title]
    return played(given, Fixed(make(given.manifest, given.seed)), calls, tell)


def _outcome(run: Run) -> str:
    if run.solved_at_s is None:
        return f'seed {run.seed}: not solved in {run.motion_s:g} s'
    return f'seed {run.seed}: solved at {run.solved_at_s:.2f} s'


def _report(settings: ParadigmSettings, cells: Cells, facts: dict[str, object],
            console: Console) -> None:
    console.print(*tables(cells))
    if settings.json is None or not facts:
        return
    text = settings.json.with_suffix('.md')
    text.write_text(markdown(cells, facts, settings.json))
    if find_spec('matplotlib') is None:
        console.print(f'{text} is written; for the plot: pip install matplotlib')
        return
    from hlai_control.paradigms.plot import plot
    plot(cells, settings.json.with_suffix('.png'))
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
