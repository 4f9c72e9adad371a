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

"""Fraction solved against motion seconds, one panel per robot; imports matplotlib."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from hlai_control.paradigms.rows import CONTROLLER, ROWS, SAC
from hlai_control.paradigms.runs import Cell, Cells

FIRST_S = 0.5


def plot(cells: Cells, path: Path) -> None:
    """Draw a step per run that solved the task, from the first tick to the row's budget."""
    matplotlib.use('Agg')
    figure = Figure(figsize=(5.6 * max(1, len(cells)), 4.4), dpi=90, layout='constrained')
    panels = figure.subplots(1, max(1, len(cells)), squeeze=False)[0]
    most = max((len(cell.runs) for found in cells.values() for cell in found.values()), default=0)
    for panel, (robot, found) in zip(panels, cells.items(), strict=False):
        for number, row in enumerate(ROWS):
            cell = found.get(row.name)
            if cell is None or not cell.runs:
                continue
            # Few runs look like many.
            count = '' if len(cell.runs) == most else f', {len(cell.runs)} runs only'
            style = {CONTROLLER: ':', SAC: '--'}.get(row.kind, '-')
            panel.step(*curve(cell), where='post', label=row.title + count, linestyle=style,
                       linewidth=2.4 if row.name == 'agent' else 1.4, color=f'C{number}')
        panel.set(xscale='log', title=robot, xlabel='motion [s]', ylabel='fraction solved',
                  ylim=(-0.03, 1.05))
        panel.grid(alpha=0.3, which='both')
        panel.legend(loc='upper left', bbox_to_anchor=(0.0, -0.16), ncols=2, fontsize='x-small')
    figure.savefig(path, metadata={'Software': None})


def curve(cell: Cell) -> tuple[list[float], list[float]]:
    """Return the times at which the fraction changes, and the fractions from there on."""
    solved = sorted(run.solved_at_s for run in cell.runs.values() if run.solved_at_s is not None)
    count = len(cell.runs)
    times = [FIRST_S, *solved, cell.settings['budget_s']]
    shares = [number / count for number in range(len(solved) + 1)]
    return times, [*shares, shares[-1]]
