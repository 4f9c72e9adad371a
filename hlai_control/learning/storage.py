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
Artefacts in the run's folder: the newest valid one is read back.

Versions are ticks, and these may begin anew whenever a run is resumed. So
what earlier sessions left lies apart, in folders of their own.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from hlai_control.errors import ArtefactError
from hlai_control.layout import Layout
from hlai_control.learning.artefact import Artefact, decode, MAX_BYTES
from hlai_control.learning.sessions import earlier_sessions, SUFFIX

# What a session begins with counts as older than all that it makes itself.
BEFORE_VERSION = 1


def artefact_path(folder: Path, kind: str, version: int) -> Path:
    """Name the file of one version; names sort by version."""
    return folder / f'{kind}-{version:018d}{SUFFIX}'


def forget_old(folder: Path, kind: str, keep: int) -> None:
    """Delete all but the ``keep`` newest files of one kind."""
    for path in _newest_first(folder, kind)[keep:]:
        path.unlink(missing_ok=True)


def newest_valid(folder: Path, layout: Layout, kind: str,
                 like: Mapping[str, Tensor]) -> Artefact | None:
    """
    Read the newest artefact that is whole and belongs to this robot.

    :param folder: the run's folder.
    :param layout: the robot.
    :param kind: which function.
    :param like: see :func:`hlai_control.learning.artefact.decode`.
    :returns: None if there is none; one of an earlier session has version
        :data:`BEFORE_VERSION`.
    """
    for place in (folder, *earlier_sessions(folder)):
        for path in _newest_first(place, kind):
            try:
                if path.stat().st_size <= MAX_BYTES:
                    found = decode(path.read_bytes(), layout, kind, like)
                    return found if place == folder else replace(found, version=BEFORE_VERSION)
            except (ArtefactError, OSError):
                continue
    return None


def _newest_first(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f'{kind}-*{SUFFIX}'), reverse=True)
