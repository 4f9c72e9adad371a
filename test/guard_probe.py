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


"""A guard's process, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import subprocess
import sys

DOMAIN = 60 + os.getpid() % 30
WAIT_S = 20.0


@contextmanager
def guard(run_dir: Path, robot: Path | str = 'cartpole') -> Iterator[subprocess.Popen[bytes]]:
    """Start a guard that arms itself, and leave none behind."""
    with running('-m', 'hlai_control.robots.guard_node', '--ros-args', '-p', f'robot:={robot}',
                 '-p', f'run_dir:={run_dir}', '-p', 'armed_at_start:=true', '-p',
                 'mode:=realtime') as process:
        yield process


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a Python process on the test's domain, and leave none behind."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=dict(os.environ, ROS_DOMAIN_ID=str(DOMAIN), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST'))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(WAIT_S)
