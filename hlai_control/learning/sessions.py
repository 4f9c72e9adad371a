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

"""Folders that more than one process or session uses, without torch."""

from pathlib import Path

_BEFORE = 'before-'
SUFFIX = '.safetensors'


def earlier_sessions(folder: Path) -> list[Path]:
    """
    Return where earlier sessions left their functions, newest first.

    :param folder: of the functions of a run.
    """
    return sorted((path for path in folder.glob(f'{_BEFORE}*')
                   if path.name.removeprefix(_BEFORE).isdecimal()), reverse=True)


def set_apart(folder: Path) -> None:
    """
    Move what the session that ended has left out of the way of the next one's versions.

    :param folder: of the functions of a run; it need not exist.
    """
    found = sorted(folder.glob(f'*{SUFFIX}'))
    if not found:
        return
    earlier = earlier_sessions(folder)
    number = int(earlier[0].name.removeprefix(_BEFORE)) + 1 if earlier else 1
    apart = folder / f'{_BEFORE}{number:06d}'
    apart.mkdir()
    for path in found:
        path.rename(apart / path.name)
