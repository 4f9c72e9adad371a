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

"""``hlai eval``: which runs it makes, what it keeps, and what it refuses."""

from hashlib import sha256
import json
from pathlib import Path
import signal
import tempfile

import pytest

from hlai_control.errors import GraphError, SettingsError, UsageError
from hlai_control.parent.domain import DomainLock
from hlai_control.parent.evaluate import evaluate, read_arguments
from hlai_control.parent.statistics import wilson
from hlai_control.parent.survival_plot import curve

ROW = {'solved': True, 'solved_at_s': 2.5, 'interaction_s': 5.5, 'wall_s': 7.0}
# What a run depends on, as a file holds it.
BASE = json.loads(json.dumps(read_arguments(['timeout_s:=6']).identity()))


@pytest.fixture(autouse=True)
def _signals():
    """Put back the handlers that the command replaces."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _file(path: Path, seeds: list[int], **settings: object) -> Path:
    rows = [ROW | {'seed': seed} for seed in seeds]
    path.write_text(json.dumps({'runs': rows, 'settings': BASE | settings}))
    return path


def _arguments(path: Path, *others: str) -> list[str]:
    return [f'json:={path}', 'timeout_s:=6', *others]


def test_by_default():
    settings = read_arguments([])
    assert (settings.robot, settings.task) == ('cartpole', 'swingup')
    assert list(settings.wanted()) == list(range(10))
    assert settings.json is None and settings.domain is None and settings.rooms == {}
    assert settings.identity()['resolved']['schedule.updates'] == 5  # U stands in every result


def test_any_seed_may_be_the_first():
    assert list(read_arguments(['first_seed:=-2', 'seeds:=3']).wanted()) == [-2, -1, 0]


@pytest.mark.parametrize(('argument', 'text'), [
    ('seeds:=0', '1 .. '), ('seeds:=many', 'whole number'), (f'first_seed:={2 ** 63}', 'whole'),
    ('timeout_s:=0', 'at least 0.1'), ('seed:=3', 'did you mean seeds?'),
    ('domain:=500', '0 .. 232'), ('robot:=cartpol', 'cartpole'), ('task:=swing', 'swingup'),
    ('json:=/no/such/folder/a.json', 'a folder that exists'), ('json:=/tmp', 'cannot be written'),
    ('json:=a.png', 'cannot be written')])
def test_wrong_arguments_are_refused_before_anything_starts(argument, text):
    with pytest.raises(UsageError, match=text):
        evaluate([argument])
    with pytest.raises(SettingsError):
        evaluate(['schedule.updates:=-1'])


def test_with_all_runs_made_only_the_baselines_are_left(tmp_path, capsys):
    path = _file(tmp_path / 'eval.json', [7, 8])
    assert evaluate(_arguments(path, 'first_seed:=7', 'seeds:=2')) == 0
    found = json.loads(path.read_text())
    assert [row['seed'] for row in found['runs']] == [7, 8]
    assert found['runs'][0] == ROW | {'seed': 7}
    assert (found['median_solved_at_s'], found['worst_solved_at_s']) == (2.5, 2.5)
    assert list(found['baselines']) == ['do nothing', 'random', 'classical']
    nothing = found['baselines']['do nothing']
    assert [(row['seed'], row['solved'], row['solved_at_s'], row['interaction_s'])
            for row in nothing['runs']] == [(7, False, None, 6.0), (8, False, None, 6.0)]
    assert nothing['median_solved_at_s'] is nothing['worst_solved_at_s'] is None
    assert found['settings'] == BASE | {'mode': 'lockstep', 'seeds': 2, 'first_seed': 7}
    assert found['machine']['cores'] and found['versions']['torch']
    shown = capsys.readouterr().out
    assert '2 of 2' in shown and '0 of 2' in shown and 'fraction solved' in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ['eval.json', 'eval.png']


@pytest.mark.parametrize('change', [
    {'robot': 'other'}, {'task': 'other'}, {'timeout_s': 30.0},
    {'resolved': BASE['resolved'] | {'planner.horizon': 20}},
    {'files': BASE['files'] | {'robot': 'edited since'}}])
def test_runs_with_other_settings_are_refused_and_kept(tmp_path, change):
    path = _file(tmp_path / 'eval.json', [0, 1], **change)
    before = path.read_text()
    with pytest.raises(UsageError, match='other settings'):
        evaluate(_arguments(path, 'seeds:=2'))
    assert path.read_text() == before


@pytest.mark.parametrize('others', [('seeds:=2',), ('first_seed:=1', 'seeds:=4')])
def test_runs_that_would_be_lost_are_refused_and_kept(tmp_path, others):
    """Fewer seeds, or others, with the same file once dropped the runs that it held."""
    path = _file(tmp_path / 'eval.json', [0, 1, 2])
    before = path.read_text()
    with pytest.raises(UsageError, match='would be lost'):
        evaluate(_arguments(path, *others))
    assert path.read_text() == before


@pytest.mark.parametrize('content', [
    '', '{', '[]', '3', 'null', '{}', '{"runs": []}', '{"settings": null, "runs": []}',
    '{"settings": [], "runs": []}', '[' * 100_000, '\xff',
    json.dumps({'settings': BASE, 'runs': None}), json.dumps({'settings': BASE, 'runs': [{}]}),
    json.dumps({'settings': BASE, 'runs': [ROW | {'seed': []}]}),
    json.dumps({'settings': BASE, 'runs': [[1, 2]]})])
def test_a_file_with_something_else_is_refused_and_kept(tmp_path, content):
    path = tmp_path / 'eval.json'
    path.write_bytes(content.encode('latin-1'))
    with pytest.raises(UsageError, match='choose another file'):
        evaluate(_arguments(path, 'seeds:=2'))
    assert path.read_bytes() == content.encode('latin-1')


def test_missing_seeds_are_run_and_what_is_there_survives_a_failure(tmp_path, monkeypatch):
    """The graph that the missing seed needs finds its domain taken; nothing is lost by that."""
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    path = _file(tmp_path / 'eval.json', [0, 2])
    before = path.read_text()
    lock = DomainLock(46)
    with pytest.raises(GraphError, match='domain 46 is in use'):
        evaluate(_arguments(path, 'seeds:=3', 'domain:=46'))
    lock.release()
    assert path.read_text() == before


def test_the_picture_lies_beside_the_results_and_can_be_made_again(tmp_path, capsys):
    path = _file(tmp_path / 'eval.json', [7, 8], robot='cartpole', task='swingup')
    assert evaluate(['plot', f'json:={path}']) == 0
    picture = tmp_path / 'eval.png'
    assert picture.read_bytes().startswith(b'\x89PNG') and 'eval.png' in capsys.readouterr().out


def test_the_curve_steps_where_runs_were_solved():
    times, share, low, high = curve([2.0, None, 3.0, 3.0], 10.0)
    assert times == [0.0, 2.0, 3.0, 10.0] and share == [0.0, 0.25, 0.75, 0.75]
    assert [(low[i], high[i]) for i in range(4)] == [
        wilson(0, 4), wilson(1, 4), wilson(3, 4), wilson(3, 4)]


@pytest.mark.parametrize('content', ['', '[]', '{"runs": [], "settings": {}}', '{"runs": 3}'])
def test_what_is_no_result_is_not_drawn(tmp_path, content):
    path = tmp_path / 'eval.json'
    path.write_text(content)
    with pytest.raises(UsageError, match='cannot be drawn'):
        evaluate(['plot', f'json:={path}'])
    with pytest.raises(UsageError, match='plot json:=FILE'):
        evaluate(['plot'])


def test_results_say_which_model_the_runs_began_with(tmp_path):
    (tmp_path / 'world_model.safetensors').write_bytes(b'model')
    plain = read_arguments([]).identity()['files']
    files = read_arguments([f'model:={tmp_path}']).identity()['files']
    assert files == plain | {'model': sha256(b'model').hexdigest()}
    (tmp_path / 'transitions.journal').write_bytes(b'rows')
    files = read_arguments([f'model:={tmp_path}']).identity()['files']
    assert files['transitions'] == sha256(b'rows').hexdigest()
    with pytest.raises(UsageError, match='model:=.* cannot be read'):
        evaluate([f'model:={tmp_path}'])
    with pytest.raises(UsageError, match='model:=/nowhere'):
        evaluate(['model:=/nowhere'])
