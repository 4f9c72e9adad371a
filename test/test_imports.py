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

"""Dependencies point inwards: the pure code knows no ROS, simulator or clock."""

from pathlib import Path
import subprocess
import sys

import pytest
from sources import imports, module_name, PACKAGE, python_files, relative

PURE_ROOMS = ('perception', 'world_model', 'cost', 'critic', 'actor', 'learning', 'recordings',
              'settings', 'training')
PURE_FILES = ('engine', 'types', 'protocols', 'layout', 'errors', 'graph')
IMPURE = ('rclpy', 'pybullet', 'pybullet_data', 'time', 'random', 'datetime', 'threading',
          'multiprocessing', 'hlai_control.ros', 'hlai_control.robots.simulator')
TORCH_FREE_ROOMS = ('robots', 'configurator', 'parent', 'settings')
TORCH_FREE_FILES = ('cli', 'graph', 'layout', 'errors', 'documents', 'resources')
ROS_SUFFIXES = ('_msgs', '_interfaces', '_srvs')


def is_node(path: Path) -> bool:
    return path.name == 'node.py' or path.name.endswith('_node.py')


def knows_ros(path: Path) -> bool:
    tops = {name.split('.')[0] for name in imports(path)}
    return any(top == 'rclpy' or top.endswith(ROS_SUFFIXES) for top in tops)


def pure_files() -> list[Path]:
    rooms = [path for room in PURE_ROOMS for path in python_files(PACKAGE / room)]
    singles = [PACKAGE / f'{name}.py' for name in PURE_FILES]
    return [path for path in rooms + singles if not is_node(path)]


def torch_free_modules() -> list[str]:
    rooms = [path for room in TORCH_FREE_ROOMS for path in python_files(PACKAGE / room)]
    singles = [path for path in python_files(PACKAGE)
               if path.parent == PACKAGE and path.stem in TORCH_FREE_FILES]
    return [module_name(path) for path in rooms + singles]


@pytest.mark.parametrize('path', pure_files(), ids=relative)
def test_pure_code_is_pure(path: Path) -> None:
    found = {name for name in imports(path) for bad in IMPURE
             if name == bad or name.startswith(f'{bad}.')}
    assert found == set() and not knows_ros(path), f'{relative(path)} imports {found or "ROS"}'


def test_only_nodes_and_the_ros_room_know_ros() -> None:
    wrong = [relative(path) for path in python_files(PACKAGE)
             if knows_ros(path) and not is_node(path) and path.parent != PACKAGE / 'ros']
    assert wrong == []


def test_nothing_but_a_process_starts_a_node() -> None:
    wrong = [f'{relative(path)} imports {name}' for path in python_files(PACKAGE)
             for name in sorted(imports(path))
             if name.startswith('hlai_control.') and name.endswith(('.node', '_node'))]
    assert wrong == []


def bringing(modules: list[str], unwanted: str) -> str:
    """Import modules in one fresh process; name the first that brings the unwanted in."""
    script = ('import importlib, sys\n'
              'unwanted, *modules = sys.argv[1:]\n'
              'for name in modules:\n'
              '    importlib.import_module(name)\n'
              '    if unwanted in sys.modules:\n'
              '        sys.exit(f"{name} imports {unwanted}")\n')
    done = subprocess.run([sys.executable, '-c', script, unwanted, *modules],
                          capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ''


def test_a_module_that_brings_it_in_is_named() -> None:
    assert bringing(['errno', 'wave', 'this'], 'wave') == 'wave imports wave\n'


def test_what_must_start_fast_imports_no_torch() -> None:
    assert bringing(torch_free_modules(), 'torch') == ''


@pytest.mark.parametrize('unwanted', ['rclpy', 'pybullet'])
def test_pure_code_works_without(unwanted: str) -> None:
    assert bringing([module_name(path) for path in pure_files()], unwanted) == ''
