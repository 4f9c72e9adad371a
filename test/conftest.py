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

"""
What all tests share: shapes are checked, torch has one thread.

The jaxtyping annotations of the pure packages become checks here, and only
here: in a run they cost nothing. ``test/ros`` calls ament's linters, so it is
collected where a full ROS install has them, that is by ``colcon test``.
"""

from importlib.util import find_spec
import os

from jaxtyping import install_import_hook
import pytest
import torch

CHECKED = ('perception', 'world_model', 'cost', 'critic', 'actor', 'learning', 'engine')

install_import_hook([f'hlai_control.{name}' for name in CHECKED], 'beartype.beartype')
torch.set_num_threads(1)
os.environ.setdefault('OMP_NUM_THREADS', '1')  # for processes that tests start

# Files whose tests start nodes and processes, or look at the clock.
ALONE = (
    'actor_node', 'diagnostics', 'doctor', 'domain', 'functions', 'graph_faults', 'graph_lockstep',
    'graph_resume', 'guard_node', 'hardware_up', 'launch', 'learner_node', 'lifecycle', 'loop',
    'managers', 'parameters', 'peers', 'process', 'processes', 'robot_node', 'scripts',
    'setup_venv', 'trajectory_robot', 'up')

collect_ignore = [] if find_spec('ament_flake8') else ['ros']


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what nothing may run beside; the rest is run two files at a time."""
    for item in items:
        if item.path.stem.removeprefix('test_') in ALONE:
            item.add_marker(pytest.mark.alone)
