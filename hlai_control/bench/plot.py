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

"""Cost against time from a cold start, one panel per system; imports matplotlib."""

from math import isfinite
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
import numpy as np

from hlai_control.bench.competitors import REFERENCE, SUBJECT
from hlai_control.bench.results import Results
from hlai_control.bench.verdict import curve

IDLE = 'do nothing'


def plot(results: Results, path: Path) -> None:
    """Draw, for each planner, the median over the starts of the cost reached by each time."""
    matplotlib.use('Agg')
    count = len(results.systems)
    figure = Figure(figsize=(5.2 * min(2, count), 3.9 * ((count + 1) // 2)), dpi=90,
                    layout='constrained')
    grid = figure.subplots((count + 1) // 2, min(2, count), squeeze=False).flat
    for panel, (name, system) in zip(grid, results.systems.items(), strict=False):
        times = np.geomspace(1e-3, 1.0, 90).tolist()
        for competitor, facts in results.facts['competitors'].items():
            if facts['kind'] == 'baseline':
                continue
            values = curve(system.samples, competitor, IDLE, times)
            shown = [(1e3 * t, max(value, 1e-3)) for t, value in zip(times, values, strict=True)
                     if isfinite(value)]
            if shown:
                strong = competitor in (SUBJECT, REFERENCE)
                panel.plot(*zip(*shown, strict=True), label=competitor,
                           linewidth=2.4 if strong else 1.1,
                           linestyle='-' if facts['kind'] == 'own' else '--')
        panel.set(xscale='log', yscale='log', title=name, xlabel='time per plan [ms]',
                  ylabel='cost above the best, of doing nothing')
        panel.grid(alpha=0.3)
    first = figure.axes[0]
    figure.legend(*first.get_legend_handles_labels(), loc='outside lower center', ncols=5,
                  fontsize='small')
    figure.savefig(path, metadata={'Software': None})
