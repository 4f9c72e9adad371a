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


"""``hlai export``: the transitions of a run as a rosbag2 recording."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hlai_control.errors import UsageError
from hlai_control.learning.journal import JournalReader
from hlai_control.parent.arguments import split
from hlai_control.recordings.writing import write_recording
from hlai_control.robots.manifest import load_robot, RobotManifest

KEYS = ('run', 'bag', 'robot')
# Where transitions may lie: of a run, and of a training.
JOURNALS = ('journals/world_model.journal', 'transitions.journal')


def export(arguments: Sequence[str]) -> int:
    """
    Run ``hlai export``.

    :returns: the exit status.
    :raises HlaiError: if the run has no transitions, or the bag cannot be written.
    """
    own, rooms = split(arguments, KEYS)
    if rooms or not own.get('run') or not own.get('bag'):
        raise UsageError('hlai export takes no settings; valid: '
                         'hlai export run:=FOLDER bag:=FOLDER robot:=cartpole')
    manifest, run = load_robot(own.get('robot', 'cartpole')), Path(own['run'])
    found = next((run / name for name in JOURNALS if (run / name).is_file()), None)
    if found is None:
        raise UsageError(f'run:={run} holds no transitions ({" or ".join(JOURNALS)}); valid: '
                         'the folder of a run or of a training')
    count = _export(found, Path(own['bag']), manifest)
    Console().print(f'{count} transitions of {found} are in {own["bag"]}', highlight=False,
                    soft_wrap=True)
    return 0


def _export(journal: Path, bag: Path, manifest: RobotManifest) -> int:
    # A reader cuts nothing off: the run may be going on.
    opened = JournalReader(journal, manifest.layout)
    try:
        return write_recording(bag, opened, manifest.layout, manifest.period_ns)
    finally:
        opened.close()
