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

"""Tables and picture of ``model_throughput.py``."""

from collections.abc import Sequence
from math import inf, isfinite
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure
import numpy as np

from hlai_control.bench.verdict import bootstrap, Estimate

OURS = 'hlai_control'
Points = Sequence[dict[str, float]]


def best(points: Points) -> dict[str, float]:
    """Return the look with the lowest likelihood loss, as if training were stopped there."""
    return min(points, key=lambda point: point['nll'])


def reached_s(points: Points, nll: float) -> float:
    """Return when a model as good as that was there first; infinite: never."""
    return min((point['seconds'] for point in points if point['nll'] <= nll), default=inf)


def report(found: dict[str, Any], path: Path) -> None:
    """
    Write the tables as Markdown and the curves as a picture.

    :param found: what the race has kept.
    :param path: of the files, without suffix.
    """
    sizes = sorted({race['rows'] for race in found['races']})
    by_size = {rows: [race['learners'] for race in found['races'] if race['rows'] == rows]
               for rows in sizes}
    lines = [
        '# How soon a world model is learned', '',
        f'`python benchmark/model_throughput.py --seeds {found["seeds"]} --first-seed '
        f'{found["first_seed"]} --rows {" ".join(map(str, sizes))} --seconds '
        f'{found["seconds"]:g}`: {found["machine"]["processor"]}, one thread, processor time. '
        'Medians over the data seeds, with 95 % bootstrap intervals. NLL: of the next measured '
        f'state, in nats per transition, on {found["held_out"]} transitions of other '
        'recordings; the lowest that was reached at any time, as if training had been stopped '
        'there. In brackets: '
        'members and hidden layers.', '', f'![NLL against time]({path.name}.png)', '']
    for rows, races in by_size.items():
        lines += [f'## {rows} transitions', '', *_table(races, rows), '']
    path.with_suffix('.md').write_text('\n'.join(lines[:-1]) + '\n')
    _plot(by_size, path.with_suffix('.png'))


def _table(races: Sequence[dict[str, Any]], rows: int) -> list[str]:
    lines = ['| learner | rows per second and member, as trained | best NLL | reached after | '
             'ours is as good after | so many times sooner | transitions learned per second, '
             'ours, to that NLL | its own |', '|---|---|---|---|---|---|---|---|']
    for name in races[0]:
        ends = [best(race[name]['points']) for race in races]
        own = [reached_s(race[OURS]['points'], end['nll'])
               for race, end in zip(races, ends, strict=True)]
        peer = [end['seconds'] for end in ends]
        cells = [name, _shown([race[name]['rows_per_s'] for race in races], '.0f'),
                 _shown([end['nll'] for end in ends], '.2f'), f'{median(peer):.2f} s']
        if name != OURS:
            cells += [f'{median(own):.3f} s' if isfinite(median(own)) else 'never',
                      _shown([end / start for end, start in zip(peer, own, strict=True)], '.0f'),
                      _shown([rows / start for start in own], '.0f'),
                      _shown([rows / end for end in peer], '.0f')]
        else:
            cells += ['', '', '', '']
        lines.append(f'| {" | ".join(cells)} |')
    return lines


def _shown(values: Sequence[float], form: str) -> str:
    found: Estimate = bootstrap(values, median)
    return f'{found.value:{form}} ({found.low:{form}} to {found.high:{form}})'


def _plot(by_size: dict[int, list[dict[str, Any]]], path: Path) -> None:
    figure = Figure(figsize=(5.2 * len(by_size), 4.4), dpi=90, layout='constrained')
    panels = figure.subplots(1, len(by_size), squeeze=False)[0]
    for panel, (rows, races) in zip(panels, by_size.items(), strict=True):
        for name in races[0]:
            curves = [race[name]['points'] for race in races]
            begin = max(curve[0]['seconds'] for curve in curves)
            end = min(curve[-1]['seconds'] for curve in curves)
            times = np.geomspace(begin, end, 60)
            levels = np.array([[_last(curve, at) for at in times] for curve in curves])
            line, = panel.plot(times, np.median(levels, axis=0), label=name,
                               linewidth=2.4 if name == OURS else 1.2,
                               linestyle='-' if name == OURS else '--')
            panel.fill_between(times, levels.min(axis=0), levels.max(axis=0),
                               color=line.get_color(), alpha=0.15, linewidth=0.0)
        panel.set(xscale='log', title=f'{rows} transitions', xlabel='processor time [s]',
                  ylabel='held-out NLL [nat per transition]', ylim=(-11.0, 4.0))
        panel.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside lower center', ncols=3,
                  fontsize='small')
    figure.savefig(path, metadata={'Software': None})


def _last(points: Points, at_s: float) -> float:
    return [point['nll'] for point in points if point['seconds'] <= at_s][-1]
