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

"""``hlai eval``: many independent lockstep runs through the same graph, beside baselines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib.util import find_spec
import json
from pathlib import Path
import shutil
import tempfile
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hlai_control.cost.task import load_task, TaskSpec
from hlai_control.errors import GraphError, InterruptedByUser, UsageError
from hlai_control.parent.arguments import number, resolved, split, whole
from hlai_control.parent.domain import MOST
from hlai_control.parent.graph_run import GraphRun, started
from hlai_control.parent.machine import machine, versions
from hlai_control.parent.model import model_file, model_files, place_model
from hlai_control.parent.stall import StallWatch
from hlai_control.parent.statistics import median_or_none, survival, wilson, worst_or_none
from hlai_control.parent.summary import write
from hlai_control.parent.survival_plot import draw, picture, redraw
from hlai_control.parent.up import Interrupt, INTERRUPTED
from hlai_control.resources import robot_path, task_path
from hlai_control.robots.classical import rows
from hlai_control.robots.manifest import load_robot, RobotManifest
from hlai_control.robots.trial import Trial, trial

KEYS = ('robot', 'task', 'seeds', 'first_seed', 'timeout_s', 'json', 'domain', 'model')
BEGIN_TIMEOUT_S = 90.0
CURVE_POINTS = 15
MOST_SEEDS = 100_000


@dataclass(frozen=True)
class EvalSettings:
    """
    What ``hlai eval`` was asked for.

    :param robot: name or path.
    :param task: name or path.
    :param seeds: number of runs.
    :param first_seed: seeds are first_seed, first_seed + 1, and so on.
    :param timeout_s: motion seconds per run.
    :param json: results file; None: print only.
    :param domain: ROS domain, None: a free one.
    :param model: trained world model that every run begins with, a path; empty: none.
    :param rooms: settings of the rooms by their parameter names.
    """

    robot: str
    task: str
    seeds: int
    first_seed: int
    timeout_s: float
    json: Path | None
    domain: int | None
    model: str
    rooms: dict[str, object]

    def identity(self) -> dict[str, object]:
        """Return what runs must share to stand in one table."""
        files = {'robot': robot_path(self.robot), 'task': task_path(self.task)}
        if self.model:
            files |= model_files(self.model)
        return {'robot': self.robot, 'task': self.task, 'timeout_s': self.timeout_s,
                'resolved': resolved(self.rooms),
                'files': {key: sha256(path.read_bytes()).hexdigest()
                          for key, path in files.items()}}

    def wanted(self) -> range:
        """Return the seeds."""
        return range(self.first_seed, self.first_seed + self.seeds)


def read_arguments(arguments: Sequence[str]) -> EvalSettings:
    """
    Read the arguments of ``hlai eval``.

    :raises HlaiError: naming what is wrong and what is valid.
    """
    own, rooms = split(arguments, KEYS)
    domain = whole(own, 'domain', -1, 0, MOST)
    return EvalSettings(
        robot=own.get('robot', 'cartpole'), task=own.get('task', 'swingup'),
        seeds=whole(own, 'seeds', 10, 1, MOST_SEEDS),
        first_seed=whole(own, 'first_seed', 0, most=2 ** 63 - MOST_SEEDS),
        timeout_s=number(own, 'timeout_s', 30.0, 0.1),
        json=Path(own['json']) if own.get('json') else None,
        domain=None if domain < 0 else domain, model=own.get('model', ''), rooms=rooms)


def evaluate(arguments: Sequence[str]) -> int:
    """
    Run ``hlai eval``.

    :returns: 0 when all runs were made, solved or not; 130 after Ctrl-C.
    :raises HlaiError: if the graph fails; what was finished is kept.
    """
    if arguments and arguments[0] == 'plot':
        return _plot(arguments[1:])
    settings = read_arguments(arguments)
    manifest = load_robot(settings.robot)
    task = load_task(settings.task, manifest)
    settings = replace(settings, rooms=task.rooms(settings.rooms))
    model = model_file(settings.model, manifest, settings.rooms)
    done = _resume(settings)
    console, interrupt = Console(), Interrupt()
    missing = [seed for seed in settings.wanted() if seed not in done]
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn(), TextColumn('{task.fields[last]}'))
    try:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task('runs', total=settings.seeds, completed=len(done), last='')
            for item in _runs(missing, task, settings, model, interrupt):
                done[item.seed] = item
                _keep(settings, done, {})
                progress.update(bar, completed=len(done), last=_outcome(item))
            baselines = _baselines(manifest, task, settings, progress, interrupt)
    except InterruptedByUser:
        return INTERRUPTED
    results = _keep(settings, done, baselines)
    _print(console, results, settings)
    if settings.json is not None and find_spec('matplotlib') is not None:
        draw(results, picture(settings.json))
    return 0


def _plot(arguments: Sequence[str]) -> int:
    """Draw results again."""
    own, rooms = split(arguments, ('json',))
    if rooms or not own.get('json'):
        raise UsageError('hlai eval plot takes a file that hlai eval has written; valid: '
                         'hlai eval plot json:=FILE')
    Console().print(redraw(Path(own['json'])), highlight=False, soft_wrap=True)
    return 0


def _runs(seeds: Sequence[int], task: TaskSpec, settings: EvalSettings, model: Path | None,
          interrupt: Interrupt) -> Iterator[Trial]:
    """Make the runs, all through one graph."""
    if not seeds:
        return
    parameters = {'robot': settings.robot, 'task': settings.task, 'mode': 'lockstep',
                  'autostart': False, 'armed_at_start': True, **settings.rooms}
    with (tempfile.TemporaryDirectory(prefix='hlai-eval-') as folder,
          started(parameters, Path(folder), settings.domain) as run):
        run.observer.between = interrupt.check
        for seed in seeds:
            values: dict[str, object] = {'seed': seed}
            if model is not None:
                # Each run begins from the model, not from what the last one made of it.
                own = Path(folder) / f'run_{seed}'
                own.mkdir()
                place_model(model, own)
                values['run_dir'] = str(own)
            yield _one(run, values, task, settings)
            if model is not None:
                shutil.rmtree(own)


def _one(run: GraphRun, values: Mapping[str, Any], task: TaskSpec,
         settings: EvalSettings) -> Trial:
    """Make one run: begin, look on, end."""
    began_s, seed = time.monotonic(), int(values['seed'])
    observer = run.observer
    observer.begin(values)
    observer.wait_for_phase('running', BEGIN_TIMEOUT_S)
    stall = StallWatch(observer)
    while True:
        observer.look(0.1)
        stall.check()
        motion = observer.motion
        for death in run.processes.tend():
            raise GraphError(f'{death.name} died ({death.how}) in seed {seed}; run the same '
                             f'command again to go on. The end of its log:\n{death.log}')
        solved_at_s = motion.solved_at_s
        if solved_at_s is not None or motion.motion_s > settings.timeout_s:
            break
    solved_at_s = observer.motion.solved_at_s
    end_s = settings.timeout_s if solved_at_s is None else solved_at_s + task.solved.hold_s
    if end_s > settings.timeout_s:
        solved_at_s, end_s = None, settings.timeout_s
    observer.end_within(BEGIN_TIMEOUT_S)
    return Trial(seed, solved_at_s, round(end_s, 6), round(time.monotonic() - began_s, 3))


def _resume(settings: EvalSettings) -> dict[int, Trial]:
    """
    Read what an earlier call of the same command has finished.

    :raises UsageError: if the file holds other runs, or cannot be written.
    """
    path = settings.json
    if path is None:
        return {}
    if not path.parent.is_dir() or path.is_dir() or path == picture(path):
        raise UsageError(f'json:={path} cannot be written; valid: a file in a folder that exists')
    if not path.exists():
        return {}
    try:
        earlier = json.loads(path.read_text())
        identity = {key: earlier['settings'][key] for key in settings.identity()}
        found = {row['seed']: Trial(row['seed'], row['solved_at_s'], row['interaction_s'],
                                    row['wall_s']) for row in earlier['runs']}
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise UsageError(f'json:={path} holds something else ({error!r}); '
                         'choose another file') from None
    if identity != settings.identity():
        raise UsageError(f'json:={path} holds runs with other settings, {identity}; '
                         'choose another file, or delete it')
    if not all(seed in settings.wanted() for seed in found):
        raise UsageError(f'json:={path} holds other seeds, too, which would be lost: '
                         f'{sorted(found)}; ask for them all, or choose another file')
    return found


def _baselines(manifest: RobotManifest, task: TaskSpec, settings: EvalSettings,
               progress: Progress, interrupt: Interrupt) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for name, make in rows(manifest.name, task.name):
        bar = progress.add_task(name, total=settings.seeds, last='')
        found[name] = []
        for seed in settings.wanted():
            interrupt.check()
            found[name].append(trial(manifest, task, make, seed, settings.timeout_s))
            progress.advance(bar)
    return found


def account(trials: Sequence[Trial]) -> dict[str, object]:
    """Return one row of the results: its runs, and what they come to."""
    times = [item.solved_at_s for item in trials]
    return {'runs': [{**asdict(item), 'solved': item.solved_at_s is not None}
                     for item in trials],
            'median_solved_at_s': median_or_none(times),
            'worst_solved_at_s': worst_or_none(times)}


def _keep(settings: EvalSettings, done: Mapping[int, Trial],
          baselines: Mapping[str, Sequence[Trial]]) -> dict[str, object]:
    """Write what there is so far, and return it."""
    results = {**account([done[seed] for seed in sorted(done)]),
               'baselines': {name: account(trials) for name, trials in baselines.items()},
               'settings': {**settings.identity(), 'mode': 'lockstep', 'seeds': settings.seeds,
                            'first_seed': settings.first_seed},
               'machine': machine(), 'versions': versions()}
    if settings.json is not None:
        write(settings.json, results)
    return results


def _outcome(item: Trial) -> str:
    if item.solved_at_s is None:
        return f'seed {item.seed}: not solved in {item.interaction_s:g} s'
    return f'seed {item.seed}: solved at {item.solved_at_s:.2f} s'


def _print(console: Console, results: dict[str, Any], settings: EvalSettings) -> None:
    """Print the table of rows and the survival curve."""
    controllers = {'hlai': results, **results['baselines']}
    table = Table(title=f'{settings.robot} {settings.task}, motion seconds to the start of '
                        f'the hold')
    for heading in ('', 'solved', '95 %', 'median', 'worst'):
        table.add_column(heading)
    for name, row in controllers.items():
        solved_at = [item['solved_at_s'] for item in row['runs']]
        count = sum(value is not None for value in solved_at)
        low, high = wilson(count, len(solved_at))
        table.add_row(name, f'{count} of {len(solved_at)}', f'{low:.0%} to {high:.0%}',
                      _seconds(row['median_solved_at_s']), _seconds(row['worst_solved_at_s']))
    console.print(table, _curve(controllers, settings.timeout_s))


def _curve(controllers: Mapping[str, dict[str, Any]], timeout_s: float) -> Table:
    """Return the survival curve: the fraction solved by each time."""
    times_s = [timeout_s * (i + 1) / CURVE_POINTS for i in range(CURVE_POINTS)]
    shares = [survival([item['solved_at_s'] for item in row['runs']], times_s)
              for row in controllers.values()]
    curve = Table(title='fraction solved')
    for heading in ('within', *controllers):
        curve.add_column(heading)
    for time_s, *column in zip(times_s, *shares, strict=True):
        curve.add_row(f'{time_s:g} s', *(f'{share:.2f}' for share in column))
    return curve


def _seconds(value: float | None) -> str:
    return '-' if value is None else f'{value:.2f} s'
