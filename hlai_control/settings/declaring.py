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

"""How a number that a user may change is declared, and checked."""

from dataclasses import field, fields
from typing import Any

from hlai_control.errors import SettingsError


def setting(default: Any, low: float, high: float, doc: str) -> Any:
    """
    Declare one field with its range.

    :param default: the default value; its type is the parameter's type.
    :param low: least valid value (inclusive).
    :param high: greatest valid value (inclusive).
    :param doc: one sentence with the unit, shown by ``ros2 param describe``.
    """
    return field(default=default, metadata={'low': low, 'high': high, 'doc': doc})


def choice(default: Any, options: tuple[Any, ...], doc: str) -> Any:
    """
    Declare one field that takes one of a few values.

    :param default: the default value; its type is the parameter's type.
    :param options: the valid values, of one type.
    :param doc: one sentence, shown by ``ros2 param describe``.
    """
    return field(default=default, metadata={'options': options, 'doc': doc})


def named(default: str, valid: str, doc: str) -> Any:
    """
    Declare one field that takes a name which only its reader can check.

    :param default: the default value.
    :param valid: which names are valid, for people.
    :param doc: one sentence, shown by ``ros2 param describe``.
    """
    return field(default=default, metadata={'valid': valid, 'doc': doc})


class Settings:
    """Base of all settings: checks each declared range on construction."""

    def __post_init__(self) -> None:
        """
        Check every field against its range or its options.

        :raises SettingsError: naming the field, the value and what is valid.
        """
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if 'options' in item.metadata:
                if value not in item.metadata['options']:
                    raise SettingsError(
                        f'{type(self).__name__}.{item.name} = {value!r} is not one of '
                        f'{", ".join(map(str, item.metadata["options"]))}: '
                        f'{item.metadata["doc"]}')
                continue
            if 'valid' in item.metadata:
                continue
            low, high = item.metadata['low'], item.metadata['high']
            if not low <= value <= high:  # also refuses NaN
                raise SettingsError(
                    f'{type(self).__name__}.{item.name} = {value!r} is outside '
                    f'{low} .. {high}: {item.metadata["doc"]}')
