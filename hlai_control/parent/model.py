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

from collections.abc import Mapping
import json
from pathlib import Path
import shutil
from types import MappingProxyType
from typing import Any

from hlai_control.errors import UsageError
from hlai_control.learning.sessions import set_apart
from hlai_control.robots.manifest import RobotManifest
from hlai_control.settings import WorldModelSettings

JOURNAL = 'transitions.journal'
_TRUNK = 'trunk.w1'
_HEADER = 8
_MOST = 1_000_000


def model_file(text: str, manifest: RobotManifest,
               rooms: Mapping[str, object] = MappingProxyType({})) -> Path | None:
    """
    Check what ``model:=`` names, as far as that goes without torch.

    The node checks the rest: every field of the manifest, and every tensor.

    :param text: as typed: the file, or the folder that ``hlai train`` made.
    :param manifest: the robot.
    :param rooms: settings by parameter name; the world model's sizes must be the file's.
    :returns: the file; None for an empty text.
    :raises UsageError: if there is no such file, or it is of another robot or of other sizes.
    """
    if not text:
        return None
    path = _found(text)
    try:
        found, shapes = _manifest(path), _shapes(path)
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
    _check_sizes(text, shapes, manifest, rooms)
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
    # Its version is a tick of another run; all that this run makes is newer.
    set_apart(functions)
    if (beside := model_files(str(path)).get('transitions')) is not None:
        journals.mkdir(exist_ok=True)
        shutil.copyfile(beside, journals / 'world_model.journal')


def model_files(text: str) -> dict[str, Path]:
    """
    Name the files that a run takes from a model: itself, and its transitions if it has any.

    :param text: as typed.
    :raises UsageError: if there is no such file.
    """
    path = _found(text)
    if not path.is_file():
        raise UsageError(f'model:={text} does not exist; valid: a world_model.safetensors that '
                         'hlai train has written')
    beside = path.parent / JOURNAL
    return {'model': path} | ({'transitions': beside} if beside.is_file() else {})


def _check_sizes(text: str, shapes: Mapping[str, list[int]], manifest: RobotManifest,
                 rooms: Mapping[str, object]) -> None:
    # The node would find no file that fits, and begin from nothing without a word.
    both = f'ensemble.{_TRUNK}' in shapes
    kinds: dict[str, Any] = {
        name: rooms[f'world_model.{name}'] for name in ('mechanism', 'latent')
        if f'world_model.{name}' in rooms}
    if WorldModelSettings(**kinds).holds_mechanism(manifest.layout) != both:
        wanted = ' '.join((f'world_model.mechanism:={str(both).lower()}',
                           *(('world_model.latent:=gaussian',) if both else ())))
        raise UsageError(f'model:={text} was trained with {wanted}; add {wanted}')
    if len(shape := shapes.get(f'ensemble.{_TRUNK}' if both else _TRUNK, [])) != 3:
        raise UsageError(f'model:={text}: it holds no {_TRUNK}; valid: a model of this version')
    members, _, width = shape
    pairs = 2 if manifest.layout.has_mirror else 1
    for name, valid in (('members', members), ('hidden', width * pairs)):
        key = f'world_model.{name}'
        asked = int(str(rooms.get(key, getattr(WorldModelSettings, name))))
        if (-(-asked // pairs) * pairs if name == 'hidden' else asked) != valid:
            raise UsageError(f'model:={text} was trained with {key}:={valid}, and {asked} is '
                             f'asked for; add {key}:={valid}')


def _shapes(path: Path) -> dict[str, list[int]]:
    return {name: [int(size) for size in one['shape']] for name, one in _header(path).items()
            if name != '__metadata__'}


def _found(text: str) -> Path:
    path = Path(text)
    return path / 'world_model.safetensors' if path.is_dir() else path


def _manifest(path: Path) -> dict[str, str]:
    found: dict[str, str] = _header(path)['__metadata__']
    return found


def _header(path: Path) -> dict[str, Any]:
    with open(path, 'rb') as file:
        length = int.from_bytes(file.read(_HEADER), 'little')
        if length > _MOST:
            raise ValueError('header')
        found: dict[str, Any] = json.loads(file.read(length))
    return found
