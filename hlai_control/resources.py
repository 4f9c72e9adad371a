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
Packaged data: robot manifests, tasks and launch files, however installed.

``pip install .`` and ``colcon build`` copy them to
``<prefix>/share/hlai_control``; an editable install or a bare checkout has
them beside the package. Neither ``ament_index`` nor an environment variable
is needed: both places are found from this file's own.
"""

from pathlib import Path
import sys
import sysconfig

from hlai_control.documents import suggest
from hlai_control.errors import UsageError

PACKAGE = 'hlai_control'


def share_directory() -> Path:
    """
    Find the folder that holds ``config/`` and ``launch/``.

    :raises UsageError: if neither a checkout nor an installation has one.
    """
    tried = _candidates()
    for folder in tried:
        if (folder / 'config' / 'robots').is_dir():
            return folder
    raise UsageError('the data of hlai_control (config/robots) was not found in '
                     f'{", ".join(map(str, tried))}; install the package again')


def robots() -> tuple[str, ...]:
    """Names of the packaged robots, sorted."""
    return _names('robots')


def tasks() -> tuple[str, ...]:
    """Names of the packaged tasks, sorted."""
    return _names('tasks')


def robot_path(name_or_path: str) -> Path:
    """
    Find a robot's manifest.

    :param name_or_path: ``cartpole``, or the path of a ``.yaml`` file.
    :raises UsageError: listing the valid names.
    """
    return _find('robots', 'robot', name_or_path)


def task_path(name_or_path: str) -> Path:
    """
    Find a task's file.

    :param name_or_path: ``swingup``, or the path of a ``.yaml`` file.
    :raises UsageError: listing the valid names.
    """
    return _find('tasks', 'task', name_or_path)


def _candidates() -> tuple[Path, ...]:
    """
    List the places, the most specific first.

    A checkout is told from an installation by its ``package.xml``'s folder
    being the package's parent; a wheel lies in ``<prefix>/lib/.../``, so a
    parent of this file is the prefix, also when it is not Python's own
    (colcon's install folder, ``pip install --user`` or ``--prefix``).
    """
    package = Path(__file__).resolve().parent
    shares = [parent / 'share' / PACKAGE for parent in package.parents]
    shares += [Path(prefix) / 'share' / PACKAGE
               for prefix in (sysconfig.get_path('data'), sys.prefix)]
    return tuple(dict.fromkeys([package.parent, *shares]))


def _names(kind: str) -> tuple[str, ...]:
    folder = share_directory() / 'config' / kind
    return tuple(sorted(path.stem for path in folder.glob('*.yaml')))


def _find(kind: str, noun: str, name_or_path: str) -> Path:
    if name_or_path.endswith(('.yaml', '.yml')) or '/' in name_or_path:
        path = Path(name_or_path).expanduser()
        if path.is_file():
            return path
        raise UsageError(f'{noun} {name_or_path!r}: there is no such file; give the path of '
                         f'a .yaml file, or {suggest(path.stem, _names(kind))}')
    if name_or_path in _names(kind):
        return share_directory() / 'config' / kind / f'{name_or_path}.yaml'
    raise UsageError(f'unknown {noun} {name_or_path!r}; {suggest(name_or_path, _names(kind))}, '
                     'or the path of a .yaml file')
