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


"""The two topics of a recording as checked numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hlai_control.errors import SignalError
from hlai_control.readings import joint_values, named_values, StampGate
from hlai_control.recordings.account import Counts
from hlai_control.recordings.bag import Bag
from hlai_control.recordings.topics import Topics
from hlai_control.robots.manifest import RobotManifest

_NS_PER_S = 1_000_000_000
Times = NDArray[np.int64]
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class States:
    """
    Measurements of one clock, their stamps going forward.

    :param stamps: of the measurements [ns].
    :param logs: when they were recorded [ns].
    :param values: S values each; NaN: not measured.
    """

    stamps: Times
    logs: Times
    values: Rows


@dataclass(frozen=True)
class Commands:
    """
    Commands in the order in which they were recorded.

    :param stamps: of the measurement that each answers; None: it does not say.
    :param logs: when they were recorded [ns].
    :param values: A values each; NaN: unusable, so what was in effect then is unknown.
    """

    stamps: Times | None
    logs: Times
    values: Rows


def read_states(bag: Bag, topics: Topics, manifest: RobotManifest,
                counts: Counts) -> list[States]:
    """
    Read the states; a clock that was set back begins a further stretch.

    :param bag: the recording.
    :param topics: where to read.
    :param manifest: the robot.
    :param counts: what is dropped is counted here.
    """
    names = manifest.layout.states
    read: Callable[[Any], Rows] = (
        (lambda said: named_values(said.name, said.position, names)) if topics.estimated else
        (lambda said: joint_values(said.name, said.position, said.velocity, manifest)))
    gate, stretches = StampGate(), list[list[tuple[int, int, Rows]]]([[]])
    for message in bag.messages(topics.states):
        said = message.content
        try:
            if said is None:
                raise SignalError('unreadable')
            if not set(said.name) & set(names if topics.estimated else manifest.joints):
                raise SignalError('none of the names of this robot')
            values, stamp_ns, before = read(said), _stamp(said), gate.last_ns
            gate.check(stamp_ns)
        except SignalError as error:
            counts.add(f'{topics.states}: {error}')
            continue
        if before is not None and stamp_ns < before:
            counts.add(f'{topics.states}: clock set back')
            stretches.append([])
        stretches[-1].append((stamp_ns, message.log_ns, values))
    return [States(np.array([row[0] for row in rows], np.int64),
                   np.array([row[1] for row in rows], np.int64),
                   np.array([row[2] for row in rows])) for rows in stretches if rows]


def read_commands(bag: Bag, topics: Topics, manifest: RobotManifest,
                  counts: Counts) -> Commands:
    """
    Read the commands; what cannot be used leaves a hole, never an older value.

    :param bag: the recording.
    :param topics: where to read.
    :param manifest: the robot.
    :param counts: what is dropped is counted here.
    """
    layout, stamps, logs, rows = manifest.layout, list[int](), list[int](), list[Rows]()
    low, high = np.array(layout.action_low), np.array(layout.action_high)
    for message in bag.messages(topics.commands):
        said, values = message.content, np.full(layout.action_size, np.nan)
        try:
            if said is None:
                raise SignalError('unreadable')
            values = _command(said, topics, layout.actions, low, high)
        except SignalError as error:
            counts.add(f'{topics.commands}: {error}')
            if said is None and topics.applied:
                continue  # not even its stamp is known
        stamps.append(_stamp(said) if topics.applied else 0)
        logs.append(message.log_ns)
        rows.append(values)
    return Commands(np.array(stamps, np.int64) if topics.applied else None,
                    np.array(logs, np.int64),
                    np.array(rows).reshape(-1, layout.action_size))


def _command(said: Any, topics: Topics, names: tuple[str, ...], low: Rows, high: Rows) -> Rows:
    if topics.applied:
        values = named_values(said.name, said.position, names)
    else:
        values = np.array(said.data, np.float64)
        if values.shape != low.shape:
            raise SignalError('wrong length')
        if not np.isfinite(values).all():
            raise SignalError('non-finite')
    slack = 1e-9 * (high - low)
    if ((values < low - slack) | (values > high + slack)).any():
        raise SignalError('beyond the limits of the actuators')
    return values


def _stamp(said: Any) -> int:
    return int(said.header.stamp.sec) * _NS_PER_S + int(said.header.stamp.nanosec)
