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

"""The command line from outside: statuses, sentences, and no waiting for torch."""

from pathlib import Path
import subprocess
import sys

import pytest

from hlai_control import __version__
from hlai_control.resources import robots

# As the console script does it; then tell what was imported on the way.
RUN = """
import sys
from hlai_control.cli import main
status = main()
sys.stderr.write(f'torch: {"torch" in sys.modules}')
sys.exit(status)
"""


def _hlai(*arguments: str, folder: Path) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, '-c', RUN, *arguments], capture_output=True,
                          text=True, timeout=60, cwd=folder)
    assert 'Traceback' not in done.stderr
    errors, found, imported = done.stderr.rpartition('torch: ')
    assert found and imported == 'False'
    return done.returncode, done.stdout, errors


@pytest.mark.parametrize('flag', ['--help', '-h', 'help'])
def test_help(flag, tmp_path):
    status, out, errors = _hlai(flag, folder=tmp_path)
    assert (status, errors) == (0, '')
    assert all(f'\n  {verb} ' in out for verb in ('up', 'eval', 'doctor'))


def test_nothing_is_not_enough(tmp_path):
    status, out, _ = _hlai(folder=tmp_path)
    assert status == 2 and out.startswith('usage: hlai VERB')


def test_version(tmp_path):
    assert _hlai('--version', folder=tmp_path) == (0, f'hlai_control {__version__}\n', '')


@pytest.mark.parametrize(('arguments', 'texts'), [
    (('fly',), ["unknown verb 'fly'", 'up, eval, train, export, bench, init-robot, doctor']),
    (('up', 'robto:=cartpole'), ["'robto'", 'did you mean robot?', 'valid: robot, task']),
    (('up', 'cartpole'), ['key:=value', 'robot, task']),
    (('up', 'robot:=nope'), ["unknown robot 'nope'", *robots()]),
    (('up', 'task:=nope'), ["unknown task 'nope'", 'swingup']),
    (('up', 'planner.horizon:=0'), ['horizon = 0', '1 .. 500']),
    (('eval', 'seeds:=0'), ['seeds:=0', 'whole number']),
    (('eval', 'json:=/no/folder/a.json'), ['/no/folder/a.json', 'folder that exists'])])
def test_wrong_arguments_are_refused_with_the_valid_ones(arguments, texts, tmp_path):
    status, out, errors = _hlai(*arguments, folder=tmp_path)
    assert (status, out) == (2, '')
    assert errors.startswith('hlai: ') and errors.count('\n') == 1
    assert all(text in errors for text in texts)
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_a_wrong_document_is_an_error_that_names_the_place(tmp_path):
    (tmp_path / 'mine.yaml').write_text('name: mine\nrate_hz: fast\n')
    status, _, errors = _hlai('up', 'robot:=./mine.yaml', folder=tmp_path)
    assert status == 1 and errors.startswith('hlai: ') and 'mine.yaml:' in errors
