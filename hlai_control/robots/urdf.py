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


"""The little that a manifest needs to know of its URDF: which joints move, and how."""

from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from hlai_control.documents import MAX_BYTES, suggest, Value

# Models that PyBullet brings along are found there, so that nobody needs a copy.
_BROUGHT = 'pybullet_data'
_TYPES = {'linear': ('prismatic',), 'angle': ('continuous', 'revolute')}


def model_path(text: str, folder: Path) -> Path:
    """
    Find a model file.

    :param text: its path, relative to the manifest's folder; or one that begins with
        ``pybullet_data/``, of a model that PyBullet brings along.
    :param folder: of the manifest.
    """
    package, _, rest = text.partition('/')
    found = find_spec(_BROUGHT) if package == _BROUGHT else None
    if found is None or found.origin is None or (folder / text).exists():
        return folder / text
    return Path(found.origin).parent / rest


def read_joints(value: Value, urdf: Path) -> dict[str, str]:
    """
    Read the type of each moving joint.

    :param value: the place in the manifest that names the file.
    :param urdf: the file.
    :returns: joint types by joint name, in the file's order.
    :raises DocumentError: at ``value``, if the file is no readable URDF.
    """
    valid = 'a URDF file, its path relative to the manifest'
    try:
        if urdf.stat().st_size > 100 * MAX_BYTES:
            raise value.error(valid, f'{urdf} of more than {100 * MAX_BYTES} bytes')
        root = ElementTree.parse(urdf).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise value.error(valid, f'{urdf} ({error})') from None
    if root.tag != 'robot':
        raise value.error(valid, f'{urdf}, whose root is <{root.tag}>, not <robot>')
    return {joint.get('name', ''): joint.get('type', '') for joint in root.findall('joint')
            if joint.get('type') != 'fixed'}


def check_joint(value: Value, kind: str, joints: dict[str, str]) -> None:
    """
    Check that a coordinate's joint is in the model, and of its kind.

    :param value: the place of the joint's name.
    :param kind: ``linear`` or ``angle``.
    :param joints: as :func:`read_joints` returns them.
    :raises DocumentError: at ``value``.
    """
    name = value.text()
    if name not in joints:
        raise value.error('a moving joint of the URDF: ' + suggest(name, tuple(joints)))
    if joints[name] not in _TYPES[kind]:
        raise value.error(f'a {" or ".join(_TYPES[kind])} joint, as kind: {kind} says',
                          f'{name!r}, which is {joints[name]}')
