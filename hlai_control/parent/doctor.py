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
``hlai doctor``: looks at everything a run needs, and says what to do about it.

What it finds is found out by doing it: torch multiplies, two processes meet
in a ROS domain of their own. Every wait is bounded.
"""

from collections.abc import Iterator, Mapping, Sequence
import os
import shutil
import signal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hlai_control.errors import GraphError, UsageError
from hlai_control.parent import checks_ros
from hlai_control.parent.checks_machine import check_machine
from hlai_control.parent.domain import DomainLock, LAST
from hlai_control.parent.findings import exit_status, fail, Finding, Level
from hlai_control.parent.shared_memory import PLACE, shared_memory

INTERRUPTED = 130
STYLES = {Level.OK: 'green', Level.WARN: 'yellow', Level.FAIL: 'bold red'}
# Where nobody looks at a terminal, lines are for grep: they should not wrap.
PLAIN_WIDTH = 320


def doctor(arguments: Sequence[str]) -> int:
    """
    Run ``hlai doctor``.

    :param arguments: none.
    :returns: 0 if nothing failed, 1 if something did, 130 after Ctrl-C.
    :raises UsageError: if there are arguments.
    """
    if arguments:
        raise UsageError(f'hlai doctor takes no arguments; got {" ".join(arguments)}')
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # so that the probes are ended
    findings: list[Finding] = []
    try:
        with console.status('looking at this machine; a few seconds'):
            findings.extend(examine())
    except KeyboardInterrupt:
        console.print('ended by Ctrl-C')
        return INTERRUPTED
    console.print(table(findings), conclusion(findings))
    return exit_status(findings)


def examine() -> Iterator[Finding]:
    """Make every check, in the order in which one thing needs the other."""
    variables = dict(os.environ)
    yield from check_machine(variables)
    yield checks_ros.check_ros(variables)
    yield checks_ros.check_messages()
    yield from examine_graph(variables)
    if PLACE.is_dir():
        yield shared_memory(PLACE, shutil.disk_usage(PLACE).free)


def examine_graph(variables: Mapping[str, str]) -> Iterator[Finding]:
    """
    Check what needs nodes, in the environment that ``hlai up`` gives to its own.

    :param variables: environment variables of the caller.
    """
    lock, reason = None, ''
    try:
        lock = DomainLock(None)
    except GraphError as error:
        reason = str(error)
    # Without a domain of its own, the last one serves: the probes' topics are their own.
    domain = LAST if lock is None else lock.domain
    try:
        yield checks_ros.check_rmw(variables, domain)
        yield checks_ros.check_settings(variables)
        yield checks_ros.check_discovery(variables, domain)
    except UsageError as error:
        yield fail('data', str(error), 'make setup, or install the package again')
    finally:
        if lock is not None:
            lock.release()
    yield checks_ros.domain_finding(None if lock is None else domain, reason,
                                    checks_ros.first_ephemeral_port())


def table(findings: Sequence[Finding]) -> Table:
    """Lay the findings out, one a line."""
    made = Table(show_edge=False, pad_edge=False, box=None)
    for heading in ('', 'check', 'found', 'what to do'):
        made.add_column(heading, style=None, overflow='fold')
    for item in findings:
        made.add_row(Text(item.level.value, style=STYLES[item.level]), item.check,
                     Text(item.found), Text(item.remedy))
    return made


def conclusion(findings: Sequence[Finding]) -> Text:
    """Say in one sentence how it stands."""
    failed = [item.check for item in findings if item.level is Level.FAIL]
    if failed:
        return Text(f'hlai up cannot run here before this is mended: {", ".join(failed)}')
    warned = [item.check for item in findings if item.level is Level.WARN]
    if warned:
        return Text(f'hlai up can run here; it may suffer from: {", ".join(warned)}')
    return Text('all is well: hlai up can run here')
