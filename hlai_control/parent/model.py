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


"""``model:=``: a trained world model put where a run's world model node looks for one."""

import json
from pathlib import Path
import shutil

from hlai_control.errors import UsageError
from hlai_control.robots.manifest import RobotManifest

JOURNAL = 'transitions.journal'
_HEADER = 8
_MOST = 1_000_000


def model_file(text: str, manifest: RobotManifest) -> Path | None:
    """
    Check what ``model:=`` names, as far as that goes without torch.

    The node checks the rest: every field of the manifest, and every tensor.

    :param text: as typed: the file, or the folder that ``hlai train`` made.
    :param manifest: the robot.
    :returns: the file; None for an empty text.
    :raises UsageError: if there is no such file, or it is of another robot.
    """
    if not text:
        return None
    path = Path(text)
    path = path / 'world_model.safetensors' if path.is_dir() else path
    try:
        found = _manifest(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f'model:={text} cannot be read ({type(error).__name__}); valid: a '
                         'world_model.safetensors that hlai train has written') from error
    layout = manifest.layout
    for field, valid in (('kind', 'world_model'), ('robot', layout.robot),
                         ('states', json.dumps(layout.states)),
                         ('state_units', json.dumps(layout.state_units)),
                         ('angle', json.dumps(layout.angle)),
                         ('actions', json.dumps(layout.actions)),
                         ('action_units', json.dumps(layout.action_units)),
                         ('period_s', repr(layout.period_s)),
                         ('delay_ticks', repr(layout.delay_ticks)),
                         ('action_low', json.dumps(layout.action_low)),
                         ('action_high', json.dumps(layout.action_high))):
        if found.get(field) != valid:
            raise UsageError(f'model:={text}: {field} is {found.get(field)!r}; valid: {valid!r}')
    return path


def place_model(path: Path, folder: Path) -> None:
    """
    Copy a model into a run's folder, with the transitions that it was trained on.

    :param path: the file, checked.
    :param folder: of the run.
    """
    version = int(_manifest(path)['version'])
    functions, journals = folder / 'functions', folder / 'journals'
    functions.mkdir(exist_ok=True)
    shutil.copyfile(path, functions / f'world_model-{version:018d}.safetensors')
    if (path.parent / JOURNAL).is_file():
        journals.mkdir(exist_ok=True)
        shutil.copyfile(path.parent / JOURNAL, journals / 'world_model.journal')


def _manifest(path: Path) -> dict[str, str]:
    with open(path, 'rb') as file:
        length = int.from_bytes(file.read(_HEADER), 'little')
        if length > _MOST:
            raise ValueError('header')
        found: dict[str, str] = json.loads(file.read(length))['__metadata__']
    return found
