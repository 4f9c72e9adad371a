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

"""A learning node that was late makes up for the updates that it put off."""

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import numpy as np
from ros_bench import bench
from sensor_msgs.msg import JointState

from hlai_control.graph import APPLIED, STATE
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.learner import BEHIND_S
from hlai_control.ros.qos import learner
from hlai_control.ros.signals import Signal, to_message
from hlai_control.world_model.node import WorldModelNode

ROBOT = load_robot('cartpole')
LATE_TICKS = round(2.0 * BEHIND_S / ROBOT.period_s)


def test_updates_that_were_put_off_are_made_up_for():
    layout, draw = ROBOT.layout, np.random.default_rng(0)
    with bench() as stand:
        other = stand.node('other')
        states, applied = (other.create_publisher(
            JointState, topic, learner(1.0 / layout.period_s)) for topic in (STATE, APPLIED))
        node = stand.add(WorldModelNode())
        for step in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert stand.call(ChangeState, 'world_model/change_state',
                              transition=Transition(id=step)).success
        stand.until(lambda: all(one.get_subscription_count() for one in (states, applied)),
                    'listener')
        handled = node.handled
        for tick in range(1, LATE_TICKS + 1):
            stamp_ns = tick * ROBOT.period_ns
            states.publish(to_message(Signal(stamp_ns, layout.states, draw.normal(size=4))))
            applied.publish(to_message(Signal(stamp_ns, layout.actions, draw.normal(size=1))))
            stand.until(lambda tick=tick: node.handled >= handled + 2 * tick, f'state {tick}')
        while node.work():
            pass
        late = node.diagnostics.counts()['updates put off: too slow']
        assert node.transitions > LATE_TICKS // 2
        assert 0 < late < node.transitions * node.schedule.updates
        assert node.updates == node.transitions * node.schedule.updates
