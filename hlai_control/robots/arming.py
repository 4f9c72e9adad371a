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


"""Whether the robot may move: emergency stop, arming, and what of it outlives the guard."""

from dataclasses import dataclass
from pathlib import Path

from hlai_control.files import write_atomic


@dataclass(frozen=True)
class Answer:
    """What a request for stop, release or arming is answered with."""

    done: bool
    said: str


class Arming:
    """
    Emergency stop and arming; times are those of the caller's steady clock.

    A stop outlives the guard: a mark in the run's folder stays until the stop is released, so
    that a guard that was killed comes back stopped, whatever it was started with.

    :param mark: the file; None: a stop lives as long as the guard.
    :param now_s: the time.
    :param armed: whether to be armed from the start, unless a stop is in force.
    """

    def __init__(self, mark: Path | None, now_s: float, armed: bool) -> None:
        """Look for the mark."""
        self._mark = mark
        self.stopped = mark is not None and mark.exists()
        self._armed_at_s = now_s if armed and not self.stopped else None

    def armed_s(self, now_s: float) -> float | None:
        """Return the time since arming [s], None if not armed."""
        return None if self._armed_at_s is None else now_s - self._armed_at_s

    def stop(self) -> Answer:
        """Stop; that it could not be marked is said, but the stop counts."""
        self.stopped, self._armed_at_s = True, None
        try:
            if self._mark is not None:
                write_atomic(self._mark, b'Emergency stop; the guard removes this at ~/release.\n')
        except OSError as error:
            return Answer(True, 'stopped, but the stop would not outlive the guard: '
                                f'{error}; ~/release, then ~/enable, end it')
        return Answer(True, 'stopped; ~/release, then ~/enable, end it')

    def release(self) -> Answer:
        """End a stop; the robot stays in hold."""
        try:
            if self._mark is not None:
                self._mark.unlink(missing_ok=True)
        except OSError as error:
            return Answer(False, f'still stopped: {error}; remove {self._mark} and try again')
        self.stopped, self._armed_at_s = False, None
        return Answer(True, 'released and in hold; ~/enable arms it')

    def enable(self, wanted: bool, now_s: float) -> Answer:
        """Arm, beginning the ramp, or disarm."""
        if wanted and self.stopped:
            return Answer(False, 'an emergency stop is in force; ~/release it first')
        self._armed_at_s = now_s if wanted else None
        return Answer(True, 'armed, ramping in' if wanted else 'disarmed, holding')

    def disarm(self) -> None:
        """Hold from now on."""
        self._armed_at_s = None
