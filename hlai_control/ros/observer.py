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
A node that only watches and asks: the process parent's window on the graph.

It keeps what the screen and the summary show, and calls the configurator's
services. No torch, and no tick depends on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import json
import time

from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from hlai_control.errors import GraphError, SignalError
from hlai_control.graph import ANTICIPATED, STATE, SURPRISE, TERMS, TIMING
from hlai_control.ros.diagnostics import Diagnostics
from hlai_control.ros.managers import set_parameters, trigger
from hlai_control.ros.peers import Peers
from hlai_control.ros.qos import DIAGNOSTICS, LATCHED, learner
from hlai_control.ros.scripts import Caller, Script
from hlai_control.ros.signals import stamp_to_ns

RATE_HZ = 100.0
# Hours of latencies: more would only be the memory's burden.
LATENCIES_KEPT = 400_000


@dataclass
class Motion:
    """
    What has been seen of one run; all stamps in ns.

    :param first_ns: stamp of the first state.
    :param last_ns: stamp of the newest state.
    :param first_wall_s: steady clock at the first state.
    :param last_wall_s: steady clock at the newest state.
    :param solved_at_s: motion seconds at the start of the hold that solved it.
    :param latencies: (motion seconds, latency) per command [s].
    :param newest: newest values of each signal topic, by topic and name.
    """

    first_ns: int | None = None
    last_ns: int = 0
    first_wall_s: float = 0.0
    last_wall_s: float = 0.0
    solved_at_s: float | None = None
    latencies: list[tuple[float, float]] = field(default_factory=list)
    newest: dict[str, dict[str, float]] = field(default_factory=dict)
    states: int = 0
    first_command_wall_s: float | None = None

    @property
    def motion_s(self) -> float:
        """Seconds of motion so far."""
        return 0.0 if self.first_ns is None else (self.last_ns - self.first_ns) * 1e-9

    @property
    def wall_s(self) -> float:
        """Steady-clock seconds of motion so far."""
        return self.last_wall_s - self.first_wall_s


class Observer(Node):
    """Watches one graph."""

    def __init__(self, namespace: str) -> None:
        """Join everything worth watching."""
        super().__init__('observer', namespace=namespace)
        self.handled = 0
        self.motion = Motion()
        self.phase, self.runs, self.reason = 'starting', 0, 'waiting for the configurator'
        self.diagnostics: dict[str, tuple[str, dict[str, str]]] = {}
        own = Diagnostics(self, 'Observer')
        peers = Peers(self, own)
        qos = learner(RATE_HZ)
        peers.listen(JointState, STATE, self._on_state, qos)
        peers.listen(JointState, TERMS, self._on_terms, qos)
        peers.listen(JointState, TIMING, self._on_timing, qos)
        for topic in (SURPRISE, ANTICIPATED):
            peers.listen(JointState, topic, self._keep(topic), qos)
        peers.listen(String, 'configurator/status', self._on_status, LATCHED)
        peers.listen(DiagnosticArray, '/diagnostics', self._on_diagnostics, DIAGNOSTICS)
        self._caller = Caller(self, timeout_s=2.0, attempts=3, start_timeout_s=30.0)
        self._executor = EventsExecutor()
        self._executor.add_node(self)
        # Asked at every turn of a wait; may raise to end it.
        self.between: Callable[[], None] = _nothing

    def look(self, timeout_s: float) -> None:
        """Serve whatever arrives within ``timeout_s``."""
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0.0:
            self.between()
            self._executor.spin_once(timeout_sec=left_s)

    def ask(self, script: Script) -> None:
        """
        Run a script of service calls to its end.

        :raises GraphError: if a call fails.
        """
        for _ in script:
            self.between()
            self._executor.spin_once(timeout_sec=0.05)

    def begin(self, values: Mapping[str, object]) -> None:
        """Start a fresh run with other parameters."""
        self.motion = Motion()
        self.ask(set_parameters(self._caller, 'configurator', values))
        self.ask(trigger(self._caller, 'configurator/begin'))

    def end_within(self, timeout_s: float) -> None:
        """
        Ask for the way down, and wait for it.

        :raises GraphError: if it takes longer.
        """
        hurried = Caller(self, timeout_s=timeout_s, attempts=1, start_timeout_s=timeout_s)
        self.ask(trigger(hurried, 'configurator/end'))
        self.wait_for_phase('idle', timeout_s)

    def wait_for_phase(self, phase: str, timeout_s: float) -> None:
        """
        Wait until the configurator has reached a phase.

        :raises GraphError: if it fails, or takes too long.
        """
        deadline_s = time.monotonic() + timeout_s
        while self.phase != phase:
            self.look(0.02)
            if self.phase == 'failed':
                raise GraphError(self.reason)
            if time.monotonic() > deadline_s:
                raise GraphError(f'the graph is {self.phase} ({self.reason}) after '
                                 f'{timeout_s:g} s; expected: {phase}')

    def close(self) -> None:
        """Leave."""
        self._executor.remove_node(self)
        self.destroy_node()
        rclpy.try_shutdown()

    def _on_state(self, message: JointState) -> None:
        now_s, stamp_ns = time.monotonic(), stamp_to_ns(message.header.stamp)
        motion = self.motion
        if motion.first_ns is None:
            motion.first_ns, motion.first_wall_s = stamp_ns, now_s
        motion.last_ns, motion.last_wall_s = stamp_ns, now_s
        motion.states += 1
        motion.newest[STATE] = _values(message)

    def _on_terms(self, message: JointState) -> None:
        motion = self.motion
        values = motion.newest[TERMS] = _values(message, ('held_s', 'hold_s'))
        if motion.solved_at_s is None and values['held_s'] >= values['hold_s'] - 5e-7:
            end_s = (stamp_to_ns(message.header.stamp) - (motion.first_ns or 0)) * 1e-9
            motion.solved_at_s = round(end_s - values['held_s'], 6)

    def _on_timing(self, message: JointState) -> None:
        motion = self.motion
        values = motion.newest[TIMING] = _values(message, ('latency_s',))
        if motion.first_command_wall_s is None:
            motion.first_command_wall_s = time.monotonic()
        at_s = (stamp_to_ns(message.header.stamp) - (motion.first_ns or 0)) * 1e-9
        motion.latencies.append((at_s, values['latency_s']))
        if len(motion.latencies) > LATENCIES_KEPT:
            del motion.latencies[:LATENCIES_KEPT // 2]

    def _keep(self, topic: str):  # type: ignore[no-untyped-def]
        def keep(message: JointState) -> None:
            self.motion.newest[topic] = _values(message)

        return keep

    def _on_status(self, message: String) -> None:
        try:
            status = json.loads(message.data)
            phase, runs, reason = status['phase'], int(status['runs']), str(status['reason'])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise SignalError(f'not a status: {type(error).__name__}') from None
        self.phase, self.runs, self.reason = phase, runs, reason

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        prefix = self.get_namespace().rstrip('/') + '/'
        for status in message.status:
            node, _, _ = status.name.partition(':')
            if node.startswith(prefix):
                self.diagnostics[node.removeprefix(prefix)] = (
                    status.message, {item.key: item.value for item in status.values})


def _nothing() -> None:
    """Do nothing between the turns of a wait."""


def make_observer(namespace: str) -> Observer:
    """Start rclpy without its signal handlers, and watch a namespace."""
    # Our key:=value arguments are not ROS remappings.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    return Observer(namespace)


def _values(message: JointState, needed: tuple[str, ...] = ()) -> dict[str, float]:
    values = dict(zip(message.name, message.position, strict=False))
    for name in needed:
        if name not in values:
            raise SignalError(f'missing name {name}')
    return values
