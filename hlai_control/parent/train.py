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


"""``hlai train``: checks what is asked for, then trains in a process of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import sys

from hlai_control.errors import UsageError
from hlai_control.parent.arguments import split, whole
from hlai_control.parent.watched import watched
from hlai_control.robots.manifest import load_robot

KEYS = ('bag', 'robot', 'out', 'seed', 'epochs', 'patience')
# Of the rooms' settings, those that have a say in training.
ROOMS = ('world_model', 'perception')
MODULE = 'hlai_control.training'


@dataclass(frozen=True)
class TrainSettings:
    """
    What ``hlai train`` was asked for.

    :param bag: the recording.
    :param robot: name or path.
    :param out: folder for everything that comes of it.
    :param seed: of weights and batches.
    :param epochs: looks at all transitions, at most.
    :param patience: epochs without a better one after which it ends.
    :param rooms: settings of world model and perception by parameter name.
    """

    bag: Path
    robot: str
    out: Path
    seed: int
    epochs: int
    patience: int
    rooms: Mapping[str, object]

    def of(self, room: str) -> dict[str, object]:
        """Return the settings of one room by field name."""
        return {key.partition('.')[2]: value for key, value in self.rooms.items()
                if key.partition('.')[0] == room}


def read_arguments(arguments: Sequence[str]) -> TrainSettings:
    """
    Read the arguments of ``hlai train``.

    :raises HlaiError: naming what is wrong and what is valid.
    """
    own, rooms = split(arguments, KEYS)
    for key in ('bag', 'robot'):
        if not own.get(key):
            raise UsageError(f'hlai train needs {key}:=; valid: '
                             'hlai train bag:=FOLDER robot:=NAME')
    strange = [key for key in rooms if key.partition('.')[0] not in ROOMS]
    if strange:
        raise UsageError(f'{", ".join(strange)}: has no say in training; valid: '
                         + ', '.join(KEYS) + ', and settings of ' + ' and '.join(ROOMS))
    bag = Path(own['bag'])
    if not bag.exists():
        raise UsageError(f'bag:={bag} does not exist; valid: the folder of a rosbag2 recording, '
                         'or one .mcap or .db3 file')
    manifest = load_robot(own['robot'])
    out = Path(own.get('out') or Path('trained') / manifest.name)
    if out.exists() and not out.is_dir():
        raise UsageError(f'out:={out} is a file; valid: a folder, which will be made')
    return TrainSettings(bag, own['robot'], out, whole(own, 'seed', 0),
                         whole(own, 'epochs', 200, 1, 1_000_000),
                         whole(own, 'patience', 20, 1, 1_000_000), rooms)


def train(arguments: Sequence[str]) -> int:
    """
    Run ``hlai train``.

    :returns: the process's exit status; 130 after Ctrl-C.
    :raises HlaiError: if the arguments are wrong.
    """
    read_arguments(arguments)
    return watched([sys.executable, '-m', MODULE, *arguments])
