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

"""What a result was measured on, without paying for torch."""

from importlib import metadata
import os
import platform
import subprocess
import sys

from hlai_control.parent.machine import machine, PACKAGES, versions


def test_versions_are_those_that_are_installed():
    found = versions()
    assert found['python'] == platform.python_version()
    assert set(found) == {'python', *PACKAGES}
    for package in ('torch', 'numpy', 'pybullet', 'rclpy', 'safetensors'):
        assert found[package] == metadata.version(package)


def test_the_machine_has_a_name_and_cores():
    found = machine()
    assert found['processor'] and found['cores'] >= found['usable_cores'] >= 1
    assert found['usable_cores'] == len(os.sched_getaffinity(0))


def test_no_torch_is_imported():
    code = ('import sys; from hlai_control.parent.machine import *; machine(); versions(); '
            'sys.exit(any(name in sys.modules for name in ("torch", "pybullet", "rclpy")))')
    assert subprocess.run([sys.executable, '-c', code], timeout=30).returncode == 0
