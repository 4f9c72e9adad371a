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

"""A DDS domain of one's own on this machine, held by a file lock while in use."""

import fcntl
import os
from pathlib import Path
import tempfile

from hlai_control.errors import GraphError

FIRST, LAST = 70, 99
# Above it DDS has no ports left.
MOST = 232


class DomainLock:
    """
    Reserves one ROS_DOMAIN_ID for one graph.

    :param wanted: exactly this domain, or None for the first free one.
    :raises GraphError: if it is in use by another graph of this package.
    """

    def __init__(self, wanted: int | None) -> None:
        """Take the lock; the system drops it when the process ends, however it ends."""
        for domain in range(FIRST, LAST + 1) if wanted is None else (wanted,):
            path = Path(tempfile.gettempdir()) / f'hlai_control-{os.getuid()}-domain-{domain}.lock'
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._file)
                continue
            self.domain = domain
            return
        which = f'{FIRST} .. {LAST} are all' if wanted is None else f'{wanted} is'
        raise GraphError(f'ROS domain {which} in use by another hlai graph; '
                         'end it, or choose another with domain:=N')

    def release(self) -> None:
        """Let others have the domain."""
        os.close(self._file)
