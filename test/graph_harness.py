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

"""Real graphs for the tests: all processes, an own domain, and a window on the wire."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
import time

from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from hlai_control.graph import APPLIED, NODES, NodeSpec
from hlai_control.parent.graph_run import GraphRun, started
from hlai_control.robots.guard_node import REASON
from hlai_control.ros.qos import CONTROL, learner
from hlai_control.ros.signals import stamp_to_ns

HARDWARE = 'effort_controller/commands'


@dataclass
class Wire:
    """What went over the hardware topics, with the steady clock at arrival."""

    applied: list[tuple[int, tuple[float, ...]]] = field(default_factory=list)
    commands: list[tuple[float, tuple[float, ...]]] = field(default_factory=list)

    def listen(self, run: GraphRun) -> None:
        """Record applied and hardware commands from now on."""
        def on_applied(message: JointState) -> None:
            if REASON in message.name:  # the guard's own, not what a test sent
                self.applied.append((stamp_to_ns(message.header.stamp), tuple(message.position)))

        def on_command(message: Float64MultiArray) -> None:
            self.commands.append((time.monotonic(), tuple(message.data)))

        run.observer.create_subscription(JointState, APPLIED, on_applied, learner(100.0))
        run.observer.create_subscription(Float64MultiArray, HARDWARE, on_command, CONTROL)


@contextmanager
def graph(folder: Path, mode: str, specs: tuple[NodeSpec, ...] = NODES,
          **values: object) -> Iterator[tuple[GraphRun, Wire]]:
    """Start a graph of the cart-pole, and stop all of it afterwards."""
    parameters = {'robot': 'cartpole', 'task': 'swingup', 'mode': mode, 'armed_at_start': True,
                  **values}
    wire = Wire()
    with started(parameters, folder, None, specs) as run:
        wire.listen(run)
        yield run, wire


def look_until(run: GraphRun, condition, timeout_s: float, what: str) -> None:
    """Serve the graph until the condition holds; fail with the phase if it never does."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        run.observer.look(0.02)
        run.processes.tend()
        assert time.monotonic() < deadline_s, (
            f'{what}: not within {timeout_s} s; phase {run.observer.phase}: '
            f'{run.observer.reason}; deaths {run.processes.deaths()}')


def lockstep_run(run: GraphRun, wire: Wire, seed: int, ticks: int) -> list:
    """Make one lockstep run and return the applied commands of its first ticks."""
    wire.applied.clear()
    run.observer.begin({'seed': seed})
    run.observer.wait_for_phase('running', 90.0)
    look_until(run, lambda: len(wire.applied) >= ticks, 60.0, f'{ticks} ticks')
    run.observer.end_within(30.0)
    return wire.applied[:ticks]
