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


"""Why the guard sent what it sent, for machines (a number) and for people (a sentence)."""

from enum import IntEnum


class Reason(IntEnum):
    """Why a command is what it is; the more severe, the greater."""

    PASSED = 0
    CLAMPED = 1
    RATE_LIMITED = 2
    POSITION_LIMIT = 3
    VELOCITY_LIMIT = 4
    BRAKED = 5
    SILENT = 10
    STALE = 11
    FUTURE = 12
    WRONG_LENGTH = 13
    NON_FINITE = 14
    OVERSPEED = 15
    BLIND = 16
    NOT_ARMED = 17
    ESTOP = 18

    @property
    def is_safe_command(self) -> bool:
        """Whether the safe command was sent instead of the candidate."""
        return self >= Reason.SILENT

    @property
    def is_of_command(self) -> bool:
        """Whether the command alone is at fault: the robot is armed and its state is known."""
        return Reason.SILENT <= self <= Reason.NON_FINITE

    @property
    def sentence(self) -> str:
        """Return the reason, for people."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.PASSED: 'the command was passed on unchanged',
    Reason.CLAMPED: 'the command was outside the limits or the authority, and was clamped',
    Reason.RATE_LIMITED: 'the command changed faster than the rate limit, and was slowed',
    Reason.POSITION_LIMIT: 'a joint is at the end of its range; pushing further was blocked',
    Reason.VELOCITY_LIMIT: 'a joint is at its greatest speed; accelerating was blocked',
    Reason.BRAKED: 'a joint could not have stopped before the end of its range; it was braked',
    Reason.SILENT: 'no new command in time; the safe command was sent',
    Reason.STALE: 'the command answers an old measurement; the safe command was sent',
    Reason.FUTURE: 'the command is stamped after the newest measurement; '
                   'the safe command was sent',
    Reason.WRONG_LENGTH: 'the command has the wrong number of values; the safe command was sent',
    Reason.NON_FINITE: 'the command is not finite; the safe command was sent',
    Reason.OVERSPEED: 'a joint that no actuator can slow exceeds its greatest speed; '
                      'the safe command was sent',
    Reason.BLIND: 'no new measurement in time; the safe command was sent',
    Reason.NOT_ARMED: 'the robot is in hold; arm it with the service ~/enable',
    Reason.ESTOP: 'emergency stop; release it, then arm the robot again',
}
