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

"""The actor's node: where it plans is settled when it configures itself, and told."""

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.parameter import Parameter
from ros_bench import bench
import torch

from hlai_control.actor.node import ActorNode
from hlai_control.ros.diagnostics import ERROR
from hlai_control.ros.qos import DIAGNOSTICS


def test_a_gpu_that_is_not_here_is_refused_by_configure_and_the_cpu_is_not(monkeypatch):
    # Also where this test runs beside a GPU.
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with bench() as stand:
        statuses = []
        stand.node('other').create_subscription(
            DiagnosticArray, '/diagnostics', lambda m: statuses.append(m.status[0]), DIAGNOSTICS)
        actor = stand.add(ActorNode())

        def configure(device: str) -> bool:
            refused, = actor.set_parameters([Parameter('planner.device', value=device)])
            assert refused.successful
            return stand.call(ChangeState, 'actor/change_state', transition=Transition(
                id=Transition.TRANSITION_CONFIGURE)).success

        assert not configure('cuda')
        stand.until(lambda: any(status.level == ERROR and 'sees no GPU' in status.message
                                for status in statuses), 'the reason')
        assert not actor.set_parameters([Parameter('planner.device', value='tpu')])[0].successful
        assert configure('auto')
        stand.until(lambda: any(value.key == 'device' and value.value == 'cpu'
                                for status in statuses for value in status.values), 'the device')
