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


"""Held-out error against epochs, as a picture; imports matplotlib."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from hlai_control.training.course import Epoch


def plot(epochs: Sequence[Epoch], best: Epoch, states: Sequence[str], path: Path) -> None:
    """Draw the held-out error of each coordinate, their mean, and which epoch was kept."""
    matplotlib.use('Agg')
    figure = Figure(figsize=(9.0, 4.0), dpi=90, layout='constrained')
    left, right = figure.subplots(1, 2)
    numbers = [one.number for one in epochs]
    for i, name in enumerate(states):
        left.plot(numbers, [one.each[i] for one in epochs], linewidth=1.0, label=name)
    left.plot(numbers, [one.error for one in epochs], linewidth=2.4, color='black', label='mean')
    left.axvline(best.number, color='grey', linestyle='--', label='kept')
    left.set(yscale='log', xlabel='epoch', title='held out',
             ylabel='one-step error / change per step')
    left.legend(fontsize='small')
    right.plot(numbers[1:], [one.loss for one in epochs[1:]], label='learned from')
    right.plot(numbers, [one.held_out for one in epochs], label='held out')
    right.axvline(best.number, color='grey', linestyle='--', label='kept')
    right.set(xlabel='epoch', title='loss, which decides what is kept')
    right.legend(fontsize='small')
    for panel in (left, right):
        panel.grid(alpha=0.3)
    figure.savefig(path, metadata={'Software': None})
