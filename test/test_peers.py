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

"""Endpoints and their peers: who is missing is named, and nothing bad gets past a callback."""

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_bench import bench
from sensor_msgs.msg import JointState

from hlai_control.errors import SignalError
from hlai_control.graph import COMMAND, COST, subscribers_of, SURPRISE
from hlai_control.ros.diagnostics import Diagnostics
from hlai_control.ros.peers import Peers
from hlai_control.ros.qos import CONTROL, LATCHED


@pytest.fixture
def stand():
    with bench() as made:
        yield made


def _peers(stand, name: str) -> tuple[Peers, Diagnostics]:
    node = stand.node(name)
    diagnostics = Diagnostics(node, 'Test')
    return Peers(node, diagnostics), diagnostics


def test_missing_names_each_peer_until_all_have_joined(stand):
    learner, _ = _peers(stand, 'cost')
    learner.speak(JointState, COST, LATCHED)
    learner.listen(JointState, COMMAND, lambda message: None, CONTROL)
    assert subscribers_of(COST) == ('actor', 'critic')
    stand.until(lambda: learner.missing() == (
        f'{COST}: no actor, critic', f'{COMMAND}: no publisher (expected: actor)'), 'complaint')
    # A spectator is nobody's peer.
    spectator, _ = _peers(stand, 'spectator')
    spectator.listen(JointState, COST, lambda message: None, LATCHED)
    stand.until(lambda: learner._node.count_subscribers(COST) == 1, 'spectator')
    assert learner.missing()[0] == f'{COST}: no actor, critic'
    actor, _ = _peers(stand, 'actor')
    actor.listen(JointState, COST, lambda message: None, LATCHED)
    actor.speak(JointState, COMMAND, CONTROL)
    stand.until(lambda: learner.missing() == (f'{COST}: no critic',), 'actor')
    critic, _ = _peers(stand, 'critic')
    critic.listen(JointState, COST, lambda message: None, LATCHED)
    stand.until(lambda: learner.missing() == (), 'critic')
    critic.close()
    stand.until(lambda: learner.missing() == (f'{COST}: no critic',), 'its absence')


def test_a_spectator_that_can_never_match_holds_nobody_up(stand):
    """Such a ``ros2 topic echo`` kept the whole graph from starting."""
    speaker, _ = _peers(stand, 'world_model')
    speaker.speak(JointState, SURPRISE, CONTROL)  # volatile
    listener, _ = _peers(stand, 'configurator')
    listener.listen(JointState, SURPRISE, lambda message: None, CONTROL)
    spectator = stand.node('spectator')
    spectator.create_subscription(JointState, SURPRISE, lambda message: None, LATCHED)
    stand.until(lambda: speaker._node.count_subscribers(SURPRISE) == 2, 'both')
    stand.until(lambda: speaker.missing() == listener.missing() == (), 'match')
    assert speaker._node.count_subscribers(SURPRISE) == 2  # the spectator is still there


def test_a_robot_topic_may_have_another_name_on_the_wire(stand):
    robot, _ = _peers(stand, 'robot')
    robot.speak(JointState, 'joint_states', CONTROL, 'arm/joints')
    assert robot.missing() == ('joint_states: no perception, guard',)
    got = []
    for name in ('perception', 'guard'):
        peers, _ = _peers(stand, name)
        peers.listen(JointState, 'joint_states', got.append, CONTROL, 'arm/joints')
    stand.until(lambda: robot.missing() == (), 'both')


def test_what_a_callback_refuses_is_counted_and_never_propagated(stand):
    listener, diagnostics = _peers(stand, 'configurator')
    speaker, _ = _peers(stand, 'world_model')

    def refuse(message: JointState) -> None:
        if message.name:
            raise SignalError('wrong length')

    listener.listen(JointState, SURPRISE, refuse, CONTROL)
    publisher = speaker.speak(JointState, SURPRISE, CONTROL)
    stand.until(lambda: speaker.missing() == () and listener.missing() == (), 'match')
    for k, names in enumerate((['a'], [], ['a', 'b'])):
        publisher.publish(JointState(name=names))
        stand.until(lambda k=k: listener._node.handled == k + 1, 'message')
    assert diagnostics.counts() == {f'{SURPRISE}: wrong length': 2}


@pytest.mark.parametrize('change', [
    {'reliability': ReliabilityPolicy.BEST_EFFORT}, {'durability': DurabilityPolicy.VOLATILE}])
def test_an_incompatible_publisher_is_counted(stand, change):
    profile = {'depth': 1, 'reliability': ReliabilityPolicy.RELIABLE,
               'durability': DurabilityPolicy.TRANSIENT_LOCAL} | change
    listener, diagnostics = _peers(stand, 'actor')
    listener.listen(JointState, COST, lambda message: None, LATCHED)
    stand.node('intruder').create_publisher(JointState, COST, QoSProfile(**profile))
    stand.until(lambda: diagnostics.counts() == {
        f'{COST}: a publisher offers an incompatible QoS': 1}, 'count')
    assert listener.missing() == (f'{COST}: no publisher (expected: cost)',)


def test_close_destroys_every_endpoint(stand):
    peers, _ = _peers(stand, 'cost')
    other = stand.node('other')
    peers.speak(JointState, COST, LATCHED)
    peers.listen(JointState, COMMAND, lambda message: None, CONTROL)
    stand.until(lambda: other.count_publishers(COST) and other.count_subscribers(COMMAND), 'both')
    peers.close()
    stand.until(lambda: not other.count_publishers(COST)
                and not other.count_subscribers(COMMAND), 'end of both')
    assert peers.missing() == ()
