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
Segments that Fast DDS keeps in /dev/shm, and whose owners are dead.

Each segment has a file ``<name>_el`` beside it, on which its living owner
holds a lock (flock). The graph of ``hlai up`` uses UDP only and leaves none;
other ROS programs, and a killed one for ever, do (docs/decisions/0004).
"""

from dataclasses import dataclass
import fcntl
import os
from pathlib import Path

from hlai_control.parent.findings import Finding, ok, warn

PLACE = Path('/dev/shm')
PREFIX, LOCK = 'fastrtps_', '_el'
FREE_LEAST_B = 64_000_000


@dataclass(frozen=True)
class Segments:
    """
    What Fast DDS keeps in one folder.

    :param living: segments whose owner lives.
    :param stale: segments whose owner is dead.
    """

    living: tuple[Path, ...]
    stale: tuple[Path, ...]


def segments(place: Path) -> Segments:
    """Tell the segments of the living from those of the dead."""
    living: list[Path] = []
    stale: list[Path] = []
    for lock in sorted(place.glob(f'{PREFIX}*{LOCK}')):
        segment = lock.with_name(lock.name.removesuffix(LOCK))
        (living if _is_held(lock) else stale).append(segment)
    return Segments(tuple(living), tuple(stale))


def shared_memory(place: Path, free_bytes: int) -> Finding:
    """
    Judge the shared memory.

    :param place: where it is mounted.
    :param free_bytes: left in it.
    """
    found = segments(place)
    text = f'{free_bytes / 1e6:.0f} MB free in {place}'
    if found.stale:
        return warn('shared memory', f'{text}, {len(found.stale)} segments of dead processes',
                    f'when no ROS program runs: rm {place}/{PREFIX}* {place}/sem.{PREFIX}*; '
                    'they are not of hlai up, which uses UDP only')
    if free_bytes < FREE_LEAST_B:
        return warn('shared memory', text, 'enough for hlai up, which uses UDP only; for '
                                           'ros2 launch give the container --shm-size=256m')
    return ok('shared memory', f'{text}, {len(found.living)} segments of other ROS programs; '
                               'hlai up uses UDP only')


def _is_held(lock: Path) -> bool:
    """Whether somebody holds the lock; in doubt, yes."""
    try:
        handle = os.open(lock, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
