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

"""Plans as people look at them: trajectories, at 10 Hz at most, if somebody subscribes."""

from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Float
import numpy as np
from rclpy.publisher import Publisher
from torch import Tensor
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from hlai_control.graph import PLAN, PLANNED_COMMANDS, SENSITIVITY
from hlai_control.layout import Layout
from hlai_control.ros.qos import VIEW
from hlai_control.ros.signals import ns_to_stamp
from hlai_control.types import Plan

VIEW_PERIOD_NS = 100_000_000


class TrajectoryView:
    """
    One view of what is expected.

    :param publisher: of ``trajectory_msgs/JointTrajectory``.
    :param names: of the columns.
    """

    def __init__(self, publisher: Publisher, names: Sequence[str]) -> None:
        """Begin as if nothing had been shown yet."""
        self._publisher, self._names = publisher, list(names)
        self._shown_ns: int | None = None

    def wanted(self, stamp_ns: int) -> bool:
        """
        Say whether somebody looks, and the last one was shown long enough ago.

        :param stamp_ns: of the state that is planned from [ns].
        """
        if self._publisher.get_subscription_count() == 0:
            return False
        # Stamps that run backwards are those of another run.
        return self._shown_ns is None or not (
            0 <= stamp_ns - self._shown_ns < VIEW_PERIOD_NS)

    def show(self, stamp_ns: int, times_ns: Sequence[int],
             **columns: Float[np.ndarray, 'N n']) -> None:
        """
        Publish one trajectory.

        :param stamp_ns: of the state that is planned from [ns].
        :param times_ns: of each row, after the stamp [ns].
        :param columns: ``positions``, ``velocities`` or ``effort`` of a
            JointTrajectoryPoint, a row per time and a column per name.
        """
        self._shown_ns = stamp_ns
        message = JointTrajectory(joint_names=self._names)
        message.header.stamp = ns_to_stamp(stamp_ns)
        for row, time_ns in enumerate(times_ns):
            point = JointTrajectoryPoint(
                **{name: values[row].tolist() for name, values in columns.items()})
            point.time_from_start.sec, point.time_from_start.nanosec = divmod(
                int(time_ns), 1_000_000_000)
            message.points.append(point)
        self._publisher.publish(message)


class PlanViews:
    """
    The views of a plan: predicted states, planned commands, and what the energy is sensitive to.

    :param speak: creates a publisher, as ``ManagedNode.speak`` does.
    :param layout: names the columns.
    :param step_ns: length of a planning step [ns].
    :param delay_ns: from a measurement to the effect of its command [ns].
    """

    def __init__(self, speak: Callable[[Any, str, Any], Publisher], layout: Layout,
                 step_ns: int, delay_ns: int) -> None:
        """Create the publishers."""
        self._count, self._step_ns, self._delay_ns = len(layout.positions), step_ns, delay_ns
        self._states, self._commands, self._sensitivity = (
            TrajectoryView(speak(JointTrajectory, topic, VIEW), names)
            for topic, names in ((PLAN, layout.positions), (PLANNED_COMMANDS, layout.actions),
                                 (SENSITIVITY, layout.states)))

    def show(self, stamp_ns: int, plan: Plan,
             sensitivity: Callable[[], Tensor | None]) -> None:
        """
        Publish what somebody looks at.

        :param stamp_ns: of the state that the plan answers [ns].
        :param sensitivity: computes that view; asked only if somebody looks at it.
        """
        count = self._count
        times_ns = [self._delay_ns + t * self._step_ns for t in range(len(plan.states))]
        if self._states.wanted(stamp_ns):
            states = plan.states.double().cpu().numpy()
            self._states.show(stamp_ns, times_ns, positions=states[:, :count],
                              velocities=states[:, count:])
        if self._commands.wanted(stamp_ns):
            self._commands.show(stamp_ns, times_ns[:-1],
                                effort=plan.actions.double().cpu().numpy())
        if self._sensitivity.wanted(stamp_ns) and (found := sensitivity()) is not None:
            self._sensitivity.show(stamp_ns, times_ns, effort=found.double().cpu().numpy())
