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

"""What ``hlai doctor`` finds: one line each, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad a finding is."""

    OK = 'OK'
    WARN = 'WARN'
    FAIL = 'FAIL'


@dataclass(frozen=True)
class Finding:
    """
    One thing that was looked at.

    :param level: how bad it is; only FAIL stands in the way of a run.
    :param check: what was looked at, one or two words.
    :param found: what was found, one line.
    :param remedy: what to do about it; empty only if there is nothing to do.
    """

    level: Level
    check: str
    found: str
    remedy: str = ''


def ok(check: str, found: str, remedy: str = '') -> Finding:
    """Make a finding of something that works; the remedy then is a hint."""
    return Finding(Level.OK, check, found, remedy)


def warn(check: str, found: str, remedy: str) -> Finding:
    """Make a finding of something that may harm, and say what to do."""
    return Finding(Level.WARN, check, found, remedy)


def fail(check: str, found: str, remedy: str) -> Finding:
    """Make a finding of something without which nothing runs, and say what to do."""
    return Finding(Level.FAIL, check, found, remedy)


def exit_status(findings: Sequence[Finding]) -> int:
    """Return 1 if anything failed, else 0."""
    return int(any(item.level is Level.FAIL for item in findings))
