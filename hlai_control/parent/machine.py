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

"""What a result was measured on: processor, cores, versions; no torch is imported."""

from collections.abc import Sequence
from datetime import datetime, UTC
from importlib import metadata
import os
from pathlib import Path
import platform
import time

PACKAGES = ('hlai_control', 'torch', 'numpy', 'pybullet', 'rclpy', 'safetensors')


def machine() -> dict[str, object]:
    """Return what is worth knowing about this machine."""
    return {'processor': _processor(), 'cores': os.cpu_count(),
            'usable_cores': len(os.sched_getaffinity(0)), 'architecture': platform.machine(),
            'system': f'{platform.system()} {platform.release()}'}


def versions(others: Sequence[str] = ()) -> dict[str, str]:
    """
    Return the versions that a result depends on.

    :param others: distributions beside the usual ones.
    """
    found = {'python': platform.python_version()}
    for package in (*PACKAGES, *others):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = 'not installed'
    return found


def facts(others: Sequence[str] = ()) -> dict[str, object]:
    """
    Return what stands beside every result: when, where, with what.

    :param others: distributions beside the usual ones.
    """
    return {'date': datetime.now(UTC).date().isoformat(), 'machine': machine(),
            'versions': versions(others)}


def process_age_s() -> float:
    """Return how long ago this process began, interpreter and imports included [s]."""
    try:
        # Field 22 of stat(5) is the start in clock ticks since boot; the name may hold spaces.
        fields = Path('/proc/self/stat').read_text().rpartition(')')[2].split()
        uptime_s = float(Path('/proc/uptime').read_text().split()[0])
        return uptime_s - int(fields[19]) / os.sysconf('SC_CLK_TCK')
    except (OSError, ValueError, IndexError):
        return time.process_time()


def _processor() -> str:
    try:
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or 'unknown'
