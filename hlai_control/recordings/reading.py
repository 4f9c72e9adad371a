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


"""A recording as transitions, joined by the same rule as on the running robot."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hlai_control.errors import RecordingError
from hlai_control.learning.pairing import Joined, Pairing
from hlai_control.recordings.account import Account, Counts
from hlai_control.recordings.bag import opened
from hlai_control.recordings.filtering import estimates
from hlai_control.recordings.streams import Commands, read_commands, read_states, Rows, States
from hlai_control.recordings.ticks import answers, held, regular, Ticks
from hlai_control.recordings.topics import choose
from hlai_control.robots.manifest import RobotManifest
from hlai_control.settings import PerceptionSettings

NO_COMMAND = 'steps without a known command'


@dataclass(frozen=True)
class Recording:
    """
    What a recording teaches.

    :param transitions: in order of time.
    :param account: where they came from, and what was dropped.
    """

    transitions: tuple[Joined, ...]
    account: Account


def read_recording(path: Path, manifest: RobotManifest,
                   settings: PerceptionSettings) -> Recording:
    """
    Read a bag.

    :param path: the folder of a rosbag2 recording, or one file of it.
    :param manifest: the robot that was recorded.
    :param settings: of perception, for recordings of joint states.
    :raises RecordingError: if it cannot be read, or no step of it can be used.
    """
    counts, joined = Counts(), list[Joined]()
    with opened(path) as bag:
        topics = choose(bag, manifest)
        stretches = read_states(bag, topics, manifest, counts)
        commands = read_commands(bag, topics, manifest, counts)
    messages = sum(len(one.stamps) for one in stretches) + len(commands.logs)
    for states, share in _stretches(stretches, commands):
        ticks = regular(states, manifest.period_ns, counts)
        values = states.values[ticks.picked]
        if not topics.estimated:
            values = estimates(values, ticks, manifest.layout, settings, counts)
        given = (answers(share, ticks, manifest.period_ns, counts) if topics.applied else
                 held(share, ticks, manifest.period_ns, manifest.command_timeout_s, counts))
        joined.extend(_join(ticks, values, given, manifest, counts))
    account = Account(
        f'{topics.states} ({"estimates" if topics.estimated else "joint states, filtered"})',
        f'{topics.commands} ({"answers" if topics.applied else "held by the drivers"})',
        messages, len(joined), counts.worst_first())
    if not joined:
        raise RecordingError(f'bag:={path}: no step of it can be learned from:\n  '
                             + '\n  '.join(account.lines()))
    return Recording(tuple(joined), account)


def _stretches(stretches: list[States], commands: Commands) -> Iterator[tuple[States, Commands]]:
    """Give each stretch of states the commands that were recorded during it."""
    if not stretches:
        return  # none of the messages could be used: the account says why
    starts = [int(one.logs[0]) for one in stretches]
    edges = np.searchsorted(commands.logs, starts[1:]).tolist()
    for states, first, last in zip(stretches, [0, *edges], [*edges, len(commands.logs)],
                                   strict=True):
        part = slice(first, last)
        stamps = None if commands.stamps is None else commands.stamps[part]
        yield states, Commands(stamps, commands.logs[part], commands.values[part])


def _join(ticks: Ticks, values: Rows, given: dict[int, Rows], manifest: RobotManifest,
          counts: Counts) -> list[Joined]:
    pairing = Pairing(manifest.delay_ticks, len(manifest.actuators), patient=False)
    waiting, joined = sorted(given), list[Joined]()
    fed, usable = 0, np.array(np.isfinite(values).all(axis=1))
    for i, tick in enumerate(ticks.numbers.tolist()):
        while fed < len(waiting) and waiting[fed] <= tick:
            pairing.applied(waiting[fed], given[waiting[fed]])
            fed += 1
        if usable[i]:
            pairing.state(tick, int(ticks.stamps[i]), values[i])
        while (one := pairing.pop()) is not None:
            joined.append(one)
    steps = np.diff(ticks.numbers) == 1
    counts.add(NO_COMMAND, int((steps & usable[1:] & usable[:-1]).sum()) - len(joined))
    return joined
