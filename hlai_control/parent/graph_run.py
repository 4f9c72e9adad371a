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

"""One graph as the command line sees it: its processes, its domain, and a window on it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path

from hlai_control.errors import GraphError, UsageError
from hlai_control.graph import NODES, NodeSpec
from hlai_control.parent.domain import DomainLock
from hlai_control.parent.processes import environment, NAMESPACE, Processes
from hlai_control.ros.observer import make_observer, Observer

END_TIMEOUT_S = 1.2


@dataclass(frozen=True)
class GraphRun:
    """
    A started graph.

    :param processes: of all nodes.
    :param observer: sees and asks.
    :param domain: its ROS domain.
    """

    processes: Processes
    observer: Observer
    domain: int


@contextmanager
def started(parameters: Mapping[str, object], folder: Path, domain: int | None,
            specs: tuple[NodeSpec, ...] = NODES) -> Iterator[GraphRun]:
    """
    Start a graph, and stop all of it on the way out, whatever happened.

    :param parameters: ROS parameters of every node.
    :param folder: for logs.
    :param domain: the ROS domain, None for a free one.
    :raises GraphError: if the domain is in use.
    """
    lock = DomainLock(domain)
    os.environ.update(environment(lock.domain, os.environ))
    processes = Processes(specs, parameters, folder, lock.domain)
    observer = make_observer(f'/{NAMESPACE}')
    try:
        processes.start()
        yield GraphRun(processes, observer, lock.domain)
    finally:
        _take_down(observer)
        processes.stop()
        observer.close()
        lock.release()


def fresh_folder(path: Path) -> Path:
    """
    Make the folder of a new run.

    :raises UsageError: if there is a run in it already, or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        used = any(path.iterdir())
    except OSError as error:
        raise UsageError(f'run_dir:={path} cannot be used: {error.strerror}; '
                         'choose another') from None
    if used:
        raise UsageError(f'run_dir:={path} is not empty; choose another, or delete it')
    return path.resolve()


def _take_down(observer: Observer) -> None:
    """Let the configurator end the run in order, if it can do so in time."""
    observer.between = lambda: None  # what interrupted the run does not interrupt its end
    if observer.phase not in ('running', 'starting'):
        return
    try:
        observer.end_within(END_TIMEOUT_S)
    except GraphError:
        # The processes are ended all the same, the guard last.
        return
