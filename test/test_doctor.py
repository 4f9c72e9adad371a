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

"""``hlai doctor``: what is broken is found, named, and comes with its remedy."""

import fcntl
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import pytest
from sources import ROOT

from hlai_control.compiled.folder import ours
from hlai_control.parent.checks_machine import (
    check_compiled,
    cuda_finding,
    disk_finding,
    processor_finding,
    python_finding,
    torch_finding,
)
from hlai_control.parent.checks_ros import (
    check_discovery,
    check_rmw,
    check_settings,
    culprit,
    domain_finding,
    MESSAGES,
    port,
)
from hlai_control.parent.children import ask, Reply
from hlai_control.parent.doctor import conclusion, examine
from hlai_control.parent.domain import DomainLock
from hlai_control.parent.findings import exit_status, fail, Level, ok, warn
from hlai_control.parent.shared_memory import segments, shared_memory

DOCTOR = [sys.executable, '-m', 'hlai_control.cli', 'doctor']
TORCH = {'torch': '2.13.0+cpu', 'import_s': 1.0, 'threads': 2, 'gflops': 50.0, 'product': 256.0,
         'cuda': False, 'cuda_build': None, 'gpus': []}


def run_doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DOCTOR, *arguments], env=os.environ | variables, text=True,
                          capture_output=True, timeout=55, check=False)


def line_of(output: str, check: str) -> str:
    return next(line for line in output.splitlines() if line.split()[1:2] == [check])


@pytest.fixture
def domain():
    lock = DomainLock(None)
    yield lock.domain
    lock.release()


def test_where_the_tests_run_nothing_fails_and_each_warning_has_its_remedy() -> None:
    findings = list(examine())
    assert exit_status(findings) == 0, findings
    names = [item.check for item in findings]
    assert len(set(names)) == len(names)
    assert {'python', 'torch', 'cuda', 'numba', 'ros', 'rmw', 'discovery', 'shared memory',
            'clock', 'priorities', 'disk', 'domain'} <= set(names)
    assert all(item.remedy for item in findings if item.level is not Level.OK)
    assert all(item.found and '\n' not in item.found + item.remedy for item in findings)


def test_an_rmw_that_does_not_exist_fails_with_the_variable_to_unset() -> None:
    done = run_doctor(RMW_IMPLEMENTATION='rmw_nonsense')
    assert done.returncode == 1, done.stdout + done.stderr
    row = line_of(done.stdout, 'rmw')
    assert row.startswith('FAIL') and 'unset RMW_IMPLEMENTATION' in row
    assert 'rmw, discovery' in done.stdout.splitlines()[-1]


def test_compiled_code_that_cannot_be_kept_is_named_with_the_variable_to_set(
        tmp_path: Path) -> None:
    file = tmp_path / 'file'
    file.touch()
    found = check_compiled({'NUMBA_CACHE_DIR': str(file / 'below')})
    assert found.level is Level.WARN and str(file) in found.found
    assert 'NUMBA_CACHE_DIR' in found.remedy
    found = check_compiled({'NUMBA_CACHE_DIR': str(tmp_path)})
    assert found.level is Level.OK and 'python -m hlai_control.compiled' in found.remedy
    kept = tmp_path / ours() / 'compiled_of_some_folder'
    kept.mkdir()
    (kept / 'one.py311.nbi').touch()
    found = check_compiled({'NUMBA_CACHE_DIR': str(tmp_path)})
    assert found.level is Level.OK and not found.remedy and str(kept.parent) in found.found


def test_arguments_are_refused() -> None:
    done = run_doctor('robot:=cartpole')
    assert done.returncode != 0 and 'takes no arguments' in done.stderr


def children_of(pid: int) -> list[int]:
    return [int(word) for word in
            Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


def until(condition, bound_s: float = 20.0) -> None:
    end_s = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_its_probes(number: signal.Signals) -> None:
    process = subprocess.Popen(DOCTOR, stdout=subprocess.PIPE, text=True)
    until(lambda: children_of(process.pid))
    probes = children_of(process.pid)
    process.send_signal(number)
    out, _ = process.communicate(timeout=5)
    assert process.returncode == 130 and 'Ctrl-C' in out
    until(lambda: not any(Path(f'/proc/{pid}').exists() for pid in probes))


def test_security_that_is_not_compiled_in_is_named(domain: int) -> None:
    wrong = dict(os.environ) | {'ROS_SECURITY_ENABLE': 'true',
                                'ROS_SECURITY_STRATEGY': 'Enforce'}
    found = check_rmw(wrong, domain)
    assert found.level is Level.FAIL and 'unset ROS_SECURITY_ENABLE' in found.remedy


def test_two_processes_that_cannot_meet_are_found_out(domain: int) -> None:
    # Nothing listens where the discovery server should be.
    wrong = dict(os.environ) | {'ROS_DISCOVERY_SERVER': '127.0.0.1:11811'}
    found = check_discovery(wrong, domain, bound_s=3.0)
    assert found.level is Level.FAIL and 'unset ROS_DISCOVERY_SERVER' in found.remedy


def test_what_would_bring_shared_memory_back_is_kept_out(domain: int) -> None:
    """ROS_LOCALHOST_ONLY would make rmw_fastrtps replace the profile's transport by its own."""
    for outside in ({}, {'ROS_LOCALHOST_ONLY': '1'}):
        found = check_discovery(dict(os.environ) | outside, domain)
        assert found.level is Level.OK and 'UDP only' in found.found


def test_the_culprit_is_the_one_without_which_it_works() -> None:
    base = {'ROS_STATIC_PEERS': 'x', 'RMW_IMPLEMENTATION': 'y', 'HOME': '/'}
    assert culprit(base, lambda rest: 'ROS_STATIC_PEERS' not in rest) == 'ROS_STATIC_PEERS'
    assert culprit(base, lambda rest: False) is None
    assert culprit({'HOME': '/'}, lambda rest: True) is None


def test_settings_from_outside_are_named() -> None:
    assert check_settings({'HOME': '/'}).level is Level.OK
    found = check_settings({'ROS_STATIC_PEERS': '10.0.0.1'})
    assert found.level is Level.WARN and 'ROS_STATIC_PEERS' in found.found


def test_a_probe_that_hangs_is_ended_at_its_bound() -> None:
    script = 'import json, time; print(json.dumps({"a": 1}), flush=True); time.sleep(60)'
    began_s = time.monotonic()
    reply = ask(('-c', script), os.environ, 1.5)
    assert reply.status is None and '1.5 s' in reply.complaint
    assert time.monotonic() - began_s < 10.0
    # What it told before is not lost.
    assert reply.facts['a'] == 1


def test_a_probe_is_believed_line_by_line() -> None:
    script = ('import sys; print("noise"); print("[1, 2]"); print("{\\"a\\": 1}")\n'
              'sys.exit("[ERROR] [1.0] [rcl]: it broke")')
    reply = ask(('-c', script), os.environ, 20.0)
    assert (reply.status, reply.complaint) == (1, 'it broke')
    assert {key: value for key, value in reply.facts.items() if key != 'wall_s'} == {'a': 1}


@pytest.mark.parametrize('version, level', [
    ((3, 10, 12), Level.FAIL), ((3, 11, 0), Level.OK), ((3, 13, 9), Level.OK),
    ((3, 14, 0), Level.FAIL)])
def test_python_versions(version: tuple[int, ...], level: Level) -> None:
    found = python_finding(version, {})
    assert found.level is level and '.'.join(map(str, version)) in found.found


@pytest.mark.parametrize('changes, level', [
    ({}, Level.OK), ({'torch': '2.5.1'}, Level.FAIL), ({'product': 255.0}, Level.FAIL),
    ({'product': float('nan')}, Level.FAIL), ({'gflops': 1.0}, Level.WARN)])
def test_torch_is_judged_by_what_it_computes(changes: dict[str, object], level: Level) -> None:
    assert torch_finding(Reply(0, TORCH | changes, '')).level is level


def test_torch_that_cannot_be_imported_fails_with_its_complaint() -> None:
    found = torch_finding(Reply(1, {}, "No module named 'torch'"))
    assert found.level is Level.FAIL and 'torch' in found.found and 'make setup' in found.remedy


@pytest.mark.parametrize('facts, driver, level', [
    ({}, False, Level.OK), ({}, True, Level.WARN),
    ({'cuda_build': '12.8'}, False, Level.OK), ({'cuda_build': '12.8'}, True, Level.WARN),
    ({'cuda_build': '12.8', 'cuda': True, 'gpus': ['H200']}, True, Level.OK)])
def test_a_gpu_is_never_needed_but_an_unused_one_is_told(facts: dict[str, object], driver: bool,
                                                         level: Level) -> None:
    assert cuda_finding(Reply(0, TORCH | facts, ''), driver).level is level


def test_processor_and_disk_have_their_bounds() -> None:
    assert processor_finding(2.0, 1.9).level is Level.OK
    assert processor_finding(1.5, 0.0).level is Level.WARN
    assert processor_finding(2.0, 2.1).level is Level.WARN
    assert disk_finding(Path('/'), 2 * 10 ** 9, True).level is Level.OK
    assert disk_finding(Path('/'), 2 * 10 ** 9, False).level is Level.WARN
    assert disk_finding(Path('/'), 5 * 10 ** 8, True).level is Level.WARN
    assert disk_finding(Path('/'), 5 * 10 ** 7, True).level is Level.FAIL


def test_a_domain_and_its_ports() -> None:
    # 7400 + 250 * 70 = 24900, and 249 more; 7400 + 250 * 99 = 32150.
    assert (port(70), port(99)) == (24900, 32150)
    found = domain_finding(70, '', 32768)
    assert found.level is Level.OK and '24900 to 25149' in found.found
    assert domain_finding(70, '', 25149).level is Level.WARN
    assert domain_finding(70, '', None).level is Level.OK
    assert domain_finding(None, 'all are in use', 32768).level is Level.FAIL


def test_segments_of_the_dead_are_told_from_those_of_the_living(tmp_path: Path) -> None:
    for name in ('fastrtps_a', 'fastrtps_b', 'fastrtps_port7411', 'sem.fastrtps_port7411_mutex'):
        (tmp_path / name).write_bytes(b'x')
        (tmp_path / f'{name}_el').touch()
    with open(tmp_path / 'fastrtps_b_el') as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = segments(tmp_path)
        assert [path.name for path in found.living] == ['fastrtps_b']
        assert [path.name for path in found.stale] == ['fastrtps_a', 'fastrtps_port7411']
        assert shared_memory(tmp_path, 10 ** 9).level is Level.WARN
        # Asking takes nothing away from the owner.
        with open(tmp_path / 'fastrtps_b_el') as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_an_empty_shared_memory_is_well(tmp_path: Path) -> None:
    assert shared_memory(tmp_path, 10 ** 9).level is Level.OK
    assert shared_memory(tmp_path, 10 ** 7).level is Level.WARN


def test_the_message_packages_are_those_of_package_xml() -> None:
    declared = {item.text for item in ElementTree.parse(ROOT / 'package.xml').iter('exec_depend')}
    kinds = ('_msgs', '_srvs', '_interfaces')
    assert set(MESSAGES) == {name for name in declared if name and name.endswith(kinds)}


def test_only_a_failure_makes_the_exit_status() -> None:
    assert exit_status([]) == 0
    assert exit_status([ok('a', 'b'), warn('c', 'd', 'e')]) == 0
    assert exit_status([ok('a', 'b'), fail('disk', 'd', 'e'), warn('c', 'd', 'e')]) == 1
    assert conclusion([ok('a', 'b'), fail('disk', 'd', 'e')]).plain.endswith('disk')
