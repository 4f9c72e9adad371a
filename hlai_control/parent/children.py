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
Probes in processes of their own: what they find out, within a bound of time.

What may kill or spoil the process that looks (an RMW implementation that does
not load ends it, torch takes seconds, a priority once lowered stays so) is
looked at in a child, which writes one JSON object a line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import json
import re
import subprocess
import sys
import textwrap
import time
from typing import Any

from hlai_control.parent.processes import die_with_parent

# Characters of a complaint that are shown at most.
LINE = 120
# Severity, time and logger, as ROS writes them before a message.
_LOG_HEAD = re.compile(r'^(\[[^]]*\] *)+: ')


@dataclass(frozen=True)
class Reply:
    """
    What a probe told.

    :param status: its exit status; None: it was ended, for it took too long.
    :param facts: everything that it wrote on its standard output.
    :param complaint: the last line of its standard error, or why it was ended.
    """

    status: int | None
    facts: dict[str, Any]
    complaint: str


class Child:
    """
    One running probe; as a context it is ended on the way out.

    :param command: arguments of this Python, ``-m module ...``.
    :param environment: its environment variables.
    """

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        """Start it, away from the terminal's Ctrl-C: its parent ends it, or its parent's end."""
        self._process = subprocess.Popen(
            [sys.executable, *command], env=dict(environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors='replace',
            start_new_session=True, preexec_fn=die_with_parent)

    def __enter__(self) -> 'Child':
        """Begin the context."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whatever happened."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def reply(self, timeout_s: float) -> Reply:
        """Wait for its end, at most so long."""
        try:
            out, err = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, err = self._process.communicate()
            return Reply(None, _facts(out), f'no answer within {timeout_s:g} s')
        lines = [line for line in err.splitlines() if line.strip()]
        last = _LOG_HEAD.sub('', lines[-1]) if lines else ''
        return Reply(self._process.returncode, _facts(out), textwrap.shorten(last, LINE))


def ask(command: tuple[str, ...], environment: Mapping[str, str], timeout_s: float) -> Reply:
    """
    Run one probe to its end.

    :param command: arguments of this Python.
    :param environment: its environment variables.
    :param timeout_s: bound after which it is killed [s].
    """
    began_s = time.monotonic()
    with Child(command, environment) as child:
        reply = child.reply(timeout_s)
    return Reply(reply.status, reply.facts | {'wall_s': time.monotonic() - began_s},
                 reply.complaint)


def _facts(text: str) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue  # what a library had to say
        if isinstance(value, dict):
            facts |= value
    return facts
