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

"""Values that count from a given stamp on: what the configurator schedules for others."""

from typing import Generic, Protocol, runtime_checkable, TypeVar


@runtime_checkable
class FromStamp(Protocol):
    """A value that counts from a stamp on."""

    @property
    def from_ns(self) -> int:
        """Return the stamp of the first tick that it is meant for [ns]."""


F = TypeVar('F', bound=FromStamp)


class Scheduled(Generic[F]):
    """The values that wait for their time; the newest whose time has come is in use."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._waiting: list[F] = []

    def put(self, value: F) -> None:
        """
        Take a value; it replaces what waits for the same time or a later one.

        An owner that was restarted counts its versions from 1 again, so the
        order of arrival says what is new.
        """
        self._waiting = [kept for kept in self._waiting if kept.from_ns < value.from_ns]
        self._waiting.append(value)

    def advance(self, stamp_ns: int) -> F | None:
        """Return the newest value that is due and not returned before."""
        due = [value for value in self._waiting if value.from_ns <= stamp_ns]
        self._waiting = [value for value in self._waiting if value.from_ns > stamp_ns]
        return due[-1] if due else None
