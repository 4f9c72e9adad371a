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
Which version of a function is in use at which tick.

A version is named by the last tick it was trained through. In lockstep, at
tick k every consumer uses the newest version due by k - D, waiting for it if
need be; in real time it uses the newest that has arrived.
"""

from typing import Generic, TypeVar

from hlai_control.settings import ScheduleSettings

V = TypeVar('V')


def tick_of(stamp_ns: int, period_ns: int) -> int:
    """Return the number of control periods in a stamp, rounded."""
    return (stamp_ns + period_ns // 2) // period_ns


def is_published(tick: int, schedule: ScheduleSettings) -> bool:
    """Whether a learner that began at tick 0 publishes a version at this tick."""
    return tick % schedule.publish_every == 0 and tick >= schedule.explore_ticks


def due_version(tick: int, schedule: ScheduleSettings) -> int:
    """
    Name the version that lockstep uses.

    :param tick: the current tick k.
    :param schedule: gives P, D and the first tick that is published.
    :returns: the newest published version that is at most k - D; 0, the
        version that knows nothing, if there is none yet.
    """
    newest = (tick - schedule.due_after) // schedule.publish_every * schedule.publish_every
    return newest if newest >= schedule.explore_ticks else 0


class VersionShelf(Generic[V]):
    """The versions received and not yet outdated."""

    def __init__(self) -> None:
        """Begin empty."""
        self._items: dict[int, V] = {}

    def put(self, version: int, value: V) -> None:
        """Keep one version; an equal one is replaced."""
        self._items[version] = value

    def newest(self) -> tuple[int, V] | None:
        """Return the newest version and forget the older ones."""
        if not self._items:
            return None
        version = max(self._items)
        return version, self.take(version)

    def has(self, version: int) -> bool:
        """Whether exactly this version has arrived."""
        return version in self._items

    def take(self, version: int) -> V:
        """
        Return exactly this version and forget the older ones.

        :raises KeyError: if it has not arrived; ask :meth:`has` first.
        """
        value = self._items[version]
        self._items = {kept: item for kept, item in self._items.items() if kept >= version}
        return value
