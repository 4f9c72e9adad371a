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


"""What became of the constraints: by hand, over gaps, and as the cost node reports it."""

import numpy as np
import pytest
from rclpy.parameter import Parameter
from ros_bench import bench
from sensor_msgs.msg import JointState
from toys import CARTPOLE

from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.constraints import TaskConstraints
from hlai_control.cost.kept import Kept
from hlai_control.cost.node import CostNode
from hlai_control.graph import APPLIED, STATE, TERMS
from hlai_control.learning.pairing import Joined
from hlai_control.resources import task_path
from hlai_control.ros.qos import learner
from hlai_control.ros.signals import Signal, to_message

# 1 m of rail to each side; 100 N/s are 5 N in a period of 0.05 s; a push of at most 8 N.
SPECS = (ConstraintSpec('rail', 'limit', ('cart.x',), low=-1.0, high=1.0),
         ConstraintSpec('slew', 'rate', ('cart.force',), limit=100.0),
         ConstraintSpec('push', 'limit', ('cart.force',), high=8.0),
         ConstraintSpec('post', 'keep_out', ('cart.x',), centre=(2.0,), radius=0.5))
TASK = """
constraints:
  - {name: rail, kind: limit, coordinate: cart.x, low: -1.0, high: 1.0}
  - {name: slew, kind: rate, coordinate: cart.force, limit: 100.0}
"""


def step(tick, action, x, before=0.0):
    states = [np.array([one, 0.0, 0.0, 0.0]) for one in (before, x)]
    return Joined(tick, tick * 50_000_000, states[0], np.array([action]), states[1])


def test_values_by_hand_each_in_its_own_unit():
    kept = Kept(TaskConstraints(CARTPOLE, SPECS), 1e-3)
    kept.measure(step(4, 2.0, 0.9))
    found = kept.measure(step(5, 9.0, 1.75, before=0.9))
    assert dict(zip(found.names, found.violations, strict=True)) == pytest.approx({
        'rail.low': -2.75, 'rail.high': 0.75,
        'slew.low': -240.0, 'slew.high': 40.0,  # 7 N in 0.05 s are 140 N/s
        'push.high': 1.0, 'post': 0.25}, rel=1e-5)
    assert found.missed == ('rail.high', 'slew.high', 'push.high', 'post')


def test_what_is_tolerated_is_measured_but_not_missed():
    kept = Kept(TaskConstraints(CARTPOLE, SPECS), 1e-3)
    within, beyond = (kept.measure(step(k, 0.0, x)) for k, x in ((1, 1.0009), (2, 1.0011)))
    assert within.missed == () and beyond.missed == ('rail.high',)
    assert within.violations[1] == pytest.approx(0.0009)


def test_a_change_from_an_unknown_command_is_left_out():
    kept = Kept(TaskConstraints(CARTPOLE, SPECS), 0.0)
    known = ('rail.low', 'rail.high', 'slew.low', 'slew.high', 'push.high', 'post')
    assert kept.measure(step(1, -9.0, 0.0)).names == ('rail.low', 'rail.high', 'push.high', 'post')
    assert kept.measure(step(2, 0.0, 0.0)).names == known
    after_a_gap = kept.measure(step(4, 9.0, 0.0))
    assert 'slew.high' not in after_a_gap.names and after_a_gap.missed == ('push.high',)
    assert kept.measure(step(5, 9.0, 0.0)).names == known
    kept.restart()
    assert 'slew.high' not in kept.measure(step(6, 9.0, 0.0)).names


def test_without_constraints_there_is_nothing_to_say_and_nan_is_always_missed():
    none = Kept(None, 1e-3).measure(step(1, 9.0, 9.0))
    assert none.names == () and none.missed == () and len(none.violations) == 0
    kept = Kept(TaskConstraints(CARTPOLE, SPECS), 1e-3)
    kept.measure(step(1, 0.0, 0.0))
    assert {'rail.low', 'rail.high', 'post'} <= set(kept.measure(step(2, 0.0, np.nan)).missed)


def test_the_cost_node_reports_what_really_happened_by_name(tmp_path):
    task = tmp_path / 'narrow.yaml'
    task.write_text(task_path('swingup').read_text() + TASK)
    with bench() as stand:
        driver, node, got = stand.node('driver'), stand.add(CostNode()), {}
        node.set_parameters([Parameter('task', value=str(task)),
                             Parameter('mode', value='lockstep')])
        qos = learner(20.0)
        state, applied = (driver.create_publisher(JointState, topic, qos)
                          for topic in (STATE, APPLIED))
        driver.create_subscription(JointState, TERMS, lambda message: got.setdefault(
            message.header.stamp.nanosec // 50_000_000,
            dict(zip(message.name, message.position, strict=True))), qos)
        node.trigger_configure()
        node.trigger_activate()
        stand.until(lambda: state.get_subscription_count() and applied.get_subscription_count()
                    and driver.count_publishers(TERMS), 'joined')
        for tick, (x, force) in enumerate([(0.0, 0.0), (0.5, 4.0), (1.25, 10.0), (1.1, 10.0)]):
            state.publish(to_message(Signal(tick * 50_000_000, CARTPOLE.states,
                                            np.array([x, 0.0, 0.0, 0.0]))))
            applied.publish(to_message(Signal(tick * 50_000_000, CARTPOLE.actions,
                                              np.array([force]))))
        stand.until(lambda: len(got) == 3, 'terms of three steps')
        counts = node.diagnostics.counts()
    names = [f'{one}/violation' for one in ('rail.low', 'rail.high', 'slew.low', 'slew.high')]
    assert 'slew.high/violation' not in got[1]  # what was sent before is not known
    assert {'total', 'held_s', 'hold_s', *names} < set(got[2])
    assert [got[k]['rail.high/violation'] for k in (1, 2, 3)] == pytest.approx([-0.5, 0.25, 0.1])
    late = CARTPOLE.delay_ticks
    sent = [0.0] * late + [0.0, 4.0, 10.0]  # in effect during the steps
    assert [got[k]['slew.high/violation'] for k in (2, 3)] == pytest.approx(
        [20.0 * (sent[k - 1] - sent[k - 2]) - 100.0 for k in (2, 3)], abs=1e-3)
    assert counts['violated: rail.high'] == 2
