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

"""The paradigms for people: a table per robot, on the screen and as a page of Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from rich.table import Table

from hlai_control.paradigms.rows import FINAL_S, LEAST_S, ROWS, SAC
from hlai_control.paradigms.runs import Cell, Cells, Run
from hlai_control.parent.statistics import median_or_none, wilson, worst_or_none

HEADINGS = ('paradigm', 'solved', '95 %', 'median', 'worst', 'within', 'final cost',
            'ms per action', 'model calls', 'learning ms per tick', 'wall s per run')
# On a terminal of 80 columns.
SHOWN = 7


def lines(found: Mapping[str, Cell]) -> Iterator[tuple[str, ...]]:
    """Say of each row on one robot what its runs were, in the order of the rows."""
    for row in ROWS:
        cell = found.get(row.name)
        if cell is None or not cell.runs:
            continue
        runs = list(cell.runs.values())
        times = [run.solved_at_s for run in runs]
        count = sum(time is not None for time in times)
        low, high = wilson(count, len(runs))
        budget_s = cell.settings['budget_s']
        yield (row.title, f'{count} of {len(runs)}', f'{low:.0%} to {high:.0%}',
               _time(median_or_none(times), budget_s), _time(worst_or_none(times), budget_s),
               f'{budget_s:g} s', _typical(runs, 'final_cost', '.3g'),
               _typical(runs, 'action_ms', '.2f'), _typical(runs, 'calls', '.0f'),
               _typical(runs, 'learning_ms', '.1f'), _typical(runs, 'wall_s', '.0f'))


def tables(cells: Cells) -> Iterator[Table]:
    """Return one table per robot for the terminal: what matters first."""
    for robot, found in cells.items():
        table = Table(title=f'{robot}: motion seconds to the start of the hold')
        for heading in HEADINGS[:SHOWN]:
            table.add_column(heading)
        for line in lines(found):
            table.add_row(*line[:SHOWN])
        yield table


def markdown(cells: Cells, facts: Mapping[str, object], path: Path) -> str:
    """Return the page; it refers to the plot beside ``path``."""
    parts = ['# The paradigms side by side', _explained(path), f'![survival]({path.stem}.png)']
    for robot, found in cells.items():
        rows = [HEADINGS, ('---',) * len(HEADINGS), *lines(found)]
        parts += [f'## {robot}', _seeds(found),
                  '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)]
    machine, versions = (_listed(facts.get(name)) for name in ('machine', 'versions'))
    parts += [f'{facts.get("date")}; {machine}; {versions}; one thread.']
    return '\n\n'.join(parts) + '\n'


def _explained(path: Path) -> str:
    return (
        f'`hlai eval paradigms json:={path}`; rows and columns are explained in '
        '[docs/paradigms.md](../paradigms.md). Median and worst count all motion from the first '
        'tick to the start of the hold; a run that did not solve the task within its motion '
        'counts as endless. Final cost: mean true stage cost over the last '
        f'{FINAL_S:g} s of at least {LEAST_S:g} s of motion, the median over the runs; that of '
        f'SAC is of {LEAST_S:g} s of motion without noise, made when learning had ended. Times '
        'are processor time of one thread, the median over the runs; the last column is on the '
        'clock on the wall, whatever else ran.')


def _seeds(found: Mapping[str, Cell]) -> str:
    asked = max((len(cell.runs) for cell in found.values()), default=0)
    seeds = sorted({seed for cell in found.values() for seed in cell.runs})
    said = f'Seeds {seeds[0]} to {seeds[-1]}.' if seeds else 'No runs yet.'
    for row in ROWS:
        cell = found.get(row.name)
        if cell is not None and len(cell.runs) < asked:
            said += (f' **Of {row.title} only {len(cell.runs)} of these {asked} seeds have been '
                     'run; the same command goes on.**')
    if SAC in found:
        said += (' SAC ran without the graph, as all rows here; trials of its policy, one after '
                 'every 20 s of its motion, and putting the robot back are not counted as motion.')
    return said


def _time(value: float | None, budget_s: float) -> str:
    return f'> {budget_s:g} s' if value is None else f'{value:.2f} s'


def _typical(runs: Sequence[Run], name: str, form: str) -> str:
    return format(median(getattr(run, name) for run in runs), form)


def _listed(found: object) -> str:
    if not isinstance(found, Mapping):
        return 'not known'
    return ', '.join(f'{key} {value}' for key, value in found.items())
