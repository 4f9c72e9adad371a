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


"""
Control periods in a recording: which measurement begins each, and its command.

A step can be learned from only if it lasted one control period. So each
measurement is followed by the one nearest to a period later; if that is more
than ``TOLERANCE`` off, there is a gap. Nothing is interpolated.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hlai_control.learning.versions import tick_of
from hlai_control.recordings.account import Counts
from hlai_control.recordings.streams import Commands, Rows, States, Times

# Fraction of the control period by which a step may be longer or shorter.
TOLERANCE = 0.1


@dataclass(frozen=True)
class Ticks:
    """
    Measurements one control period apart.

    :param picked: index of each among all measurements.
    :param numbers: number of its tick; consecutive ones are one period apart.
    :param stamps: of the measurements [ns].
    :param logs: when they were recorded [ns].
    """

    picked: NDArray[np.int64]
    numbers: NDArray[np.int64]
    stamps: Times
    logs: Times


def regular(states: States, period_ns: int, counts: Counts) -> Ticks:
    """
    Pick the measurements that are one control period apart.

    :param states: measurements at any rate.
    :param period_ns: the control period [ns].
    :param counts: gaps, and what lies between the ticks, are counted here.
    """
    stamps, slack = states.stamps, TOLERANCE * period_ns
    picked, numbers = [0], [tick_of(int(stamps[0]), period_ns)]
    between = 0
    while picked[-1] + 1 < len(stamps):
        here = picked[-1]
        target = stamps[here] + period_ns
        later = max(int(np.searchsorted(stamps, target)), here + 1)
        near = [i for i in (later - 1, later) if here < i < len(stamps)]
        best = min(near, key=lambda i: abs(int(stamps[i] - target)))
        apart = int(stamps[best] - stamps[here])
        if abs(apart - period_ns) <= slack:
            numbers.append(numbers[-1] + 1)
        else:
            if later == len(stamps):
                break  # the recording ends within this period
            best = later
            apart = int(stamps[best] - stamps[here])
            counts.add('gap in the states' if apart > 1.5 * period_ns
                       else 'states that are not one control period apart')
            numbers.append(numbers[-1] + max(2, round(apart / period_ns)))
        between += best - here - 1
        picked.append(best)
    counts.add('states between two ticks, not needed', between)
    index = np.array(picked, np.int64)
    return Ticks(index, np.array(numbers, np.int64), stamps[index], states.logs[index])


def answers(commands: Commands, ticks: Ticks, period_ns: int, counts: Counts) -> dict[int, Rows]:
    """
    Assign commands that say which measurement they answer; the last one counts.

    :param commands: with stamps.
    :param ticks: of the measurements.
    :param period_ns: the control period [ns].
    :param counts: commands that answer no measurement are counted here.
    :returns: the command of each tick.
    """
    assert commands.stamps is not None
    found: dict[int, Rows] = {}
    for stamp, values in zip(commands.stamps.tolist(), commands.values, strict=True):
        after = int(np.searchsorted(ticks.stamps, stamp))
        near = min((i for i in (after - 1, after) if 0 <= i < len(ticks.stamps)),
                   key=lambda i: abs(int(ticks.stamps[i]) - stamp))
        away = stamp - int(ticks.stamps[near])
        whole = round(away / period_ns)
        if abs(away - whole * period_ns) > TOLERANCE * period_ns:
            counts.add('commands that answer no measurement')
            continue
        found[int(ticks.numbers[near]) + whole] = values
    return {tick: values for tick, values in found.items() if np.isfinite(values).all()}


def held(commands: Commands, ticks: Ticks, period_ns: int, timeout_s: float | None,
         counts: Counts) -> dict[int, Rows]:
    """
    Hold commands as the drivers do, in the order in which all was recorded.

    A tick's command is the newest one recorded before the next measurement.

    :param commands: without stamps.
    :param ticks: of the measurements.
    :param period_ns: the control period [ns].
    :param timeout_s: after so long without a command the drivers hold none [s].
    :param counts: ticks without one certain command are counted here.
    :returns: the command of each tick that has one.
    """
    found: dict[int, Rows] = {}
    ends = np.append(ticks.logs[1:], ticks.logs[-1:] + period_ns)
    ends = np.minimum(ends, ticks.logs + 2 * period_ns)
    first = np.searchsorted(commands.logs, ticks.logs)
    last = np.searchsorted(commands.logs, ends) - 1
    for i, tick in enumerate(ticks.numbers.tolist()):
        if last[i] < 0:
            counts.add('ticks before the first command')
            continue
        within = commands.values[first[i]:last[i] + 1]
        values = commands.values[last[i]]
        if len(within) > 1 and (within != values).any():
            counts.add('ticks in which the command changed more than once')
        elif timeout_s is not None and ends[i] - commands.logs[last[i]] > timeout_s * 1e9:
            counts.add('ticks after the command timeout of the drivers')
        elif np.isfinite(values).all():
            found[tick] = values
    return found
