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
The main loop of every node: one thread, ``spin_once`` and then work.

Own signal handlers instead of rclpy's, so that a node can still publish (the
guard: its safe command) after SIGINT or SIGTERM. Finite timeouts throughout:
the events executor of the wheels serves nothing without one.
"""

from collections.abc import Callable
import gc
import os
import signal
import sys
from typing import Protocol

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from hlai_control.errors import HlaiError

IDLE_WAIT_S = 0.1
# Callbacks taken in a row before a busy node does its next piece of work.
DRAIN_LIMIT = 100
# Of the control path, where the real-time class is not permitted.
NICE = -10


class Worker(Protocol):
    """What the loop needs of a node beside being one."""

    handled: int

    def work(self) -> bool:
        """Do one piece of work; true if there is more to do at once."""

    def close(self) -> None:
        """Leave safely; the node is destroyed right after."""


class StopRequest:
    """Remembers SIGINT and SIGTERM for the loop to see."""

    def __init__(self) -> None:
        """Install the handlers."""
        self.seen = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self.seen = True


def run(make: Callable[[], Node]) -> int:
    """
    Run one node until SIGINT or SIGTERM.

    :param make: builds the node, a :class:`Worker`; called after rclpy.init.
    :returns: the exit status, 0 after a stop on request, 1 on an HlaiError or
        an argument or parameter that ROS refuses.
    """
    stop = StopRequest()
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        sys.stderr.write(f'error: ROS does not understand the arguments: {error}\n')
        return 1
    try:
        node = make()
    except (HlaiError, ParameterException) as error:
        sys.stderr.write(f'error: {error}\n')
        rclpy.try_shutdown()
        return 1
    try:
        loop(node, stop)
    finally:
        node.close()  # type: ignore[attr-defined]
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def loop(node: Node, stop: StopRequest) -> None:
    """Drain callbacks, work, and wait only when there is nothing to do."""
    executor = EventsExecutor()
    executor.add_node(node)
    # Start-up garbage is permanent; collecting it again would cost ticks.
    gc.collect()
    gc.freeze()
    busy = False
    while not stop.seen and rclpy.ok():
        executor.spin_once(timeout_sec=0.0 if busy else IDLE_WAIT_S)
        for _ in range(DRAIN_LIMIT):
            before = node.handled  # type: ignore[attr-defined]
            executor.spin_once(timeout_sec=0.0)
            if node.handled == before:  # type: ignore[attr-defined]
                break
        busy = node.work()  # type: ignore[attr-defined]
    executor.remove_node(node)


def raise_priority(rank: int) -> str:
    """
    Put this process before others, where the system allows it.

    The first choice is the round-robin real-time class: a nice level only
    weighs shares of time, and who wakes up still waits for the slices of
    others (docs/decisions/0013). The kernel keeps a twentieth of the time for
    everybody else. Linux has a priority for each thread; those of the
    middleware carry every message, and must be raised as well.

    :param rank: 1 .. 99 within that class; the higher goes first.
    :returns: what was achieved, for the diagnostics.
    """
    threads = [int(thread) for thread in os.listdir('/proc/self/task')]
    try:
        for thread in threads:
            os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(rank))
        return f'SCHED_RR {rank}'
    except OSError:
        pass
    try:
        for thread in threads:
            os.setpriority(os.PRIO_PROCESS, thread, NICE)
    except OSError:
        return 'normal priority (raising it was not permitted)'
    return f'nice {NICE}'


def lower_priority() -> str:
    """
    Let this process run only when nobody else wants the core (SCHED_IDLE).

    :returns: what was achieved, for the diagnostics.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError as error:
        return f'normal priority ({error.strerror})'
    return 'SCHED_IDLE'
