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

"""The survival curves of ``hlai eval`` as a picture; imports matplotlib when it draws."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
import json
from pathlib import Path
from typing import Any

from hlai_control.errors import UsageError
from hlai_control.parent.statistics import survival, wilson

# Which row is drawn how; others get a colour of their own.
_STYLE = {'hlai': '-', 'classical': '--', 'random': ':', 'do nothing': '-.'}


def controllers(results: Mapping[str, Any]) -> dict[str, list[float | None]]:
    """
    Return when each run of each row was solved; None: never.

    :param results: what ``hlai eval`` has written.
    """
    rows = {'hlai': results['runs'], **{
        name: row['runs'] for name, row in results.get('baselines', {}).items()}}
    return {name: [run['solved_at_s'] for run in runs] for name, runs in rows.items() if runs}


def draw(results: Mapping[str, Any], path: Path) -> None:
    """
    Draw the fraction solved against motion seconds, with 95 % intervals (Wilson).

    :param results: what ``hlai eval`` has written.
    :param path: of the picture.
    :raises UsageError: if it cannot be written.
    """
    from matplotlib.figure import Figure
    settings, rows = results['settings'], controllers(results)
    limit_s = float(settings['timeout_s'])
    figure = Figure(figsize=(6.0, 4.0), dpi=90, layout='constrained')
    panel = figure.subplots()
    for name, solved_at in rows.items():
        times, share, low, high = curve(solved_at, limit_s)
        line, = panel.step(times, share, where='post', label=f'{name}, {len(solved_at)} runs',
                           linestyle=_STYLE.get(name, '-'),
                           linewidth=2.4 if name == 'hlai' else 1.4)
        panel.fill_between(times, low, high, step='post', color=line.get_color(), alpha=0.15,
                           linewidth=0.0)
    panel.set(xlim=(0.0, _shown_s(rows.values(), limit_s)), ylim=(-0.02, 1.02),
              xlabel='motion until the hold begins [s]', ylabel='fraction solved',
              title=f'{settings["robot"]} {settings["task"]}, {settings.get("mode", "lockstep")}')
    panel.grid(alpha=0.3)
    panel.legend(loc='center right')
    try:
        figure.savefig(path, metadata={'Software': None})
    except OSError as error:
        raise UsageError(f'{path} cannot be written: {error.strerror}') from None


def curve(solved_at_s: Sequence[float | None], limit_s: float
          ) -> tuple[list[float], list[float], list[float], list[float]]:
    """
    Return the steps of a survival curve.

    :param solved_at_s: of each run; None: never.
    :param limit_s: when runs were given up.
    :returns: times, fraction solved from each on, and its 95 % interval.
    """
    times = sorted({0.0, limit_s, *(time for time in solved_at_s if time is not None)})
    share = survival(solved_at_s, times)
    bands = [wilson(round(value * len(solved_at_s)), len(solved_at_s)) for value in share]
    return times, share, [low for low, _ in bands], [high for _, high in bands]


def redraw(path: Path) -> Path:
    """
    Draw a file that ``hlai eval`` has written.

    :returns: the picture, beside it.
    :raises UsageError: if the file cannot be read or holds something else.
    """
    if find_spec('matplotlib') is None:
        raise UsageError('matplotlib is not installed; valid: pip install hlai_control[plot]')
    try:
        results = json.loads(path.read_text())
        if not controllers(results) or float(results['settings']['timeout_s']) <= 0.0:
            raise ValueError('no runs')
        str(results['settings']['robot'] + results['settings']['task'])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f'json:={path} cannot be drawn ({type(error).__name__}: {error}); '
                         'valid: a file that hlai eval has written') from None
    draw(results, picture(path))
    return picture(path)


def picture(path: Path) -> Path:
    """Name the picture of a results file."""
    return path.with_suffix('.png')


def _shown_s(rows: Any, limit_s: float) -> float:
    """Return the time up to which there is something to see."""
    last = max((time for row in rows for time in row if time is not None), default=limit_s)
    return min(limit_s, 1.25 * last)
