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
Sequences of service calls without blocking and without threads.

A script is a generator: each ``yield`` gives the loop one turn. Every call
is bounded in time and retried a bounded number of times.
"""

from collections.abc import Callable, Generator, Iterable
import time
from typing import Any

from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

from hlai_control.errors import GraphError

Script = Generator[None, None, Any]


class Caller:
    """
    Makes bounded service calls for one node.

    :param node: the node that owns the clients.
    :param timeout_s: bound of one call [s].
    :param attempts: tries of one call.
    :param start_timeout_s: bound for the server to appear [s].
    """

    def __init__(self, node: Node, timeout_s: float, attempts: int,
                 start_timeout_s: float) -> None:
        """Begin without clients."""
        self._node = node
        self._timeout_s, self._attempts = timeout_s, attempts
        self._start_timeout_s = start_timeout_s
        self._clients: dict[str, Client] = {}

    def call(self, kind: Any, service: str, request: Any,
             again_s: float | None = None) -> Script:
        """
        Call a service; ``yield from`` gives the response.

        The middleware may lose an answer while two processes are still
        getting to know each other. Whichever answer comes first counts, also
        a late one.

        :param again_s: ask again so soon, for what may well be done twice;
            None: after the bound of one call.
        :raises GraphError: naming the service, if it does not appear or does
            not answer in time.
        """
        if service not in self._clients:
            self._clients[service] = self._node.create_client(kind, service)
        client = self._clients[service]
        yield from wait_for(client.service_is_ready, self._start_timeout_s,
                            f'{service} did not appear; is its process alive?')
        deadline_s = time.monotonic() + self._attempts * self._timeout_s
        asked: list[Future] = []
        try:
            while (now_s := time.monotonic()) < deadline_s:
                asked.append(client.call_async(request))
                next_s = min(now_s + (again_s or self._timeout_s), deadline_s)
                while time.monotonic() < next_s:
                    for future in asked:
                        if future.done():
                            return future.result()
                    yield
        finally:
            for future in asked:
                client.remove_pending_request(future)
        raise GraphError(f'{service} did not answer {self._attempts} calls of '
                         f'{self._timeout_s:g} s; see the log of its node')


def wait_for(condition: Callable[[], bool], timeout_s: float, complaint: str) -> Script:
    """
    Wait until a condition holds.

    :raises GraphError: with the complaint, after ``timeout_s``.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise GraphError(f'{complaint} (waited {timeout_s:g} s)')
        yield


def pause(seconds: float) -> Script:
    """Let some time pass."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        yield


def either(*scripts: Script) -> Script:
    """Run scripts side by side until one has ended, and return its result; it ends the others."""
    try:
        while True:
            for script in scripts:
                try:
                    next(script)
                except StopIteration as end:
                    return end.value
            yield
    finally:
        for script in scripts:
            script.close()


def together(scripts: Iterable[Script]) -> Script:
    """Run scripts side by side until all have ended; the first error ends them all."""
    running = list(scripts)
    while running:
        for script in tuple(running):
            try:
                next(script)
            except StopIteration:
                running.remove(script)
        if running:
            yield
