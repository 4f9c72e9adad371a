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

"""``resume:=``: finds a run and what it was, refuses another robot, loses nothing of before."""

from dataclasses import replace
import fcntl
import json
import os
from pathlib import Path

import pytest
from toys import MASS

from hlai_control.configurator.configuration import Configuration
from hlai_control.errors import SettingsError, UsageError
from hlai_control.learning.artefact import Artefact, encode
from hlai_control.learning.sessions import earlier_sessions, set_apart
from hlai_control.learning.storage import artefact_path, BEFORE_VERSION, newest_valid
from hlai_control.parent.resume import (
    check_layout,
    claimed,
    keep_account,
    known,
    open_session,
)
from hlai_control.parent.up import read_arguments, up
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import CriticSettings
from hlai_control.types import generator

ROBOT = load_robot('cartpole')


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'runs' / '20261123-101500'
    folder.mkdir(parents=True)
    settings = read_arguments([
        'robot:=cartpole', 'task:=swingup', 'seed:=7', 'planner.horizon:=20', 'timeout_s:=5',
        'stop_when:=solved', 'mode:=lockstep'])
    keep_account(folder, settings.lasting(), ROBOT.layout)
    return folder


@pytest.mark.parametrize('text', ['20261123-101500', 'runs/20261123-101500', '{folder}'])
def test_a_run_is_found_by_name_and_by_path_and_is_what_it_was(run, text):
    settings = read_arguments([f'resume:={text.format(folder=run)}'])
    assert settings.resume is not None and settings.run_dir == run
    assert (settings.robot, settings.task, settings.seed) == ('cartpole', 'swingup', 7)
    assert settings.mode == 'lockstep' and settings.rooms == {'planner.horizon': 20}
    # How the last session ended says nothing of the next one.
    assert (settings.stop_when, settings.timeout_s) == ('', 0.0)
    check_layout(settings.resume, ROBOT.layout)


def test_what_is_said_now_counts_more_and_is_remembered(run):
    settings = read_arguments(['planner.horizon:=30', f'resume:={run.name}', 'mode:=realtime',
                               'critic.batch:=16'])
    assert settings.rooms == {'planner.horizon': 30, 'critic.batch': 16}
    assert (settings.mode, settings.seed) == ('realtime', 7)
    keep_account(run, settings.lasting(), ROBOT.layout)
    again = read_arguments([f'resume:={run.name}'])
    assert again.rooms == settings.rooms and again.mode == 'realtime'


@pytest.mark.parametrize(('content', 'task'), [
    (Configuration(3, 0, 'pendulum_swingup', 'hold', '', 0, 0, 'asked').to_json(),
     'pendulum_swingup'), ('{"version": 3', 'swingup'), ('', 'swingup')])
def test_the_task_is_the_one_that_was_asked_for_last(run, content, task):
    (run / 'configuration.json').write_text(content)
    assert read_arguments([f'resume:={run.name}']).task == task
    # What is asked for now comes after it.
    assert read_arguments([f'resume:={run.name}', 'task:=other']).task == 'other'


def test_documents_are_found_from_anywhere(run, tmp_path, monkeypatch):
    (tmp_path / 'mine.yaml').write_bytes(ROBOT.path.read_bytes())
    keep_account(run, read_arguments(['robot:=./mine.yaml']).lasting(), ROBOT.layout)
    monkeypatch.chdir('/')
    assert read_arguments([f'resume:={run}']).robot == str(tmp_path / 'mine.yaml')


def test_a_run_that_is_not_there_is_refused_with_those_that_are(run, tmp_path):
    said = 'resume:=nowhere: there is no such folder; valid: runs/20261123-101500$'
    with pytest.raises(UsageError, match=said):
        up(['resume:=nowhere'])
    (tmp_path / 'runs' / 'notes').mkdir()
    with pytest.raises(UsageError, match='holds no run.json.*valid: runs/20261123-101500$'):
        up(['resume:=notes'])
    for number in range(12):
        folder = tmp_path / 'runs' / f'2027{number:02d}'
        folder.mkdir()
        keep_account(folder, (), ROBOT.layout)
    with pytest.raises(UsageError, match='valid: runs/202711, .* and 3 more$'):
        up(['resume:=nowhere'])


def test_where_there_are_no_runs_that_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match='there are no runs in runs/ to resume'):
        up(['resume:=nowhere'])


@pytest.mark.parametrize('content', [
    b'', b'{', b'[]', b'{"run": 9, "arguments": [], "layout": {}}', b'{"run": 1}', b'\xff\xfe',
    b'{"run": 1, "arguments": 3, "layout": {}}'])
def test_a_damaged_account_is_refused(run, content):
    (run / 'run.json').write_bytes(content)
    with pytest.raises(UsageError, match='run.json cannot be read'):
        up([f'resume:={run.name}'])


@pytest.mark.parametrize(('field', 'other'), [
    ('robot', replace(ROBOT.layout, robot='another')),
    ('positions', replace(ROBOT.layout, positions=('pole.angle', 'cart.x'))),
    ('period_s', replace(ROBOT.layout, period_s=0.01)),
    ('delay_ticks', replace(ROBOT.layout, delay_ticks=2)),
    ('action_high', replace(ROBOT.layout, action_high=(5.0,))),
    ('angle', replace(ROBOT.layout, angle=(False, False)))])
def test_another_robot_is_refused_naming_the_field(run, field, other):
    with pytest.raises(UsageError, match=f': {field} is .* there, and .* of this robot'):
        check_layout(known(run.name), other)
    check_layout(known(run.name), replace(ROBOT.layout, noise_std=(0.5,) * 4))


def test_another_robot_by_name_is_refused_before_anything_starts(run):
    before = sorted(path.name for path in run.iterdir())
    with pytest.raises(UsageError, match='positions is|robot is'):
        up([f'resume:={run.name}', 'robot:=pendulum', 'task:=pendulum_swingup'])
    assert sorted(path.name for path in run.iterdir()) == before


@pytest.mark.parametrize('argument', ['run_dir:=other', 'model:=trained'])
def test_what_contradicts_it_is_refused(run, argument):
    with pytest.raises(UsageError, match='leave out run_dir:= and model:='):
        up([f'resume:={run.name}', argument])


def test_settings_of_then_are_checked_as_if_typed_now(run):
    text = json.loads((run / 'run.json').read_bytes())
    text['arguments'].append('planner.horizon:=0')
    (run / 'run.json').write_text(json.dumps(text))
    with pytest.raises(SettingsError, match='horizon'):
        up([f'resume:={run.name}'])


def test_a_run_that_goes_on_is_not_resumed(run):
    with claimed(run):
        with pytest.raises(UsageError, match='still going on'):
            up([f'resume:={run.name}'])
    file = os.open(run / '.lock', os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # free again: this does not raise
    os.close(file)
    assert known(run.name).folder == run


def versions(folder: Path, *numbers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        artefact_path(folder, 'critic', number).write_bytes(encode(
            Artefact('critic', number, value(number)), MASS))


def value(number: int) -> dict:
    from hlai_control.critic.value import ValueNetwork
    return ValueNetwork(MASS, CriticSettings(hidden=4), generator(number, 'test')).export()


def found(folder: Path):
    artefact = newest_valid(folder, MASS, 'critic', value(0))
    if artefact is None:
        return None
    numbers = [number for number in range(200)
               if all((artefact.tensors[name] == tensor).all()
                      for name, tensor in value(number).items())]
    return artefact.version, numbers[0]


def test_each_session_goes_on_from_the_newest_that_is_whole(tmp_path):
    functions = tmp_path / 'functions'
    set_apart(functions)  # there need not be any
    versions(functions, 98, 100)
    assert found(functions) == (100, 100)
    (tmp_path / 'summary.json').write_text('first')
    open_session(tmp_path)
    # What was before counts as older than the first version of this session.
    assert found(functions) == (BEFORE_VERSION, 100)
    versions(functions, 6)
    assert found(functions) == (6, 6)
    (tmp_path / 'summary.json').write_text('second')
    open_session(tmp_path)
    assert found(functions) == (BEFORE_VERSION, 6)
    open_session(tmp_path)  # a session that made nothing
    assert found(functions) == (BEFORE_VERSION, 6)
    assert len(earlier_sessions(functions)) == 2
    for path in earlier_sessions(functions)[0].iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert found(functions) == (BEFORE_VERSION, 100)
    assert [(tmp_path / f'summary-000{number}.json').read_text() for number in (1, 2)] == [
        'first', 'second']


def test_no_account_of_an_earlier_session_is_written_over(tmp_path):
    """Numbered by how many there were, the third took the second's place once one was deleted."""
    (tmp_path / 'summary-0002.json').write_text('second')
    (tmp_path / 'summary.json').write_text('third')
    open_session(tmp_path)
    assert (tmp_path / 'summary-0002.json').read_text() == 'second'
    assert (tmp_path / 'summary-0003.json').read_text() == 'third'
