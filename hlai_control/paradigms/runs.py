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

"""The runs of ``hlai eval paradigms`` as a file: kept after each run, read to go on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
import json
from pathlib import Path
from typing import Any

from hlai_control.errors import UsageError


@dataclass(frozen=True)
class Run:
    """
    One row on one robot with one seed.

    :param solved_at_s: motion seconds at the start of the hold; None: not within the budget.
    :param motion_s: motion seconds that were needed to know.
    :param final_cost: mean true stage cost over the last 3 s.
    :param action_ms: processor time of an action, the median [ms].
    :param calls: of the world model per plan, the mean; 0 without plans.
    :param learning_ms: processor time of learning per control period, the mean [ms].
    :param cpu_s: processor time of the whole run, simulator included [s].
    :param wall_s: the same on the clock on the wall [s].
    """

    seed: int
    solved_at_s: float | None
    motion_s: float
    final_cost: float
    action_ms: float
    calls: float
    learning_ms: float
    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class Cell:
    """
    The runs of one row on one robot.

    :param settings: all that they share, see ``rows.identity``.
    :param runs: by seed.
    """

    settings: Mapping[str, Any]
    runs: Mapping[int, Run]


# By robot, then row.
Cells = dict[str, dict[str, Cell]]


def keep(path: Path, cells: Cells, facts: Mapping[str, object]) -> None:
    """
    Write so that no reader sees half of it; one line per run.

    :param facts: machine, versions and date of the newest run.
    """
    robots = ',\n'.join(
        f'{json.dumps(robot)}: {{\n' + ',\n'.join(
            f'{json.dumps(row)}: {_cell(cell)}' for row, cell in found.items()) + '}'
        for robot, found in cells.items())
    draft = path.with_suffix(path.suffix + '.part')
    draft.write_text(f'{{"facts": {json.dumps(facts, indent=1)},\n"cells": {{\n{robots}}}}}\n')
    draft.replace(path)


def load(path: Path) -> tuple[Cells, dict[str, object]]:
    """
    Read what there is, and the facts beside it.

    :returns: nothing, if there is no file.
    :raises UsageError: if the file holds something else.
    """
    if not path.exists():
        return {}, {}
    try:
        given = json.loads(path.read_text())
        cells = {robot: {row: Cell(cell['settings'], {run['seed']: Run(**run)
                                                      for run in cell['runs']})
                         for row, cell in found.items()}
                 for robot, found in given['cells'].items()}
        return cells, dict(given['facts'])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f'json:={path} holds no results of hlai eval paradigms ({error!r}); '
                         'choose another file') from None


def joined(path: Path, cells: Cells, robot: str, row: str, settings: Mapping[str, Any],
           seeds: range) -> Cell:
    """
    Return the runs that were made already of what is asked for.

    :raises UsageError: if they were made with other settings, or other seeds, naming which.
    """
    cell = cells.get(robot, {}).get(row)
    if cell is None or not cell.runs:
        return Cell(settings, {})
    asked = json.loads(json.dumps(settings))
    for key in sorted({*cell.settings, *asked}):
        was, now = cell.settings.get(key, 'not there'), asked.get(key, 'not there')
        if was != now:
            raise UsageError(
                f'json:={path} holds runs of {row} on {robot} with {key} = {was}, now asked for '
                f'{now}; ask for the same, choose another file, or delete these runs')
    if others := sorted(seed for seed in cell.runs if seed < seeds.start):
        raise UsageError(f'json:={path} holds runs of {row} on {robot} with seeds {others}; ask '
                         f'for them too (first_seed:={others[0]}), or choose another file')
    return cell


def _cell(cell: Cell) -> str:
    runs = ',\n'.join(json.dumps({key: _rounded(value) for key, value in asdict(run).items()})
                      for _, run in sorted(cell.runs.items()))
    return f'{{"settings": {json.dumps(dict(cell.settings))},\n"runs": [\n{runs}]}}'


def _rounded(value: object) -> object:
    return float(f'{value:.6g}') if isinstance(value, float) else value
