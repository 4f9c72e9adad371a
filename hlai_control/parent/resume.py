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

"""``resume:=RUN``: what a run's folder says of the run, and going on with it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
import fcntl
import json
import os
from pathlib import Path

from hlai_control.configurator.configuration import CONFIGURATION_FILE, from_json
from hlai_control.errors import SignalError, UsageError
from hlai_control.files import write_atomic
from hlai_control.layout import Layout
from hlai_control.learning.sessions import set_apart

ACCOUNT = 'run.json'
RUNS = Path('runs')
SCHEMA = 1
# How a session ends, and where its files go, is said anew each time.
_OF_A_SESSION = ('resume', 'run_dir', 'model', 'stop_when', 'timeout_s', 'domain')
_LISTED = 10


@dataclass(frozen=True)
class Known:
    """
    What is known of a run that was.

    :param folder: where its files are.
    :param arguments: what it was started with, as typed.
    :param layout: of its robot, by field.
    """

    folder: Path
    arguments: tuple[str, ...]
    layout: dict[str, object]


def known(text: str) -> Known:
    """
    Find a run.

    :param text: its folder, or its name in ``runs``.
    :raises UsageError: if there is none, listing those that there are.
    """
    folder = next((path for path in (Path(text), RUNS / text) if (path / ACCOUNT).is_file()), None)
    if folder is None:
        what = 'there is no such folder'
        if Path(text).is_dir() or (RUNS / text).is_dir():
            what = f'that folder holds no {ACCOUNT}, so it is not of a run of hlai up'
        raise UsageError(f'resume:={text}: {what}; {_others()}')
    try:
        found = json.loads((folder / ACCOUNT).read_bytes())
        if found['run'] != SCHEMA:
            raise ValueError(f'schema {found["run"]!r} instead of {SCHEMA}')
        return Known(folder.resolve(), (*map(str, found['arguments']), *_task_asked_for(folder)),
                     dict(found['layout']))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f'resume:={text}: {folder / ACCOUNT} cannot be read '
                         f'({type(error).__name__}: {error}); {_others()}') from None


def _task_asked_for(folder: Path) -> tuple[str, ...]:
    """Return the task that the run had last, which may have changed while it went on."""
    try:
        return (f'task:={from_json((folder / CONFIGURATION_FILE).read_text()).task}',)
    except (OSError, ValueError, SignalError):
        return ()  # it ended before there was one, or that was torn: as it was started


def check_layout(run: Known, layout: Layout) -> None:
    """
    Refuse a robot that differs from the run's.

    :raises UsageError: naming the field.
    """
    for field, valid in run.layout.items():
        found = _fields(layout).get(field)
        if found != valid:
            raise UsageError(f'resume:={run.folder}: {field} is {valid!r} there, and {found!r} of '
                             'this robot; what was learned does not fit it: start a new run')


def keep_account(folder: Path, arguments: Sequence[str], layout: Layout) -> None:
    """
    Write what the run can be resumed from.

    :param folder: of the run.
    :param arguments: as typed; the last one of a key counts.
    :param layout: of the robot.
    """
    kept = {key: text for key, _, text in (one.partition(':=') for one in arguments)
            if key not in _OF_A_SESSION}
    for key in ('robot', 'task'):
        if '/' in kept.get(key, '') or kept.get(key, '').endswith(('.yaml', '.yml')):
            kept[key] = str(Path(kept[key]).expanduser().resolve())
    write_atomic(folder / ACCOUNT, (json.dumps(
        {'run': SCHEMA, 'arguments': [f'{key}:={text}' for key, text in kept.items()],
         'layout': _fields(layout)}, indent=1) + '\n').encode())


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """
    Hold a run's folder, so that nobody else goes on with it meanwhile.

    :raises UsageError: if somebody does.
    """
    try:
        file = os.open(folder / '.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UsageError(f'the run in {folder} cannot be written: {error.strerror}') from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f'the run in {folder} is still going on; end it first') from None
        yield
    finally:
        os.close(file)


def open_session(folder: Path) -> None:
    """Put aside what the last session would be mistaken for the next one's."""
    set_apart(folder / 'functions')
    account = folder / 'summary.json'
    if account.exists():
        numbers = [path.stem.removeprefix('summary-') for path in folder.glob('summary-*.json')]
        number = 1 + max((int(text) for text in numbers if text.isdecimal()), default=0)
        account.rename(folder / f'summary-{number:04d}.json')


def _fields(layout: Layout) -> dict[str, object]:
    # As JSON gives it back; what noise is expected may be known better by now.
    found: dict[str, object] = json.loads(json.dumps(asdict(layout)))
    del found['noise_std']
    return found


def _others() -> str:
    try:
        found = sorted((path.parent for path in RUNS.glob(f'*/{ACCOUNT}')), reverse=True)
    except OSError:
        found = []
    if not found:
        return f'there are no runs in {RUNS}/ to resume'
    more = f' and {len(found) - _LISTED} more' if len(found) > _LISTED else ''
    return f'valid: {", ".join(map(str, found[:_LISTED]))}{more}'
