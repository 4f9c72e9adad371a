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

"""``hlai up``: the whole graph from one command, with one screen, until Ctrl-C or done."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
import signal
import time

from rich.console import Console

from hlai_control.cost.task import load_task, TaskSpec
from hlai_control.errors import GraphError, InterruptedByUser, UsageError
from hlai_control.graph import NODES
from hlai_control.parent.arguments import choice, number, split, whole
from hlai_control.parent.domain import MOST
from hlai_control.parent.graph_run import fresh_folder, GraphRun, started
from hlai_control.parent.machine import process_age_s
from hlai_control.parent.model import model_file, place_model
from hlai_control.parent.resume import (
    check_layout,
    claimed,
    keep_account,
    Known,
    known,
    open_session,
    RUNS,
)
from hlai_control.parent.screen import REFRESH_S, Screen
from hlai_control.parent.stall import StallWatch
from hlai_control.parent.summary import summary, write
from hlai_control.robots.manifest import load_robot, RobotManifest

KEYS = ('robot', 'task', 'mode', 'real_time_factor', 'stop_when', 'timeout_s', 'seed', 'run_dir',
        'domain', 'model', 'resume', 'simulation')
SOLVED, UNSOLVED, FAILED, INTERRUPTED = 0, 3, 1, 130
# Of the guard, where there is hardware, until somebody says more.
CAUTIOUS = {'guard.authority': 0.2, 'guard.ramp_s': 2.0}
ARM = ('The robot is in hold. Arm it, with a hand on its emergency stop: ros2 service call '
       "/hlai/guard/enable std_srvs/srv/SetBool '{data: true}'")
# So often may one node die before the run is given up.
DEATHS_ALLOWED = 20


@dataclass(frozen=True)
class UpSettings:
    """
    What ``hlai up`` was asked for.

    :param robot: name or path.
    :param task: name or path.
    :param mode: ``realtime`` or ``lockstep``.
    :param real_time_factor: simulated seconds per second.
    :param stop_when: ``solved``, or empty to go on for ever.
    :param timeout_s: motion seconds after which to stop, 0: never.
    :param seed: of every generator.
    :param run_dir: where logs, functions and ``summary.json`` go.
    :param domain: ROS domain, None: a free one.
    :param simulation: whether the robot is simulated; false: it is there already.
    :param model: trained world model to begin with, a path; empty: none.
    :param resume: the run to go on with; None: a new one.
    :param arguments: as typed, those of the resumed run first.
    :param rooms: settings of the rooms by their parameter names.
    """

    robot: str
    task: str
    mode: str
    real_time_factor: float
    stop_when: str
    timeout_s: float
    seed: int
    run_dir: Path
    domain: int | None
    simulation: bool
    model: str
    resume: Known | None
    arguments: tuple[str, ...]
    rooms: dict[str, object]

    def parameters(self) -> dict[str, object]:
        """Return the ROS parameters of every node."""
        return {'robot': self.robot, 'task': self.task, 'mode': self.mode, 'seed': self.seed,
                'run_dir': str(self.run_dir), 'real_time_factor': self.real_time_factor,
                # A simulator hurts nobody; hardware is armed by hand, and has little at first.
                'simulation': self.simulation, 'armed_at_start': self.simulation,
                **({} if self.simulation else CAUTIOUS), **self.rooms}

    def lasting(self) -> tuple[str, ...]:
        """Return the arguments that the run is resumed with, by default or as typed."""
        return (f'robot:={self.robot}', f'task:={self.task}', f'mode:={self.mode}',
                f'real_time_factor:={self.real_time_factor}', f'seed:={self.seed}',
                *self.arguments)


def read_arguments(arguments: Sequence[str]) -> UpSettings:
    """
    Read the arguments of ``hlai up``.

    :raises HlaiError: naming what is wrong and what is valid.
    """
    resume = None
    if text := split(arguments, KEYS)[0].get('resume', ''):
        resume = known(text)
        # What is said now counts more than what was said then.
        arguments = (*resume.arguments, *arguments)
    own, rooms = split(arguments, KEYS)
    if resume is not None and (own.get('run_dir') or own.get('model')):
        raise UsageError('resume:= goes on in the folder of its run and with what was learned '
                         'there; leave out run_dir:= and model:=')
    simulation = choice(own, 'simulation', 'true', ('true', 'false')) == 'true'
    if not simulation and own.get('mode') == 'lockstep':
        raise UsageError('mode:=lockstep with simulation:=false; valid: mode:=realtime, for no '
                         'hardware waits for an answer')
    now = datetime.now().strftime('%Y%m%d-%H%M%S')
    domain = whole(own, 'domain', -1, 0, MOST)
    return UpSettings(
        robot=own.get('robot', 'cartpole'), task=own.get('task', 'swingup'),
        mode=choice(own, 'mode', 'realtime', ('realtime', 'lockstep')),
        real_time_factor=number(own, 'real_time_factor', 1.0, 0.01),
        stop_when=choice(own, 'stop_when', '', ('', 'solved')),
        timeout_s=number(own, 'timeout_s', 0.0, 0.0), seed=whole(own, 'seed', 0),
        run_dir=resume.folder if resume else Path(own.get('run_dir') or RUNS / now),
        domain=None if domain < 0 else domain,
        simulation=simulation, model=own.get('model', ''), resume=resume,
        arguments=tuple(arguments), rooms=rooms)


class Interrupt:
    """Remembers Ctrl-C, so that the way down is the ordinary one."""

    def __init__(self) -> None:
        """Install the handlers."""
        self.seen = False
        for number_ in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number_, self._note)

    def check(self) -> None:
        """
        End what is going on, if Ctrl-C was seen.

        :raises InterruptedByUser: then.
        """
        if self.seen:
            raise InterruptedByUser('ended by the user')

    def _note(self, _number: int, _frame: object) -> None:
        self.seen = True


def up(arguments: Sequence[str]) -> int:
    """
    Run ``hlai up``.

    :returns: 0 if the task was solved, or if ended by Ctrl-C without
        ``stop_when``; 3 if the time was up before; 130 after Ctrl-C.
    :raises HlaiError: if the graph cannot be brought up.
    """
    settings = read_arguments(arguments)
    manifest = load_robot(settings.robot)
    task = load_task(settings.task, manifest)
    model = model_file(settings.model, manifest, settings.rooms)
    if settings.resume is not None:
        check_layout(settings.resume, manifest.layout)
        folder = settings.resume.folder
    else:
        folder = fresh_folder(settings.run_dir)
    with claimed(folder):
        if settings.resume is not None:
            open_session(folder)
        if model is not None:
            place_model(model, folder)
        keep_account(folder, settings.lasting(), manifest.layout)
        return _run(replace(settings, run_dir=folder, rooms=task.rooms(settings.rooms)),
                    manifest, task)


def _run(settings: UpSettings, manifest: RobotManifest, task: TaskSpec) -> int:
    """Bring the graph up, look on, and account for it; return the exit status."""
    folder = settings.run_dir
    console, interrupt = Console(), Interrupt()
    began_s = time.monotonic() - process_age_s()
    specs = tuple(spec for spec in NODES if settings.simulation or not spec.simulated)
    with started(settings.parameters(), folder, settings.domain, specs) as run:
        goes_on = 'goes on, ' if settings.resume else ''
        console.print(f'{goes_on}robot {manifest.name}, task {task.name}, {settings.mode}, '
                      f'ROS_DOMAIN_ID={run.domain}, files in {folder}', highlight=False,
                      soft_wrap=True)
        if not settings.simulation:
            console.print(ARM, highlight=False, soft_wrap=True)
        if task.settings:
            told = ' '.join(f'{key}:={settings.rooms[key]}' for key, _ in task.settings)
            console.print(f'settings of the task: {told}', highlight=False, soft_wrap=True)
        screen = Screen(console, run.observer, task, f'hlai: {manifest.name} {task.name}')
        try:
            status = _watch(run, settings, screen, interrupt)
        finally:
            screen.close()
        motion = run.observer.motion
        first = motion.first_command_wall_s
        facts = {'robot': manifest.name, 'task': task.name, 'mode': settings.mode,
                 'seed': settings.seed, 'settings': settings.rooms,
                 'first_command_s': None if first is None else round(first - began_s, 3),
                 'deaths': run.processes.deaths()}
        write(folder / 'summary.json', summary(
            motion, manifest.period_s, settings.real_time_factor, facts))
    _conclude(console, motion.solved_at_s, motion.motion_s, folder)
    return status


def _watch(run: GraphRun, settings: UpSettings, screen: Screen, interrupt: Interrupt) -> int:
    """Look on until there is a reason to end; return the exit status."""
    stall = StallWatch(run.observer)
    while True:
        run.observer.look(REFRESH_S)
        if settings.mode == 'lockstep' and run.observer.phase == 'running':
            stall.check()
        for death in run.processes.tend():
            screen.event(f'{death.name} died ({death.how}); bringing it back')
            if run.processes.deaths()[death.name] > DEATHS_ALLOWED:
                raise GraphError(f'{death.name} died {DEATHS_ALLOWED} times; the end of its log:'
                                 f'\n{death.log}')
            if settings.mode == 'lockstep':
                raise GraphError(f'{death.name} died ({death.how}), and a lockstep run cannot '
                                 f'go on without it; the end of its log:\n{death.log}')
        screen.refresh(time.monotonic())
        motion = run.observer.motion
        if interrupt.seen:
            return INTERRUPTED if settings.stop_when else SOLVED
        if run.observer.phase == 'failed':
            raise GraphError(run.observer.reason)
        if settings.stop_when and motion.solved_at_s is not None:
            return SOLVED
        if settings.timeout_s and motion.motion_s >= settings.timeout_s:
            return SOLVED if motion.solved_at_s is not None else UNSOLVED


def _conclude(console: Console, solved_at_s: float | None, motion_s: float,
              folder: Path) -> None:
    if solved_at_s is None:
        console.print(f'not solved in {motion_s:.1f} s of motion', highlight=False)
    else:
        console.print(f'solved: the hold began after {solved_at_s:.2f} s of motion',
                      highlight=False)
    console.print(f'account: {folder / "summary.json"}', highlight=False, soft_wrap=True)
