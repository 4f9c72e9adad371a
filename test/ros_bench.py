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

"""rclpy in the test's own process: an own domain, bounded waits, nothing left behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
import time
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from hlai_control.parent.processes import environment

WAIT_S = 20.0
DOMAIN = 150 + os.getpid() % 80


class Bench:
    """Serves the nodes of one test."""

    def __init__(self) -> None:
        """Begin without nodes."""
        self._executor = SingleThreadedExecutor()
        self._nodes: list[Node] = []

    def add(self, node: Any) -> Any:
        """Serve a node, and destroy it in the end."""
        self._executor.add_node(node)
        self._nodes.append(node)
        return node

    def node(self, name: str, *arguments: str) -> Any:
        """Make a plain node with arguments; it has the counter that every worker has."""
        made = self.add(Node(name, cli_args=['--ros-args', *arguments]))
        made.handled = 0
        return made

    def until(self, condition: Callable[[], Any], what: str, wait_s: float = WAIT_S) -> None:
        """Serve until a condition holds; fail with ``what`` after a bounded wait."""
        deadline_s = time.monotonic() + wait_s
        while not condition():
            assert time.monotonic() < deadline_s, f'no {what} in {wait_s} s'
            self._executor.spin_once(timeout_sec=0.02)

    def call(self, kind: Any, service: str, **request: Any) -> Any:
        """Call a service of a node on the bench."""
        caller = self._nodes[0]
        client = caller.create_client(kind, service)
        self.until(client.service_is_ready, f'service {service}')
        future = client.call_async(kind.Request(**request))
        self.until(future.done, f'answer of {service}')
        caller.destroy_client(client)
        return future.result()

    def suspend(self, node: Node) -> None:
        """Serve a node no more, as if its process hung."""
        self._executor.remove_node(node)

    def resume(self, node: Node) -> None:
        """Serve it again."""
        self._executor.add_node(node)

    def remove(self, node: Node) -> None:
        """Destroy a node before the end."""
        self._executor.remove_node(node)
        self._nodes.remove(node)
        node.destroy_node()

    def close(self) -> None:
        """Destroy everything."""
        for node in list(self._nodes):
            self.remove(node)
        self._executor.shutdown()


@contextmanager
def bench() -> Iterator[Bench]:
    """Start rclpy, and shut it down."""
    before = dict(os.environ)
    os.environ.update(environment(DOMAIN, {}))
    rclpy.init(args=[], domain_id=DOMAIN, signal_handler_options=SignalHandlerOptions.NO)
    made = Bench()
    try:
        yield made
    finally:
        made.close()
        rclpy.try_shutdown()
        os.environ.clear()
        os.environ.update(before)
