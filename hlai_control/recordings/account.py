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


"""What a recording held, and what of it could not be used, with counts."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """
    One reading of one recording.

    :param states: topic that the states came from, and how.
    :param commands: topic that the commands came from, and how.
    :param messages: usable messages on the two.
    :param transitions: steps that can be learned from.
    :param dropped: reasons and how often each dropped something, worst first.
    """

    states: str
    commands: str
    messages: int
    transitions: int
    dropped: tuple[tuple[str, int], ...]

    def lines(self) -> list[str]:
        """Say it for people."""
        said = [f'states from {self.states}', f'commands from {self.commands}',
                f'{self.messages} usable messages, {self.transitions} transitions']
        return said + [f'dropped: {reason}: {count}' for reason, count in self.dropped]


class Counts:
    """Counts reasons while a recording is read."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._counts: Counter[str] = Counter()

    def add(self, reason: str, count: int = 1) -> None:
        """Count a reason; zero times is not mentioned."""
        if count:
            self._counts[reason] += count

    def worst_first(self) -> tuple[tuple[str, int], ...]:
        """Return each reason with its count."""
        return tuple(sorted(self._counts.items(), key=lambda item: (-item[1], item[0])))
