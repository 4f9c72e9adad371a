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
Arguments in ROS's own style, ``key:=value``, read into frozen settings.

Beside the few keys of each command, any setting of any room may be given,
``planner.horizon:=20``; values are checked against the settings' ranges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
import difflib

from hlai_control.errors import UsageError
from hlai_control.settings import GROUPS


def split(arguments: Sequence[str], valid: Sequence[str]) -> tuple[dict[str, str],
                                                                   dict[str, object]]:
    """
    Split ``key:=value`` arguments.

    :param arguments: as typed.
    :param valid: the command's own keys.
    :returns: texts of the command's own keys, and values of room settings.
    :raises UsageError: naming an unknown key and the valid ones.
    :raises SettingsError: if a room setting is out of range.
    """
    own: dict[str, str] = {}
    rooms: dict[str, object] = {}
    for argument in arguments:
        key, separator, text = argument.partition(':=')
        if not separator:
            raise UsageError(f'{argument!r} is not of the form key:=value; '
                             f'keys: {", ".join(valid)}')
        if key in valid:
            own[key] = text
        elif key in _settings():
            rooms[key] = _typed(key, text)
        else:
            near = difflib.get_close_matches(key, (*valid, *_settings()), n=1)
            hint = f' (did you mean {near[0]}?)' if near else ''
            raise UsageError(f'unknown argument {key!r}{hint}; valid: {", ".join(valid)}, '
                             f'or a setting such as planner.horizon (see docs/settings.md)')
    _check(rooms)
    return own, rooms


def number(own: Mapping[str, str], key: str, default: float, least: float) -> float:
    """
    Read a number.

    :raises UsageError: if it is none, or below ``least``.
    """
    text = own.get(key, '')
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float('nan')
    if not least <= value < float('inf'):
        raise UsageError(f'{key}:={text}; valid: a number of at least {least:g}')
    return value


def whole(own: Mapping[str, str], key: str, default: int, least: int = -2 ** 63,
          most: int = 2 ** 63 - 1) -> int:
    """
    Read a whole number.

    :raises UsageError: if it is none, or not within ``least .. most``.
    """
    text = own.get(key, '')
    if not text:
        return default
    complaint = f'{key}:={text}; valid: a whole number, {least} .. {most}'
    try:
        value = int(text)
    except ValueError:
        raise UsageError(complaint) from None
    if not least <= value <= most:
        raise UsageError(complaint)
    return value


def choice(own: Mapping[str, str], key: str, default: str, valid: Sequence[str]) -> str:
    """
    Read one of several words.

    :raises UsageError: naming the valid ones.
    """
    text = own.get(key, default)
    if text not in valid:
        raise UsageError(f'{key}:={text}; valid: {", ".join(word or "(empty)" for word in valid)}')
    return text


def resolved(rooms: Mapping[str, object]) -> dict[str, object]:
    """Return every setting of every room, defaults included, by parameter name."""
    defaults = {f'{group}.{item.name}': item.default
                for group, kind in GROUPS.items()
                for item in fields(kind)}  # type: ignore[arg-type]
    return defaults | dict(rooms)


def _settings() -> dict[str, type]:
    return {f'{group}.{item.name}': type(item.default)
            for group, kind in GROUPS.items() for item in fields(kind)}  # type: ignore[arg-type]


def _typed(key: str, text: str) -> object:
    kind = _settings()[key]
    if kind is bool:  # bool('false') is true
        if text not in ('true', 'false'):
            raise UsageError(f'{key}:={text}; valid: true, false')
        return text == 'true'
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f'{key}:={text}; valid: of type {kind.__name__}') from None


def _check(rooms: Mapping[str, object]) -> None:
    for group, kind in GROUPS.items():
        kind(**{key.partition('.')[2]: value for key, value in rooms.items()
                if key.partition('.')[0] == group})
