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

"""A lockstep run that no longer ticks is ended, with the name of who owes the tick."""

import time

from hlai_control.errors import GraphError
from hlai_control.ros.observer import Observer

# Wall time does nothing else to a lockstep run.
STALL_S = 30.0


class StallWatch:
    """
    Watches one run for progress.

    :param observer: sees the ticks.
    """

    def __init__(self, observer: Observer) -> None:
        """Begin now."""
        self._observer = observer
        self._seen, self._seen_at_s = -1, time.monotonic()

    def check(self) -> None:
        """
        Look for progress since the last call.

        :raises GraphError: after 30 s without any, naming what is owed.
        """
        states, now_s = self._observer.motion.states, time.monotonic()
        if states != self._seen:
            self._seen, self._seen_at_s = states, now_s
        elif now_s - self._seen_at_s > STALL_S:
            raise GraphError(f'no tick for {STALL_S:g} s: {self.owed()}')

    def owed(self) -> str:
        """Return what each node says that it waits for."""
        known = self._observer.diagnostics
        waits = [f'{name} waits for {facts["waits for"]}'
                 for name, (_, facts) in sorted(known.items()) if facts.get('waits for')]
        robot = known.get('robot', ('the robot says nothing', {}))[0]
        return '; '.join([*waits, f'robot: {robot}'])
