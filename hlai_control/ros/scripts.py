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

    def call(self, kind: Any, service: str, request: Any) -> Script:
        """
        Call a service; ``yield from`` gives the response.

        :raises GraphError: naming the service, if it does not appear or does
            not answer in time.
        """
        if service not in self._clients:
            self._clients[service] = self._node.create_client(kind, service)
        client = self._clients[service]
        yield from wait_for(client.service_is_ready, self._start_timeout_s,
                            f'{service} did not appear; is its process alive?')
        for _ in range(self._attempts):
            future = client.call_async(request)
            deadline_s = time.monotonic() + self._timeout_s
            while not future.done() and time.monotonic() < deadline_s:
                yield
            if future.done():
                return future.result()
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
