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

"""What ``gpu_checks.py`` found out: lines, a file and a plot."""

from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
import json
from pathlib import Path

import torch


@dataclass(frozen=True)
class Line:
    """
    One check.

    :param text: what it says.
    :param holds: whether it holds.
    :param facts: the same as numbers, for the file and the plot.
    """

    text: str
    holds: bool
    facts: dict[str, float] = field(default_factory=dict)


def keep(lines: list[Line], device: str, folder: Path) -> None:
    """Write what is known so far: a run that is cut short has not been for nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / 'gpu_checks.json.part'
    part.write_text(json.dumps({'device': device, 'torch': torch.__version__,
                                'checks': [asdict(line) for line in lines]}, indent=1) + '\n')
    part.replace(folder / 'gpu_checks.json')
    points = [line.facts for line in lines if 'products_ms' in line.facts]
    if points and find_spec('matplotlib') is not None:
        plot(points, device, folder / 'gpu_scaling.png')


def plot(points: list[dict[str, float]], device: str, path: Path) -> None:
    """Draw the time of a plan, and of its bare matrix products, against the candidates."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(5.2, 3.9), dpi=90, layout='constrained')
    panel = figure.subplots()
    for name, style in (('plan_ms', '-o'), ('products_ms', '--s')):
        panel.plot([point['candidates'] for point in points], [point[name] for point in points],
                   style, label=name.removesuffix('_ms'))
    panel.set(xscale='log', yscale='log', xlabel='candidates', ylabel='time [ms]', title=device)
    panel.grid(alpha=0.3)
    panel.legend()
    figure.savefig(path, metadata={'Software': None})
