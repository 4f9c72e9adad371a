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


"""Training from recordings: learns, stops, goes on; two processes come to the same as one."""

from dataclasses import fields, replace
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file
import torch
from toys import CARTPOLE

from hlai_control.errors import RecordingError, UsageError
from hlai_control.learning.artefact import Artefact, decode, encode
from hlai_control.learning.crew import Alone
from hlai_control.learning.journal import Journal
from hlai_control.learning.pairing import Joined
from hlai_control.learning.storage import artefact_path, BEFORE_VERSION, newest_valid
from hlai_control.parent.export import export
from hlai_control.parent.model import model_file, place_model
from hlai_control.parent.train import read_arguments
from hlai_control.recordings.reading import read_recording
from hlai_control.recordings.writing import write_recording
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import PerceptionSettings, WorldModelSettings
from hlai_control.training.course import Course
from hlai_control.training.lessons import BLOCKS, divide
from hlai_control.types import generator
from hlai_control.world_model.learner import WorldModelLearner
from hlai_control.world_model.made import make_dynamics

ROBOT = load_robot('cartpole')
SMALL = WorldModelSettings(members=2, hidden=8, batch=16)
COUNT = 120


def _motion(count: int = COUNT, noise: float = 0.0) -> list[Joined]:
    """Make a cart under random pushes, x'' = u, and a pole under gravity; one midpoint step."""
    draw, dt, state, steps = np.random.default_rng(0), ROBOT.period_s, np.zeros(4), []
    for i in range(count):
        push = draw.uniform(-3, 3, 1) - state[0] - state[2]
        bend = np.array([push[0], -9.0 * np.sin(state[1] + 0.5 * dt * state[3]) - push[0]])
        rate = state[2:] + dt * bend
        ahead = np.concatenate([state[:2] + 0.5 * dt * (state[2:] + rate), rate])
        steps.append(Joined(i + 1, (i + 1) * ROBOT.period_ns, state, push,
                            ahead + noise * draw.standard_normal(4)))
        state = steps[-1].next_state
    return steps


def _course(seed: int = 0) -> Course:
    return Course(CARTPOLE, SMALL, divide(_motion()), seed, Alone())


@pytest.fixture(scope='module')
def bag(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('recording') / 'bag'
    write_recording(path, _motion(noise=0.003), ROBOT.layout, ROBOT.period_ns)
    return path


def _train(bag: Path, out: Path, *more: str, processes: int = 1) -> subprocess.CompletedProcess:
    start = [sys.executable, '-m'] if processes == 1 else [
        sys.executable, '-m', 'torch.distributed.run', '--standalone',
        f'--nproc-per-node={processes}', '-m']
    return subprocess.run(
        [*start, 'hlai_control.training', f'bag:={bag}', 'robot:=cartpole', f'out:={out}',
         'world_model.members:=2', 'world_model.hidden:=8', 'world_model.batch:=16', *more],
        capture_output=True, text=True, check=False)


@pytest.fixture(scope='module')
def trained(bag, tmp_path_factory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp('trained') / 'out'
    done = _train(bag, out, 'epochs:=2')
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_whole_blocks_are_held_out():
    lessons = divide(_motion())
    held = [tuple(row) for row in lessons.held_out.state.tolist()]
    assert len(held) == COUNT // 5 and len(lessons.learned.state) == COUNT - len(held)
    size = COUNT // BLOCKS
    states = [tuple(torch.from_numpy(one.state).float().tolist()) for one in _motion()]
    assert held[:size] == states[2 * size:3 * size]
    assert not set(held) & {tuple(row) for row in lessons.learned.state.tolist()}
    with pytest.raises(RecordingError, match='39 transitions are too few.*at least 40'):
        divide(_motion(39))


def test_it_learns_what_it_was_not_shown():
    course = _course()
    for _ in range(8):
        assert course.epoch(lambda: False)
    # Doing nothing has error 1 by definition; the plant is within the ensemble's structure.
    assert course.best.error < 0.02
    assert course.best.held_out < course.epochs[0].held_out
    assert [one.number for one in course.epochs] == list(range(9))


def test_interrupted_and_resumed_is_as_never_interrupted():
    whole, first, second = _course(), _course(), _course()
    for _ in range(4):
        whole.epoch(lambda: False)
    for _ in range(2):
        first.epoch(lambda: False)
    assert not first.epoch(lambda: True) and len(first.epochs) == 3
    second.resume(first.progress())
    for _ in range(2):
        second.epoch(lambda: False)
    assert str(second.epochs) == str(whole.epochs) and second.best == whole.best
    assert all(torch.equal(value, second.best_tensors[name])
               for name, value in whole.best_tensors.items())


@pytest.mark.timeout(180)
def test_two_processes_come_to_the_same_as_one(bag, trained, tmp_path):
    done = _train(bag, tmp_path / 'two', 'epochs:=2', processes=2)
    assert done.returncode == 0, done.stderr
    folders = trained[0], tmp_path / 'two'
    curves = [json.loads((folder / 'curves.json').read_text()) for folder in folders]
    for one, two in zip(*(curve['epochs'] for curve in curves), strict=True):
        assert two['held_out'] == pytest.approx(one['held_out'], abs=2e-3)
        assert two['error'] == pytest.approx(one['error'], rel=1e-3)
    one, two = (load_file(folder / 'world_model.safetensors') for folder in folders)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-3)


@pytest.mark.timeout(180)
def test_everything_that_a_training_leaves(bag, trained, tmp_path):
    out, said = Path(shutil.copytree(trained[0], tmp_path / 'out')), trained[1]
    assert f'{COUNT} transitions' in said and 'kept epoch' in said
    settings = WorldModelSettings(members=2, hidden=8)
    like = make_dynamics(ROBOT.layout, settings, generator(0, 'a'))
    data = (out / 'world_model.safetensors').read_bytes()
    found = decode(data, ROBOT.layout, 'world_model', like.export())
    assert found.version == 1 and found.provenance.transitions == COUNT
    assert len(found.provenance.data) == 64
    assert dict(found.provenance.metrics)['validation_error'] < 1.0
    assert (out / 'curves.png').read_bytes()[:4] == b'\x89PNG'
    curves = json.loads((out / 'curves.json').read_text())
    assert len(curves['epochs']) == 3 and curves['recording']['transitions'] == COUNT
    journal = Journal(out / 'transitions.journal', ROBOT.layout)
    again = read_recording(bag, ROBOT, PerceptionSettings()).transitions
    assert [one.next_state.tobytes() for one in journal] == [
        one.next_state.tobytes() for one in again]
    journal.close()
    # The same command goes on; with other data or settings it is another training.
    more = _train(bag, out, 'epochs:=3')
    assert more.returncode == 0 and 'goes on after epoch 2' in more.stdout
    assert len(json.loads((out / 'curves.json').read_text())['epochs']) == 4
    other = _train(bag, out, 'epochs:=3', 'seed:=1')
    assert other.returncode == 2 and 'its seed is 0, not 1' in other.stderr


@pytest.mark.timeout(180)
def test_ctrl_c_leaves_the_best_so_far(bag, tmp_path):
    out = tmp_path / 'out'
    process = subprocess.Popen(
        [sys.executable, '-m', 'hlai_control.cli', 'train', f'bag:={bag}', 'robot:=cartpole',
         f'out:={out}', 'epochs:=1000000', 'patience:=1000000'], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env=os.environ | {'COLUMNS': '200'})
    assert process.stdout is not None
    while 'transitions' not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 130 and 'interrupted; kept epoch' in said
    assert (out / 'curves.png').exists() and (out / 'checkpoint.safetensors').exists()


def test_a_run_begins_with_a_trained_model(bag, trained, tmp_path):
    out, folder = trained[0], tmp_path / 'run'
    folder.mkdir()
    sizes = {'world_model.members': 2, 'world_model.hidden': 8}
    for named in (out, out / 'world_model.safetensors'):
        assert model_file(str(named), ROBOT, sizes) == out / 'world_model.safetensors'
    assert model_file('', ROBOT) is None
    place_model(out / 'world_model.safetensors', folder)
    placed = folder / 'functions' / 'before-000001' / f'world_model-{1:018d}.safetensors'
    assert placed.read_bytes() == (out / 'world_model.safetensors').read_bytes()
    assert (folder / 'journals' / 'world_model.journal').read_bytes() == (
        out / 'transitions.journal').read_bytes()
    for field, robot in (('delay_ticks', replace(ROBOT, delay_ticks=2)),
                         ('period_s', replace(ROBOT, period_ns=10_000_000)),
                         ('robot', replace(ROBOT, name='other')),
                         ('action_high', replace(ROBOT, actuators=(
                             replace(ROBOT.actuators[0], high=5.0),)))):
        with pytest.raises(UsageError, match=f'{field} is .*; valid: '):
            model_file(str(out), robot)
    with pytest.raises(UsageError, match='cannot be read'):
        model_file(str(bag), ROBOT)


@pytest.mark.parametrize(('sizes', 'said'), [
    ({'world_model.hidden': 8}, 'add world_model.members:=2'),
    ({'world_model.members': 2}, 'add world_model.hidden:=8'),
    ({'world_model.mechanism': False}, 'add world_model.mechanism:=true'),
    ({'world_model.latent': 'mixture'}, 'add world_model.mechanism:=true .*latent:=gaussian')])
def test_a_model_of_other_sizes_is_refused(trained, sizes, said):
    """The node found no file that fitted, and began from nothing without a word."""
    with pytest.raises(UsageError, match=said):
        model_file(str(trained[0]), ROBOT, sizes)


@pytest.mark.parametrize(('robot', 'settings', 'both'), [
    ('cartpole', {}, True), ('cartpole', {'mechanism': False}, False),
    ('cartpole', {'latent': 'mixture'}, False), ('cartpole_positions', {}, False)])
def test_a_model_is_taken_wherever_one_like_it_is_learned(robot, settings, both, tmp_path):
    """Those of robots without rates, and mixtures, were refused: they hold no mechanism."""
    manifest, path = load_robot(robot), tmp_path / 'world_model.safetensors'
    kind = replace(SMALL, **settings)
    dynamics = make_dynamics(manifest.layout, kind, generator(0, 'test'))
    path.write_bytes(encode(Artefact('world_model', 1, dynamics.export()), manifest.layout))
    rooms = {f'world_model.{one.name}': getattr(kind, one.name) for one in fields(kind)}
    assert model_file(str(path), manifest, rooms) == path
    assert kind.holds_mechanism(manifest.layout) == both
    if both:
        with pytest.raises(UsageError, match='world_model.mechanism:=true'):
            model_file(str(path), manifest, rooms | {'world_model.mechanism': False})


def test_a_model_counts_as_older_than_all_that_the_run_makes(trained, tmp_path):
    """Of another run it has a version of its own, which hid this run's first ones."""
    learner = WorldModelLearner(ROBOT.layout, SMALL, generator(0, 'test'))
    tensors, folder = learner.dynamics.export(), tmp_path / 'functions'
    other = tmp_path / 'other.safetensors'
    other.write_bytes(encode(Artefact('world_model', 345, tensors), ROBOT.layout))
    place_model(other, tmp_path)
    found = newest_valid(folder, ROBOT.layout, 'world_model', tensors)
    assert found is not None and found.version == BEFORE_VERSION
    artefact_path(folder, 'world_model', 6).write_bytes(
        encode(Artefact('world_model', 6, tensors), ROBOT.layout))
    found = newest_valid(folder, ROBOT.layout, 'world_model', tensors)
    assert found is not None and found.version == 6


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(bag):
    """It ended in a traceback."""
    done = _train(bag, Path('/proc/nowhere'), 'epochs:=1')
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert '/proc/nowhere' in done.stderr and 'choose an out:=' in done.stderr


def test_a_run_is_exported(tmp_path):
    journal = Journal(tmp_path / 'run' / 'journals' / 'world_model.journal', ROBOT.layout)
    for joined in _motion():
        journal.append(joined)
    journal.close()
    assert export([f'run:={tmp_path / "run"}', f'bag:={tmp_path / "bag"}', 'robot:=cartpole']) == 0
    found = read_recording(tmp_path / 'bag', ROBOT, PerceptionSettings()).transitions
    assert [(one.tick, one.stamp_ns, one.state.tobytes(), one.action.tobytes()) for one in found
            ] == [(one.tick, one.stamp_ns, one.state.tobytes(), one.action.tobytes())
                  for one in _motion()]
    with pytest.raises(UsageError, match='holds no transitions'):
        export([f'run:={tmp_path}', f'bag:={tmp_path / "new"}'])


@pytest.mark.parametrize(('arguments', 'said'), [
    ([], 'needs bag:='), (['bag:=.'], 'needs robot:='),
    (['bag:=./nowhere', 'robot:=cartpole'], 'nowhere does not exist'),
    (['bag:=.', 'robot:=cartpole', 'planner.horizon:=3'], 'planner.horizon: has no say'),
    (['bag:=.', 'robot:=cartpole', 'epochs:=0'], 'epochs:=0'),
    (['bag:=.', 'robot:=cartpole', 'out:=setup.py'], 'setup.py is a file')])
def test_wrong_arguments_are_refused_in_a_sentence(arguments, said):
    with pytest.raises(UsageError, match=said):
        read_arguments(arguments)
