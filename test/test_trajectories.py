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

"""Plans as trajectories on the wire: only if somebody looks, and not too often."""

import numpy as np
import pytest
from ros_bench import bench
import torch
from toys import CARTPOLE
from trajectory_msgs.msg import JointTrajectory

from hlai_control.graph import PLAN, PLANNED_COMMANDS, SENSITIVITY
from hlai_control.ros.qos import VIEW
from hlai_control.ros.trajectories import PlanViews
from hlai_control.types import Plan

STEP_NS, DELAY_NS = 250_000_000, 50_000_000
PLANNED = Plan(actions=torch.tensor([[1.0], [2.0]]), states=torch.arange(12.0).view(3, 4),
               energy=1.0, anticipated=0.0, iterations=1, rejected=0)


@pytest.fixture
def stand():
    with bench() as made:
        yield made


def test_what_is_planned_arrives_with_names_and_times(stand):
    speaker, listener = stand.node('speaker'), stand.node('listener')
    views = PlanViews(lambda kind, topic, qos: speaker.create_publisher(kind, topic, qos),
                      CARTPOLE, STEP_NS, DELAY_NS)
    asked = []

    def sensitivity():
        asked.append(1)
        return torch.full((3, 4), 7.0)

    views.show(0, PLANNED, sensitivity)
    assert not asked, 'nobody looks, nothing is computed'
    got = {}
    for topic in (PLAN, PLANNED_COMMANDS, SENSITIVITY):
        listener.create_subscription(
            JointTrajectory, topic,
            lambda message, topic=topic: got.setdefault(topic, []).append(message), VIEW)
    stand.until(lambda: all(speaker.count_subscribers(topic) for topic in (
        PLAN, PLANNED_COMMANDS, SENSITIVITY)), 'joined')
    stamps = (10 ** 9, 10 ** 9 + 50_000_000, 10 ** 9 + 99_999_999, 10 ** 9 + 100_000_000)
    for stamp_ns in stamps:
        views.show(stamp_ns, PLANNED, sensitivity)
    stand.until(lambda: len(got) == 3 and all(len(messages) == 2 for messages in got.values()),
                'two of each')
    assert len(asked) == 2  # 10 Hz at most
    first = got[PLAN][0]
    assert tuple(first.joint_names) == CARTPOLE.positions and first.header.stamp.sec == 1
    assert [point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec
            for point in first.points] == pytest.approx([0.05, 0.3, 0.55])
    assert np.array_equal(first.points[1].positions, [4.0, 5.0])
    assert np.array_equal(first.points[1].velocities, [6.0, 7.0])
    commands = got[PLANNED_COMMANDS][0]
    assert tuple(commands.joint_names) == CARTPOLE.actions
    assert [point.effort[0] for point in commands.points] == [1.0, 2.0]
    assert tuple(got[SENSITIVITY][0].joint_names) == CARTPOLE.states
    assert all(point.effort.tolist() == [7.0] * 4 for point in got[SENSITIVITY][0].points)
    views.show(0, PLANNED, sensitivity)  # another run: time begins anew
    stand.until(lambda: len(got[PLAN]) == 3, 'one more')
