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
The processes of the graph: started, watched by waiting on them, brought back.

A process that dies is known from the operating system, never from
discovery: DDS remembers a killed publisher for many seconds.
"""

from collections.abc import Mapping, Sequence
import ctypes
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import yaml

from hlai_control.errors import UsageError
from hlai_control.graph import NodeSpec
from hlai_control.resources import share_directory

NAMESPACE = 'hlai'
GUARD = 'guard'
# The guard leaves last, and each has so long to obey a signal [s].
OBEY_S = 0.4
RESPAWN_BACKOFF_S = (0.0, 0.5, 2.0, 5.0)
_PR_SET_PDEATHSIG = 1
# Resolved here, since loading a library between fork and exec could deadlock.
_PRCTL = getattr(ctypes.CDLL(None), 'prctl', None)


@dataclass(frozen=True)
class Death:
    """
    One process that ended without being asked.

    :param name: the node.
    :param how: exit status or signal, for people.
    :param log: last lines of its log.
    """

    name: str
    how: str
    log: str


def environment(domain: int, base: Mapping[str, str]) -> dict[str, str]:
    """
    Return the environment of all processes of one graph.

    UDP over the loopback interface only: nothing leaves the machine, and no
    killed process leaves shared memory behind (docs/decisions/0004). The
    profile does that; the discovery range LOCALHOST would, in rmw_fastrtps,
    replace it by one with shared memory. One thread each: eight torch
    processes would oversubscribe the cores.

    :raises UsageError: if the profile is missing, for then the default would
        reach out to the network.
    """
    profile = share_directory() / 'config' / 'localhost_udp.xml'
    if not profile.is_file():
        raise UsageError(f'{profile} is missing; install hlai_control again')
    # The old switch would replace the profile's transport, and bring shared memory back.
    kept = {key: value for key, value in base.items() if key != 'ROS_LOCALHOST_ONLY'}
    return kept | {
        'ROS_DOMAIN_ID': str(domain), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET',
        'FASTRTPS_DEFAULT_PROFILES_FILE': str(profile),
        'FASTDDS_DEFAULT_PROFILES_FILE': str(profile), 'OMP_NUM_THREADS': '1',
        'RCUTILS_LOGGING_USE_STDOUT': '0', 'PYTHONUNBUFFERED': '1'}


class Processes:
    """
    All processes of one graph.

    :param specs: the nodes to run, in the order of start.
    :param parameters: ROS parameters that every node gets.
    :param folder: where logs and the parameter file go.
    :param domain: the ROS domain.
    """

    def __init__(self, specs: Sequence[NodeSpec], parameters: Mapping[str, object],
                 folder: Path, domain: int) -> None:
        """Write the parameter file; nothing is started yet."""
        self._specs = {spec.name: spec for spec in specs}
        self._environment = environment(domain, os.environ)
        self._logs = folder / 'logs'
        self._logs.mkdir(parents=True, exist_ok=True)
        self._parameters = folder / 'parameters.yaml'
        self._parameters.write_text(yaml.safe_dump(
            {'/**': {'ros__parameters': dict(parameters)}}, sort_keys=True))
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._deaths: dict[str, int] = {}
        self._due_s: dict[str, float] = {}

    def start(self) -> None:
        """Start all of them."""
        for name in self._specs:
            self._spawn(name)

    def pid(self, name: str) -> int:
        """Return the process id of a node, for those who want to harm it."""
        return self._running[name].pid

    def tend(self) -> tuple[Death, ...]:
        """
        Notice who died, and bring back whose time has come.

        :returns: those that died since the last call.
        """
        deaths = []
        for name, process in tuple(self._running.items()):
            status = process.poll()
            if status is None:
                continue
            del self._running[name]
            count = self._deaths[name] = self._deaths.get(name, 0) + 1
            backoff_s = RESPAWN_BACKOFF_S[min(count, len(RESPAWN_BACKOFF_S)) - 1]
            self._due_s[name] = time.monotonic() + backoff_s
            deaths.append(Death(name, _how(status), self.log_tail(name)))
        for name, due_s in tuple(self._due_s.items()):
            if time.monotonic() >= due_s:
                del self._due_s[name]
                self._spawn(name)
        return tuple(deaths)

    def deaths(self) -> dict[str, int]:
        """Return how often each node died."""
        return dict(self._deaths)

    def log_tail(self, name: str, lines: int = 8) -> str:
        """Return the end of a node's log."""
        try:
            text = (self._logs / f'{name}.log').read_text(errors='replace')
        except OSError:
            return ''
        return '\n'.join(text.splitlines()[-lines:])

    def stop(self) -> None:
        """End all, the guard last; SIGTERM, SIGTERM again, then SIGKILL."""
        self._due_s.clear()
        others = [name for name in self._running if name != GUARD]
        self._end(others)
        self._end([GUARD] if GUARD in self._running else [])

    def _end(self, names: Sequence[str]) -> None:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            alive = [name for name in names if self._running[name].poll() is None]
            for name in alive:
                # A stopped process obeys nothing but SIGKILL until it may go on.
                self._running[name].send_signal(number)
                self._running[name].send_signal(signal.SIGCONT)
            deadline_s = time.monotonic() + OBEY_S
            while (any(self._running[name].poll() is None for name in alive)
                   and time.monotonic() < deadline_s):
                time.sleep(0.01)
        for name in names:
            self._running.pop(name).wait()

    def _spawn(self, name: str) -> None:
        command = [sys.executable, '-m', self._specs[name].module, '--ros-args',
                   '-r', f'__ns:=/{NAMESPACE}', '--params-file', str(self._parameters)]
        with open(self._logs / f'{name}.log', 'ab') as log:
            self._running[name] = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=die_with_parent)


def _how(status: int) -> str:
    """Say how a process ended."""
    if status >= 0:
        return f'status {status}'
    try:
        return f'signal {signal.Signals(-status).name}'
    except ValueError:  # most real-time signals have no name
        return f'signal {-status}'


def die_with_parent() -> None:
    """Ask Linux for SIGTERM if the parent is killed; elsewhere nothing happens."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)
