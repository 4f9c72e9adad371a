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

"""What ``hlai doctor`` asks of the machine: Python, torch, processor, clock, disk."""

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError
import os
from pathlib import Path
import shutil
import sys
import time

from hlai_control.compiled.folder import folder, places, VARIABLE
from hlai_control.parent.children import ask, Reply
from hlai_control.parent.findings import fail, Finding, ok, warn

PYTHONS = ((3, 11), (3, 13))
# torch is slow to import on a loaded machine with a cold disk.
TORCH_BOUND_S = 90.0
PROBE_BOUND_S = 20.0
TORCH_LEAST = (2, 6)
# Below, even the demo's small networks do not fit a tick.
GFLOPS_LEAST = 5.0
CORES_LEAST = 2
SLEEP_S, SLEEPS = 0.005, 40
LATE_S = 0.005
DISK_FAIL_B, DISK_WARN_B = 100_000_000, 1_000_000_000
PROBES = ('-m', 'hlai_control.parent.probes')


def python_finding(version: tuple[int, ...], environment: Mapping[str, str]) -> Finding:
    """Check the version of Python, and say where it lives."""
    least, greatest = PYTHONS
    text = '.'.join(map(str, version[:3]))
    if not least <= version[:2] <= greatest:
        return fail('python', f'{text}, {sys.executable}',
                    'use Python 3.11, 3.12 or 3.13: make setup finds one, or takes '
                    'HLAI_PYTHON=/path/to/python')
    places = ['venv'] if sys.prefix != sys.base_prefix else ['no venv']
    if 'ROS_DISTRO' in environment:
        places.append(f'ROS {environment["ROS_DISTRO"]} sourced')
    return ok('python', f'{text}, {", ".join(places)}, {sys.prefix}')


def torch_finding(reply: Reply) -> Finding:
    """
    Judge torch.

    :param reply: of the torch probe.
    """
    facts = reply.facts
    if reply.status != 0 or 'gflops' not in facts:
        return fail('torch', reply.complaint or f'the probe ended with {reply.status}',
                    'make setup installs the pinned version; a killed probe means too little '
                    'memory')
    version = str(facts['torch'])
    found = (f'{version}, imported in {facts["import_s"]:.1f} s, {facts["threads"]} threads '
             f'by default, {facts["gflops"]:.0f} GFLOP/s on one')
    if tuple(int(part) for part in version.split('.')[:2]) < TORCH_LEAST:
        return fail('torch', found, 'make setup installs the pinned version; needed: 2.6')
    if facts['product'] != 256.0:
        return fail('torch', f'{found}; a product of ones is wrong: {facts["product"]}',
                    'install torch again (make clean, make setup), or test the memory')
    if facts['gflops'] < GFLOPS_LEAST:
        return warn('torch', found, 'slow: end other programs, or slow the robot down, '
                                    'real_time_factor:=0.5')
    return ok('torch', found)


def cuda_finding(reply: Reply, has_driver: bool) -> Finding:
    """
    Judge what torch has of a GPU; nothing in this version needs one.

    :param reply: of the torch probe.
    :param has_driver: whether NVIDIA's driver is there.
    """
    facts = reply.facts
    if facts.get('cuda'):
        return ok('cuda', f'{facts["cuda_build"]}: {", ".join(facts["gpus"])}')
    if not has_driver:
        return ok('cuda', 'none; the graph computes on the CPU',
                  'nothing to do; for a GPU, install the NVIDIA driver, then run doctor again')
    if facts.get('cuda_build'):
        return warn('cuda', f'torch is built for CUDA {facts["cuda_build"]}, but sees no GPU',
                    'see what nvidia-smi says; the driver may be too old for this build')
    return warn('cuda', 'there is an NVIDIA driver, but torch is a CPU build',
                'make clean, then HLAI_TORCH_INDEX=default make setup; the graph runs without')


def has_nvidia_driver() -> bool:
    """Tell whether NVIDIA's driver is there."""
    return Path('/proc/driver/nvidia/version').exists() or shutil.which('nvidia-smi') is not None


def processor_finding(cores: float, load: float) -> Finding:
    """
    Judge what the machine can compute at once.

    :param cores: that this process may use.
    :param load: average number of processes that wanted one, in the last minute.
    """
    found = f'{cores:g} usable cores, load {load:.1f}'
    if cores < CORES_LEAST:
        return warn('processor', found, 'real time is meant for two cores: give the container '
                                        'more, or use mode:=lockstep or real_time_factor:=0.5')
    if load > cores:
        return warn('processor', found, 'end other programs, or expect missed deadlines')
    return ok('processor', found)


def usable_cores() -> float:
    """Count the cores that affinity and, in a container, its quota allow."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path('/sys/fs/cgroup/cpu.max').read_text().split()
        return min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        return cores  # no such file, or no quota ("max")


def check_clock() -> Finding:
    """Sleep a few times, and see how late the steady clock says it was."""
    late_s = []
    for _ in range(SLEEPS):
        before_s = time.monotonic()
        time.sleep(SLEEP_S)
        late_s.append(time.monotonic() - before_s - SLEEP_S)
    ordered = sorted(late_s)
    usual_s, ninth_s = ordered[SLEEPS // 2], ordered[SLEEPS * 9 // 10]
    found = (f'a sleep ends {usual_s * 1e3:.2f} ms late, one in ten '
             f'{ninth_s * 1e3:.2f} ms or more')
    if ninth_s > LATE_S:
        return warn('clock', found, 'end other programs; a virtual machine needs cores of its '
                                    'own; or slow the robot down, real_time_factor:=0.5')
    return ok('clock', found)


def check_priorities(environment: Mapping[str, str]) -> Finding:
    """Try both priorities in a process of its own."""
    facts = ask((*PROBES, 'priorities'), environment, PROBE_BOUND_S).facts
    reached = facts.get('raised')
    raised = (f'{reached} for the control path' if reached
              else 'the control path may not be raised')
    if not facts.get('idle'):
        return warn('priorities', f'SCHED_IDLE refused ({facts.get("reason", "no answer")}), '
                                  f'{raised}',
                    'learners will compete with the actor: allow sched_setscheduler '
                    '(in a container, its seccomp profile)')
    return ok('priorities', f'SCHED_IDLE for learners, {raised}',
              '' if reached == 'SCHED_RR' else 'for fast loops, 100 Hz say: a line '
              '"USER - rtprio 40" in /etc/security/limits.conf, then log in again')


def disk_finding(folder: Path, free_bytes: int, writable: bool) -> Finding:
    """
    Judge where runs are kept.

    :param folder: the present one.
    :param free_bytes: on its disk.
    :param writable: whether this user may write there.
    """
    found = f'{free_bytes / 1e9:.1f} GB free in {folder}'
    if free_bytes < DISK_FAIL_B:
        return fail('disk', found, 'free some, or keep runs elsewhere: run_dir:=/path')
    if not writable:
        return warn('disk', f'{found}, not writable', 'keep runs elsewhere: run_dir:=/path')
    if free_bytes < DISK_WARN_B:
        return warn('disk', found, 'free some: delete old folders in runs/')
    return ok('disk', found)


def check_compiled(environment: Mapping[str, str]) -> Finding:
    """Look for numba, and for a folder in which it may keep what it compiles."""
    try:
        place = folder(environment)
    except PackageNotFoundError:
        return fail('numba', 'not installed', 'make setup installs the pinned version; elsewhere '
                                              'pip install numba')
    if place is None:
        tried = ', '.join(str(one.parent) for one in places(environment))
        return warn('numba', f'nothing can be kept in {tried}',
                    f'every start compiles for half a minute: set {VARIABLE} to a folder that '
                    'you may write')
    if not any(place.rglob('*.nbi')):
        return ok('numba', f'nothing compiled in {place} yet',
                  'the first start compiles for half a minute; python -m hlai_control.compiled '
                  'does it now')
    return ok('numba', f'compiled loops in {place}')


def check_machine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Look at everything but ROS."""
    yield python_finding(sys.version_info[:3], environment)
    reply = ask((*PROBES, 'torch'), environment, TORCH_BOUND_S)
    yield torch_finding(reply)
    yield cuda_finding(reply, has_nvidia_driver())
    yield check_compiled(environment)
    yield processor_finding(usable_cores(), os.getloadavg()[0])
    yield check_clock()
    yield check_priorities(environment)
    here = Path.cwd()
    yield disk_finding(here, shutil.disk_usage(here).free, os.access(here, os.W_OK))
