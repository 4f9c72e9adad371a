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


"""Which topics of a recording tell the states, and which the commands."""

from dataclasses import dataclass

from hlai_control.errors import RecordingError
from hlai_control.graph import APPLIED, STATE
from hlai_control.recordings.bag import Bag
from hlai_control.robots.manifest import RobotManifest

JOINT_STATE = 'sensor_msgs/msg/JointState'
ARRAY = 'std_msgs/msg/Float64MultiArray'


@dataclass(frozen=True)
class Topics:
    """
    Where to read.

    :param states: topic of the states.
    :param estimated: whether those are perception's estimates; otherwise
        joint states, which perception has yet to filter.
    :param commands: topic of the commands.
    :param applied: whether those say which measurement they answer, as the
        guard's do; otherwise they are what the drivers got.
    """

    states: str
    estimated: bool
    commands: str
    applied: bool


def choose(bag: Bag, manifest: RobotManifest) -> Topics:
    """
    Prefer what this graph recorded; otherwise the topics of the robot's drivers.

    :raises RecordingError: naming the topics missing and those that are there.
    """
    names = manifest.topics
    states = _first(bag, ((STATE, JOINT_STATE), (names.joint_states, JOINT_STATE)))
    commands = _first(bag, ((APPLIED, JOINT_STATE), (names.command, ARRAY)))
    if states is None or commands is None:
        wanted = [text for text, found in (
            (f'states ({STATE} or {names.joint_states}, of type {JOINT_STATE})', states),
            (f'commands ({APPLIED} of type {JOINT_STATE}, or {names.command} of type {ARRAY})',
             commands)) if found is None]
        there = ', '.join(f'{name} ({kind})' for name, kind in sorted(bag.types.items()))
        raise RecordingError(
            f'{bag.path}: no topic with {" and none with ".join(wanted)}; it holds '
            f'{there or "nothing"}; record these topics, or name yours in {manifest.path.name}')
    return Topics(states[0], states[1] == STATE, commands[0], commands[1] == APPLIED)


def _first(bag: Bag, wanted: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    for name, kind in wanted:
        plain = name.strip('/')
        found = [topic for topic, its in bag.types.items()
                 if its == kind and f'/{topic}'.endswith(f'/{plain}')]
        exact = [topic for topic in found if topic.strip('/') == plain]
        if len(exact or found) > 1:
            raise RecordingError(f'{bag.path}: {", ".join(sorted(found))} all end with {plain}; '
                                 'valid: a recording of one robot')
        if found:
            return (exact or found)[0], name
    return None
