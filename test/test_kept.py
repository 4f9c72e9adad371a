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

"""What is compiled is kept where it can be, and works where nothing can be kept."""

from importlib.metadata import version
import os
from pathlib import Path
import subprocess
import sys

from numba import config
import numpy as np
import pytest

from hlai_control.compiled import folder as module
from hlai_control.compiled.folder import folder, ours, places
from hlai_control.compiled.kept import kept

OURS = ours()


def inverse(x: float) -> float:
    return 1.0 / x


def kept_files(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob('*') if path.suffix in ('.nbi', '.nbc'))


def test_places_in_order_each_for_one_version_of_numba():
    beside = Path(module.__file__).parent / '__pycache__' / OURS
    assert OURS.startswith(f'numba-{version("numba")}-')
    assert places({}) == [beside]
    assert places({'HOME': '/home/a'}) == [beside, Path('/home/a/.cache/hlai_control') / OURS]
    assert places({'HOME': '/home/a', 'XDG_CACHE_HOME': '/cache'}) == [
        beside, Path('/cache/hlai_control') / OURS]
    assert places({'HOME': '/home/a', 'NUMBA_CACHE_DIR': '/named'}) == [Path('/named') / OURS]


def test_a_change_in_any_of_the_loops_is_another_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, '__file__', str(tmp_path / 'folder.py'))
    names = []
    for name, text in (('one.py', 'a'), ('parts.py', 'b'), ('parts.py', 'c')):
        (tmp_path / name).write_text(text, encoding='utf-8')
        names.append(ours())
    assert len(set(names)) == 3 and names[-1] == ours()


def test_the_first_place_that_can_be_written_serves(tmp_path, monkeypatch):
    # Nobody, not even root, makes a folder below a file.
    (tmp_path / 'file').touch()
    monkeypatch.setattr(module, '__file__', str(tmp_path / 'file' / 'folder.py'))
    monkeypatch.setattr(module, 'ours', lambda: OURS)
    home = {'HOME': str(tmp_path / 'home')}
    assert folder(home) == tmp_path / 'home/.cache/hlai_control' / OURS
    assert folder(home).is_dir()
    assert folder({}) is None
    assert folder({'NUMBA_CACHE_DIR': str(tmp_path / 'file')} | home) is None


def test_the_result_is_kept_there_and_numba_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv('NUMBA_CACHE_DIR', str(tmp_path))
    assert kept(inverse)(4.0) == 0.25
    files = kept_files(tmp_path / OURS)
    assert [path.suffix for path in files] == ['.nbc', '.nbi']
    assert OURS not in config.CACHE_DIR  # others are compiled where they always were
    again = kept(inverse)
    assert again(4.0) == 0.25
    assert list(again.stats.cache_hits.values()) == [1]
    assert kept_files(tmp_path / OURS) == files


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('NUMBA_CACHE_DIR', str(tmp_path / 'file' / 'below'))
    function = kept(inverse)
    with np.errstate(divide='ignore'):
        assert function(4.0) == 0.25 and function(0.0) == np.inf
    assert function.signatures and not function.stats.cache_path
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize('name', ['ensemble', 'riccati'])
def test_loops_are_imported_where_nothing_can_be_written(name):
    done = subprocess.run(
        [sys.executable, '-c', f'import hlai_control.compiled.{name}'], text=True,
        env=os.environ | {'NUMBA_CACHE_DIR': '/dev/null/below'}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
