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


"""What the guard tells people of its decisions: in its log, and in ``/diagnostics``."""

from rclpy.node import Node

from hlai_control.robots.hardware import without_guard
from hlai_control.robots.manifest import RobotManifest
from hlai_control.robots.reasons import Reason
from hlai_control.ros.diagnostics import Diagnostics, ERROR, OK, WARN

# Limiting may go on for long; it is told again after so long [s].
TOLD_EVERY_S = 5.0
MILD = (Reason.PASSED, Reason.CLAMPED, Reason.RATE_LIMITED)


class GuardLog:
    """
    Counts all, tells each halt when it begins and when it ends, and limiting now and then.

    :param node: whose log it is.
    :param diagnostics: where counts and the newest reason go.
    """

    def __init__(self, node: Node, diagnostics: Diagnostics) -> None:
        """Begin as if commands were passed on."""
        self._log, self._diagnostics = node.get_logger(), diagnostics
        self._last = Reason.PASSED

    def begin(self, manifest: RobotManifest, simulated: bool) -> None:
        """
        Say what happens when this process dies.

        :param manifest: the robot.
        :param simulated: whether it can hurt nobody.
        """
        controller, timeout_s = manifest.controller, manifest.command_timeout_s
        text = without_guard(controller, timeout_s)
        self._diagnostics.fact('without the guard', text)
        if not simulated and timeout_s is None and controller.kind != 'joint_trajectory':
            self._log.warning(f'if this process dies, {text}; give it a timeout and state it in '
                              'command_timeout_s, or use a joint_trajectory_controller')

    def note(self, reason: Reason) -> None:
        """Take the reason of one decision."""
        if reason is not Reason.PASSED:
            self._diagnostics.count(f'command: {reason.name.lower()}')
        level = OK if reason in MILD else WARN
        self._diagnostics.state(reason.sentence, ERROR if reason is Reason.ESTOP else level)
        if reason.is_safe_command:
            if reason is not self._last:
                self._log.warning(reason.sentence)
        elif self._last.is_safe_command:
            self._log.info('commands are passed on again')
        elif reason is not Reason.PASSED:
            self._log.info(reason.sentence, throttle_duration_sec=TOLD_EVERY_S)
        self._last = reason
