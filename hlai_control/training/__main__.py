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
The process that trains; ``hlai train`` starts one, torchrun starts several.

    torchrun --nproc-per-node=2 -m hlai_control.training bag:=FOLDER robot:=NAME
"""

from collections.abc import Callable
from dataclasses import asdict, replace
import os
import signal
import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
import torch

from hlai_control.errors import HlaiError, SettingsError, UsageError
from hlai_control.learning.crew import Alone
from hlai_control.parent.train import read_arguments, TrainSettings
from hlai_control.parent.watched import INTERRUPTED
from hlai_control.recordings.reading import read_recording, Recording
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import PerceptionSettings, WorldModelSettings
from hlai_control.training.course import Course
from hlai_control.training.lessons import divide
from hlai_control.training.results import Folder, Identity, MODEL
from hlai_control.training.together import joined_crew, Together

# The coefficients are fitted to as many transitions, where no setting says otherwise.
WINDOW = 8192


class Interrupt:
    """Remembers Ctrl-C, and asks whether any process of the crew has seen it."""

    def __init__(self, crew: Together | None) -> None:
        """Install the handlers."""
        self._crew, self._seen = crew, False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def __call__(self) -> bool:
        """Tell whether to stop; all processes get the same answer."""
        if self._crew is None:
            return self._seen
        seen = torch.tensor(float(self._seen))
        self._crew.total(seen)
        return bool(seen > 0)

    def _note(self, _number: int, _frame: object) -> None:
        self._seen = True


def run(settings: TrainSettings, crew: Together | None, console: Console) -> int:
    """
    Train until done, no longer better, or interrupted.

    :param settings: what is asked for.
    :param crew: the other processes; None: alone.
    :param console: of the process that writes; quiet in the others.
    :returns: exit status.
    :raises HlaiError: if the recording or the folder cannot be used.
    """
    interrupt = Interrupt(crew)
    manifest = load_robot(settings.robot)
    asked: dict[str, Any] = settings.of('perception')
    recording = read_recording(settings.bag, manifest, PerceptionSettings(**asked))
    for line in recording.account.lines():
        console.print(line, highlight=False, soft_wrap=True)
    lessons, world_model = divide(recording.transitions), _world_model(settings, recording)
    course = Course(manifest.layout, world_model, lessons, settings.seed, crew or Alone())
    folder = Folder(settings.out, Identity(
        manifest.name, lessons.digest, settings.seed, str(sorted(asdict(world_model).items()))),
        manifest.layout)
    if folder.resume(course):
        console.print(f'goes on after epoch {course.epochs[-1].number}', highlight=False)
    writes = crew is None or crew.rank == 0
    if writes:
        folder.keep_transitions(recording.transitions)
        folder.keep(course, recording.account)
    finished = _train(course, settings, interrupt, console,
                      (lambda: folder.keep(course, recording.account)) if writes else lambda: None)
    if writes:
        folder.keep_curves(course, recording.account)
    console.print(_conclusion(course, settings), highlight=False, soft_wrap=True)
    return 0 if finished else INTERRUPTED


def _train(course: Course, settings: TrainSettings, interrupt: Interrupt, console: Console,
           keep: Callable[[], None]) -> bool:
    """Go on until there is a reason to end; return whether it is not Ctrl-C."""
    with Progress(TextColumn('epochs'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                  TextColumn('held-out loss {task.fields[held_out]:.4f}, '
                             'best {task.fields[best]:.4f}'), console=console) as progress:
        def figures() -> dict[str, Any]:
            return {'completed': course.epochs[-1].number,
                    'held_out': course.epochs[-1].held_out, 'best': course.best.held_out}

        bar = progress.add_task('', total=settings.epochs, **figures())
        while course.epochs[-1].number < settings.epochs and course.stale < settings.patience:
            if not course.epoch(interrupt):
                return False
            keep()
            progress.update(bar, **figures())
    return True


def _world_model(settings: TrainSettings, recording: Recording) -> WorldModelSettings:
    asked: dict[str, Any] = settings.of('world_model')
    found = WorldModelSettings(**asked)
    if 'window' in asked:
        return found
    return replace(found, window=max(found.window, min(WINDOW, len(recording.transitions))))


def _conclusion(course: Course, settings: TrainSettings) -> str:
    best = course.best
    why = ('no better for so long' if course.stale >= settings.patience else
           'all epochs done' if course.epochs[-1].number >= settings.epochs else 'interrupted')
    return (f'{why}; kept epoch {best.number}: held-out one-step error {best.error:.4f} of the '
            f'change per step\nhlai up robot:={settings.robot} task:=... '
            f'model:={settings.out / MODEL}')


def main() -> int:
    """Train."""
    console = Console(quiet=os.environ.get('RANK', '0') != '0')
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get('WORLD_SIZE', '1'))))
    try:
        settings = read_arguments(sys.argv[1:])
        asked: dict[str, Any] = settings.of('world_model')
        batch = WorldModelSettings(**asked).batch
        with joined_crew(os.environ, batch) as crew:
            return run(settings, crew, console)
    except HlaiError as error:
        Console(stderr=True).print(f'hlai: {error}', highlight=False, markup=False,
                                   soft_wrap=True)
        return 2 if isinstance(error, (UsageError, SettingsError)) else 1
    except OSError as error:
        Console(stderr=True).print(
            f'hlai: {error.filename or "the system"}: {error.strerror or error}; make room, or '
            'choose an out:= that can be written', highlight=False, markup=False, soft_wrap=True)
        return 1


if __name__ == '__main__':
    sys.exit(main())
