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

"""``hlai up`` before anything is started: arguments, folders, signals."""

import os
from pathlib import Path
import signal

import pytest

from hlai_control.errors import DocumentError, SettingsError, UsageError
from hlai_control.parent.graph_run import fresh_folder
from hlai_control.parent.up import Interrupt, read_arguments, up


def test_by_default():
    settings = read_arguments([])
    assert (settings.robot, settings.task, settings.mode) == ('cartpole', 'swingup', 'realtime')
    assert (settings.real_time_factor, settings.timeout_s, settings.seed) == (1.0, 0.0, 0)
    assert settings.stop_when == '' and settings.domain is None and settings.rooms == {}
    assert settings.run_dir.parent == Path('runs')


def test_every_argument_reaches_the_nodes(tmp_path):
    settings = read_arguments([
        'robot:=cartpole', 'task:=swingup', 'mode:=lockstep', 'real_time_factor:=2',
        'stop_when:=solved', 'timeout_s:=60', 'seed:=-4', f'run_dir:={tmp_path}', 'domain:=0',
        'planner.horizon:=20'])
    assert (settings.stop_when, settings.timeout_s, settings.domain) == ('solved', 60.0, 0)
    assert settings.parameters() == {
        'robot': 'cartpole', 'task': 'swingup', 'mode': 'lockstep', 'seed': -4,
        'run_dir': str(tmp_path), 'real_time_factor': 2.0, 'armed_at_start': True,
        'simulation': True, 'planner.horizon': 20}


def test_hardware_begins_in_hold_and_with_little():
    told = read_arguments(['simulation:=false', 'planner.horizon:=20']).parameters()
    assert (told['simulation'], told['armed_at_start']) == (False, False)
    assert told['guard.authority'] <= 0.2 and told['guard.ramp_s'] > 0.0
    told = read_arguments(['simulation:=false', 'guard.authority:=0.7']).parameters()
    assert told['guard.authority'] == 0.7  # on purpose
    with pytest.raises(UsageError, match='realtime'):
        read_arguments(['simulation:=false', 'mode:=lockstep'])


@pytest.mark.parametrize(('argument', 'text'), [
    ('mode:=fast', 'valid: realtime, lockstep'), ('stop_when:=never', 'solved'),
    ('real_time_factor:=0', 'at least 0.01'), ('real_time_factor:=nan', 'at least 0.01'),
    ('timeout_s:=-1', 'at least 0'), ('seed:=1.5', 'whole number'), ('domain:=233', '0 .. 232'),
    ('domain:=-1', '0 .. 232'), ('seeds:=3', 'did you mean seed?'),
    ('robot:=cartpol', 'cartpole'), ('robot:=/no/such.yaml', 'no such file'),
    ('task:=swing', 'swingup')])
def test_wrong_arguments_are_refused_before_anything_starts(argument, text, tmp_path):
    with pytest.raises(UsageError, match=text):
        up([f'run_dir:={tmp_path / "run"}', argument])
    assert not (tmp_path / 'run').exists()


def test_wrong_settings_and_documents_are_refused_before_anything_starts(tmp_path):
    with pytest.raises(SettingsError, match='horizon'):
        up([f'run_dir:={tmp_path / "run"}', 'planner.horizon:=0'])
    (tmp_path / 'bad.yaml').write_text('name: 3\n')
    with pytest.raises(DocumentError, match=r'bad\.yaml:1'):
        up([f'run_dir:={tmp_path / "run"}', f'robot:={tmp_path / "bad.yaml"}'])
    assert not (tmp_path / 'run').exists()


def test_a_folder_with_a_run_in_it_is_left_alone(tmp_path):
    (tmp_path / 'summary.json').write_text('precious')
    with pytest.raises(UsageError, match='is not empty; choose another'):
        up([f'run_dir:={tmp_path}'])
    assert [path.name for path in tmp_path.iterdir()] == ['summary.json']


@pytest.mark.parametrize('name', ['file', 'file/below'])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, name):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(UsageError, match='run_dir:='):
        up([f'run_dir:={tmp_path / name}'])


def test_a_fresh_folder_is_made_with_its_parents(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fresh_folder(Path('a/b')) == tmp_path / 'a' / 'b'
    assert fresh_folder(Path('a/b')) == tmp_path / 'a' / 'b'  # empty is as good as new


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_remembered(number):
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        interrupt = Interrupt()
        assert not interrupt.seen
        os.kill(os.getpid(), number)
        assert interrupt.seen
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)
