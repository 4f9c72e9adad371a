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

"""The results of ``hlai bench planner`` as a file: kept after each system, read to go on."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
import json
from math import inf, isfinite
from pathlib import Path
from typing import Any

from hlai_control.bench.cold import Sample
from hlai_control.bench.receding import Loop
from hlai_control.errors import UsageError


@dataclass(frozen=True)
class SystemResult:
    """
    All that was measured on one system.

    :param robot: name of the robot.
    :param task: name of the task.
    :param horizon: T [ticks].
    :param ticks: length of the closed loops.
    :param period_s: control period [s].
    :param states: names of the state coordinates.
    :param one_step: error of the world model, see ``learned.Trained``.
    :param long: the same, after 16 ticks.
    :param training_s: time that training took [s].
    """

    robot: str
    task: str
    horizon: int
    ticks: int
    period_s: float
    states: tuple[str, ...]
    one_step: tuple[float, ...]
    long: tuple[float, ...]
    training_s: float
    samples: tuple[Sample, ...]
    loops: tuple[Loop, ...]


@dataclass(frozen=True)
class Results:
    """
    A whole run.

    :param settings: what was asked for; runs with others do not mix.
    :param facts: machine, versions, date, what the competitors were set to.
    :param systems: those finished so far, by name.
    """

    settings: dict[str, Any]
    facts: dict[str, Any]
    systems: dict[str, SystemResult]


def keep(path: Path, results: Results) -> None:
    """Write so that no reader sees half of it; one line per measurement."""
    head = json.dumps({'settings': results.settings, 'facts': results.facts}, indent=1)
    systems = ',\n'.join(f'{json.dumps(name)}: {_system(one)}'
                         for name, one in results.systems.items())
    draft = path.with_suffix(path.suffix + '.part')
    draft.write_text(f'{head[:-2]},\n "systems": {{\n{systems}\n}}}}\n')
    draft.replace(path)


def resume(path: Path, settings: Mapping[str, Any]) -> dict[str, SystemResult]:
    """
    Read the systems that an earlier call of the same command has finished.

    :raises UsageError: if the file holds something else.
    """
    if not path.exists():
        return {}
    found = load(path)
    if found.settings != dict(settings):
        raise UsageError(f'json:={path} holds results of other settings, {found.settings}; '
                         'choose another file, or delete it')
    return found.systems


def load(path: Path) -> Results:
    """
    Read results.

    :raises UsageError: if the file holds something else.
    """
    try:
        given = json.loads(path.read_text())
        systems = {name: _read(one) for name, one in given['systems'].items()}
        return Results(given['settings'], given['facts'], systems)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f'json:={path} holds no results of hlai bench ({error!r}); '
                         'choose another file') from None


def _system(one: SystemResult) -> str:
    head = {item.name: getattr(one, item.name) for item in fields(one)
            if item.name not in ('samples', 'loops')}
    parts = [f'{json.dumps(name)}: [\n{_rows(rows)}\n]'
             for name, rows in (('samples', one.samples), ('loops', one.loops))]
    return json.dumps(head)[:-1] + ',\n' + ',\n'.join(parts) + '}'


def _rows(items: tuple[Sample, ...] | tuple[Loop, ...]) -> str:
    return ',\n'.join(json.dumps([_rounded(value) for value in astuple(item)])
                      for item in items)


def _rounded(value: object) -> object:
    if not isinstance(value, float):
        return value
    return float(f'{value:.7g}') if isfinite(value) else None


def _read(given: dict[str, Any]) -> SystemResult:
    rows = {'samples': tuple(Sample(*_infinite(row)) for row in given['samples']),
            'loops': tuple(Loop(*_infinite(row)) for row in given['loops'])}
    lists = {key: tuple(given[key]) for key in ('states', 'one_step', 'long')}
    return SystemResult(**{**given, **lists, **rows})


def _infinite(row: list[Any]) -> list[Any]:
    return [inf if value is None else value for value in row]
