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


"""Packaged data is found in a checkout and wherever an installation puts it."""

from pathlib import Path
import shutil
import subprocess
import sys

import pytest

from hlai_control import resources
from hlai_control.errors import UsageError

ROOT = Path(resources.__file__).resolve().parents[1]
ASK = ('from hlai_control.resources import robot_path, share_directory, task_path; '
       'print(share_directory()); print(robot_path("cartpole")); print(task_path("swingup"))')


def test_names_are_those_of_the_files():
    assert 'cartpole' in resources.robots() and 'swingup' in resources.tasks()
    for name in resources.robots():
        assert resources.robot_path(name).name == f'{name}.yaml'
    for name in resources.tasks():
        assert resources.task_path(name).is_file()


def test_a_path_is_taken_as_it_is(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('name: mine\n', encoding='utf-8')
    assert resources.robot_path(str(path)) == path
    assert resources.task_path(str(path)) == path


@pytest.mark.parametrize('name', ['cartpol', '', 'swingup', '..', 'CARTPOLE', 'cartpole '])
def test_unknown_robots_list_the_valid_ones(name):
    with pytest.raises(UsageError, match='unknown robot.*cartpole'):
        resources.robot_path(name)


def test_a_path_without_a_file_lists_the_names_too():
    for path in ('no/such.yaml', '/etc', './cartpole.yml'):
        with pytest.raises(UsageError, match='no such file.*cartpole'):
            resources.robot_path(path)
    with pytest.raises(UsageError, match='no such file.*swingup'):
        resources.task_path('no/swingup.yaml')


def _found(package_parent: Path, cwd: Path) -> list[Path]:
    """Ask a fresh interpreter that knows only this copy of the package."""
    done = subprocess.run([sys.executable, '-c', ASK], cwd=cwd, capture_output=True, text=True,
                          env={'PYTHONPATH': str(package_parent)}, timeout=30)
    assert done.returncode == 0, done.stderr
    return [Path(line) for line in done.stdout.split()]


@pytest.mark.parametrize(('code', 'share'), [
    ('lib/python3.12/site-packages', 'share/hlai_control'),             # pip, any prefix; colcon
    ('local/lib/python3.12/dist-packages', 'local/share/hlai_control'),  # Debian's pip
    ('local/lib/python3.12/dist-packages', 'share/hlai_control'),       # colcon on Debian
    ('src/hlai_control', 'src/hlai_control')])                          # checkout, editable
def test_every_kind_of_installation(tmp_path, code, share):
    shutil.copytree(ROOT / 'hlai_control', tmp_path / code / 'hlai_control',
                    ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copytree(ROOT / 'config', tmp_path / share / 'config')
    (tmp_path / 'elsewhere').mkdir()
    folder, robot, task = _found(tmp_path / code, tmp_path / 'elsewhere')
    assert folder == tmp_path / share
    assert robot == folder / 'config' / 'robots' / 'cartpole.yaml'
    assert task == folder / 'config' / 'tasks' / 'swingup.yaml'


def test_colcons_symlinks_lead_to_the_checkout(tmp_path):
    build = tmp_path / 'build' / 'hlai_control'
    build.mkdir(parents=True)
    (build / 'hlai_control').symlink_to(ROOT / 'hlai_control')
    assert _found(build, tmp_path)[0] == ROOT


def test_without_any_data_the_places_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, '_candidates', lambda: (tmp_path / 'a', tmp_path / 'b'))
    with pytest.raises(UsageError, match=f'not found in {tmp_path}/a, {tmp_path}/b; install'):
        resources.share_directory()
