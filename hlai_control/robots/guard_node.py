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
The guard node: the only publisher of hardware commands.

Small, torch-free, its own process, not managed by anybody. It activates
itself, sends the safe command in every state in which it knows nothing
better, and sends it first on SIGINT or SIGTERM. Its clock is the steady one.
In lockstep there is no wall time: it answers each command once, after the
measurement that the command answers.
"""

from collections import deque
from math import ceil
from pathlib import Path
import sys
import time
from typing import TypeVar

import numpy as np
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from hlai_control.errors import SignalError
from hlai_control.graph import APPLIED, COMMAND
from hlai_control.readings import StampGate
from hlai_control.robots.arming import Answer, Arming
from hlai_control.robots.guard import Candidate, Decision, Guard, Measured, Situation
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.reasons import Reason
from hlai_control.ros.diagnostics import Diagnostics
from hlai_control.ros.freshness import Freshness
from hlai_control.ros.guard_log import GuardLog
from hlai_control.ros.joint_states import JointReader
from hlai_control.ros.odometry import hear_robot
from hlai_control.ros.parameters import declare, declare_run, read, read_run
from hlai_control.ros.peers import Peers
from hlai_control.ros.process import raise_priority
from hlai_control.ros.process import run as run_node
from hlai_control.ros.qos import CONTROL, learner, SENSOR
from hlai_control.ros.signals import from_message, Signal, stamp_to_ns, to_message
from hlai_control.ros.wire import Hardware
from hlai_control.settings import GuardSettings

WATCH_PERIOD_S = 0.02
# Among real-time processes: before everybody, for it keeps the robot safe.
RANK = 40
REASON = 'reason'
STOP_MARK = 'emergency_stop'
Response = TypeVar('Response', Trigger.Response, SetBool.Response)
# Measurements that arrive later than this are no news of the robot [s].
STALE_S = 0.15
FUTURE_TICKS = 1.5


class GuardNode(Node):
    """Arbitrates between the actor and the hardware."""

    def __init__(self) -> None:
        """Join the graph and begin with the safe command."""
        super().__init__('guard')
        declare_run(self)
        declare(self, [GuardSettings])
        self.declare_parameter('armed_at_start', False)
        self.handled = 0
        self._run = read_run(self)
        self._manifest = load_robot(self._run.robot)
        self._layout = self._manifest.layout
        self._apply(())
        self.add_post_set_parameters_callback(self._apply)
        self._names = self._layout.actions + (REASON,)
        self._arming = Arming(
            Path(self._run.run_dir) / STOP_MARK if self._run.run_dir else None,
            time.monotonic(), bool(self.get_parameter('armed_at_start').value))
        self.diagnostics = Diagnostics(self, 'Guard')
        self._log = GuardLog(self, self.diagnostics)
        self._log.begin(self._manifest, self._run.simulation)
        self._forget()
        self._join()
        self.diagnostics.fact('priority', 'lockstep' if self._run.lockstep
                              else raise_priority(RANK))

    def _forget(self) -> None:
        """Forget measurement and command, but neither arming nor e-stop."""
        self._gate, self._command_gate = StampGate(), StampGate()
        self._reader = JointReader(self._manifest)
        self._freshness = Freshness(STALE_S, self._run.real_time_factor)
        self._measured: Measured | None = None
        self._candidate: Candidate | None = None
        self._measured_at_s = self._commanded_at_s = self._decided_at_s = time.monotonic()
        self._sent: tuple[float, ...] | None = None
        self._recent = deque[tuple[float, ...]](maxlen=self._guard.memory * max(
            1, ceil(self._manifest.period_s / WATCH_PERIOD_S)))
        self._answered_ns: int | None = None

    def _join(self) -> None:
        self.peers = Peers(self, self.diagnostics)
        rate_hz = 1.0 / self._layout.period_s
        self._hardware = Hardware(self, self.peers, self._manifest)
        self._applied = self.peers.speak(JointState, APPLIED, learner(rate_hz))
        hear_robot(self.peers.listen, self._manifest, self._on_joint_states,
                   learner(rate_hz) if self._run.lockstep else SENSOR)
        self.peers.listen(JointState, COMMAND, self._on_command, CONTROL)
        self.create_service(Trigger, '~/estop', self._on_estop)
        self.create_service(Trigger, '~/release', self._on_release)
        self.create_service(SetBool, '~/enable', self._on_enable)
        self.create_service(Trigger, '~/reset', self._on_reset)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._join_timer = self.create_timer(0.05, self._report_peers, clock=steady)
        self.create_timer(1.0, self.diagnostics.publish, clock=steady)
        if not self._run.lockstep:
            self.create_timer(WATCH_PERIOD_S, self._watch, clock=steady)

    # What is heard.

    def _on_joint_states(self, message: JointState) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        values = self._reader.read(message)
        if values is None:
            return
        count = len(self._manifest.coordinates)
        if not self._run.lockstep:
            self._freshness.check(stamp_ns, time.monotonic())
        self._gate.check(stamp_ns)
        if not self._run.lockstep:
            self._account_for_held()
        self._measured = Measured(stamp_ns, values[:count].tolist(), values[count:].tolist())
        self._measured_at_s = time.monotonic()
        if self._run.lockstep:
            self._answer_lockstep()

    def _on_command(self, message: JointState) -> None:
        signal = from_message(message, self._layout.actions)
        # Topics are not ordered among each other: one tick ahead of the measurement is in order.
        if (self._measured is not None and signal.stamp_ns
                > self._measured.stamp_ns + FUTURE_TICKS * self._manifest.period_ns):
            raise SignalError('future stamp')
        self._command_gate.check(signal.stamp_ns)
        self._candidate = Candidate(signal.stamp_ns, tuple(signal.values.tolist()))
        self._commanded_at_s = time.monotonic()
        if self._run.lockstep:
            self._answer_lockstep()
        else:
            self._decide_and_send()

    def _answer_lockstep(self) -> None:
        """Answer as soon as command and measurement of one stamp are both here."""
        if (self._measured is not None and self._candidate is not None
                and self._candidate.stamp_ns == self._measured.stamp_ns):
            self._decide_and_send()

    def _watch(self) -> None:
        """Send the safe command whenever the newest command may no longer count."""
        if self._decision().reason.is_safe_command:
            self._decide_and_send()

    # What is sent.

    def _decision(self) -> Decision:
        now_s = time.monotonic()
        # Ages count in the robot's time: a slowed simulator is not a silent one.
        lockstep, rate = self._run.lockstep, self._run.real_time_factor
        return self._guard.decide(Situation(
            candidate=self._candidate, measured=self._measured,
            command_age_s=0.0 if lockstep else rate * (now_s - self._commanded_at_s),
            measurement_age_s=0.0 if lockstep else rate * (now_s - self._measured_at_s),
            elapsed_s=self._elapsed_s(now_s),
            armed_s=self._armed_s(now_s),
            estop=self._arming.stopped, recent=tuple(self._recent)), self._sent)

    def _elapsed_s(self, now_s: float) -> float:
        """Return the time since the last decision."""
        return (self._layout.period_s if self._run.lockstep
                else self._run.real_time_factor * (now_s - self._decided_at_s))

    def _armed_s(self, now_s: float) -> float | None:
        """Return the time since arming; in lockstep, which has no time, it is long ago."""
        armed_s = self._arming.armed_s(now_s)
        return float('inf') if self._run.lockstep and armed_s is not None else armed_s

    def _decide_and_send(self) -> None:
        decision, now_s = self._decision(), time.monotonic()
        elapsed_s, self._decided_at_s = self._elapsed_s(now_s), now_s
        self._log.note(decision.reason)
        if decision.values is None:
            return
        self._sent = decision.values
        self._recent.append(decision.values)
        self._hardware.tell(decision.values, self._measured.position if self._measured else (),
                            elapsed_s)
        if self._measured is not None:
            self._tell_applied(self._measured.stamp_ns, decision.reason)

    def _tell_applied(self, stamp_ns: int, reason: Reason) -> None:
        assert self._sent is not None
        values = np.array(self._sent + (float(reason),))
        self._applied.publish(to_message(Signal(stamp_ns, self._names, values)))
        self._answered_ns = stamp_ns

    def _account_for_held(self) -> None:
        """Tell the learners of a tick that got no command: the controller held the last one."""
        if (self._measured is not None and self._sent is not None
                and self._answered_ns != self._measured.stamp_ns):
            self._tell_applied(self._measured.stamp_ns, Reason.SILENT)

    def _report_peers(self) -> None:
        missing = '; '.join(self.peers.missing())
        if self.diagnostics.fact('missing', missing):
            self.diagnostics.publish()
        if not missing:
            self._join_timer.cancel()  # asking discovery is no work for the control path

    # Parameters and services.

    def _apply(self, _changed: object) -> None:
        """Take the settings, valid by now: authority may be raised while the robot moves."""
        self._guard = Guard(self._manifest, read(self, GuardSettings))

    def _on_estop(self, _request: Trigger.Request,
                  response: Trigger.Response) -> Trigger.Response:
        answer = self._arming.stop()
        if not self._run.lockstep:  # there it answers the next tick: each tick has one answer
            self._decide_and_send()
        return _told(response, answer)

    def _on_release(self, _request: Trigger.Request,
                    response: Trigger.Response) -> Trigger.Response:
        return _told(response, self._arming.release())

    def _on_enable(self, request: SetBool.Request,
                   response: SetBool.Response) -> SetBool.Response:
        return _told(response, self._arming.enable(request.data, time.monotonic()))

    def _on_reset(self, _request: Trigger.Request,
                  response: Trigger.Response) -> Trigger.Response:
        self._forget()
        response.success, response.message = True, 'measurement and command forgotten'
        return response

    # The loop.

    def work(self) -> bool:
        """Do nothing beside the callbacks: they are the guard's whole work."""
        return False

    def close(self) -> None:
        """Send the safe command before leaving."""
        self._arming.disarm()
        self._decide_and_send()


def _told(response: Response, answer: Answer) -> Response:
    response.success, response.message = answer.done, answer.said
    return response


def main() -> int:
    """Run the guard node."""
    return run_node(GuardNode)


if __name__ == '__main__':
    sys.exit(main())
